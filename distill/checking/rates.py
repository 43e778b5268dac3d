"""How fast hardware works through tokens: measured where we could, else a stated share of the maker's figure."""

from __future__ import annotations

import json
import statistics
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Literal

from distill.errors import RecipeError

Work = Literal["read", "train"]


@dataclass(frozen=True, slots=True)
class Hardware:
    """One processor or card.

    Attributes:
        name: as the command line takes it.
        what: in words.
        gigabytes: of memory.
        operations: a second that really get done, by work: reading, or training.
        measured: whether they were measured; else they are a share of the maker's figure.
    """

    name: str
    what: str
    gigabytes: int
    operations: dict[Work, float]
    measured: bool

    def seconds(self, work: Work, parameters: float, tokens: float, passes: int) -> float:
        """Time for tokens through parameters, each used twice (times and plus) in every pass."""
        return 2 * parameters * tokens * passes / self.operations[work]


@cache
def known_hardware() -> dict[str, Hardware]:
    """Every processor and card with a rate, by name."""
    table = _table()
    found = {}
    for name, machine in table["machines"].items():
        rates: dict[Work, float] = {work: _measured(table, name, work) for work in ("read", "train")}
        found[name] = Hardware(name, machine["what"], machine["gigabytes"], rates, True)
    for name, card in table["cards"].items():
        rates = {work: share * card["operations"] for work, share in table["share"].items()}
        found[name] = Hardware(name, card["what"], card["gigabytes"], rates, False)
    return found


def find_hardware(name: str) -> Hardware:
    """The hardware of this name.

    Raises:
        RecipeError: there is none.
    """
    known = known_hardware()
    if name not in known:
        raise RecipeError(f"--hardware {name}: no rates for it; there are {', '.join(known)}")
    return known[name]


def shares() -> dict[str, float]:
    """The share of a card's rate that is assumed, by work."""
    return dict(_table()["share"])


def _measured(table: dict[str, Any], name: str, work: Work) -> float:
    """The median of operations a second over the measured rows."""
    rows = [row for row in table["measured"] if row["hardware"] == name and row["work"] == work]
    return statistics.median(
        2 * row["layer_parameters"] * row["tokens"] * row.get("passes", 1) / row["seconds"] for row in rows
    )


def _table() -> dict[str, Any]:
    text = resources.files("distill.checking").joinpath("rates.json").read_text(encoding="utf-8")
    table: dict[str, Any] = json.loads(text)
    return table
