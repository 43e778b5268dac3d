"""Head sets that papers have published for well-known models, so that a teacher can start without judged queries.

Sets found on one collection can share few heads with those found on another: fit your own where you have judgments.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib import resources

from teachers.baselines import WeightedHeads, equal_weights
from teachers.errors import TeacherError
from teachers.heads import Head


@dataclass(frozen=True, slots=True)
class PublishedHeads:
    """One published set, with equal weights.

    Args:
        model: hub id of the model that the heads are of.
        heads: layer and index, both zero-based, best first.
        source: where the set was published.
    """

    model: str
    heads: tuple[Head, ...]
    source: str

    def ranker(self) -> WeightedHeads:
        """The set as a ranker."""
        return equal_weights(self.heads)


def published_heads() -> dict[str, PublishedHeads]:
    """Every published set that comes with this package, by name."""
    content = json.loads(resources.files("teachers").joinpath("published_heads.json").read_text(encoding="utf-8"))
    return {
        name: PublishedHeads(entry["model"], tuple(map(Head.parse, entry["heads"].split())), entry["source"])
        for name, entry in content.items()
    }


def check_heads(heads: WeightedHeads, layers: int, heads_per_layer: int, depth: int | None = None) -> None:
    """Make sure that a model of this size has the heads, and that its first ``depth`` layers do.

    Raises:
        TeacherError: it has not; the message names the first one, or the depth.
    """
    needed = heads.depth or 1
    if depth is not None and not needed <= depth <= layers:
        raise TeacherError(
            f"depth {depth}: these heads lie in the first {needed} of the model's {layers} layers; give a number "
            "between the two, or none"
        )
    for head in heads.heads:
        if head.layer >= layers or head.index >= heads_per_layer:
            raise TeacherError(
                f"head {head} is not in a model of {layers} layers with {heads_per_layer} heads each; these heads "
                "belong to another model"
            )
