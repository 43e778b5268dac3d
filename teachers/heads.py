"""The names of attention heads, so that every file, table and option writes them in one way."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, order=True, slots=True)
class Head:
    """One query head of a decoder. ``layer`` and ``index`` count from zero."""

    layer: int
    index: int

    def __str__(self) -> str:
        return f"{self.layer}.{self.index}"

    @classmethod
    def parse(cls, text: str) -> Head:
        """Read ``"12.5"`` as layer 12, head 5.

        Raises:
            ValueError: ``text`` is not two whole numbers joined by a dot.
        """
        layer, dot, index = text.partition(".")
        if not (dot and layer.isdecimal() and index.isdecimal()):
            raise ValueError(f"a head is written LAYER.INDEX, as in 12.5; got {text!r}")
        return cls(int(layer), int(index))

    @classmethod
    def of_flat(cls, flat: int, heads_per_layer: int) -> Head:
        """The head of a row of an array whose first axis is (layers x heads); see `flat_indices` for the way back."""
        return cls(*divmod(flat, heads_per_layer))


def depth_of(heads: Iterable[Head]) -> int:
    """Number of layers that a forward pass must run to reach every one of ``heads``."""
    return max(head.layer for head in heads) + 1


def flat_indices(heads: Sequence[Head], heads_per_layer: int) -> list[int]:
    """Row of each head in an array whose first axis is (layers x heads), layers outermost."""
    return [head.layer * heads_per_layer + head.index for head in heads]
