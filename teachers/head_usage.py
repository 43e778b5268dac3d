"""Which heads a teacher uses over many queries, and whether kinds of queries use different ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from teachers.baselines import HeadRanker
from teachers.head_scores import HeadScores
from teachers.heads import Head


@dataclass(frozen=True, slots=True)
class HeadUse:
    """How one head is used.

    Args:
        picked: share of queries that use the head, in [0, 1].
        weight: its mean weight, 0 for queries that do not use it.
        by_slice: its mean weight over the queries of each slice.
    """

    head: Head
    picked: float
    weight: float
    by_slice: dict[str, float]


def head_usage(ranker: HeadRanker, scores: Sequence[HeadScores], slices: Sequence[str]) -> list[HeadUse]:
    """Every head that any query uses, by mean absolute weight, the largest first.

    Args:
        ranker: weighs heads.
        scores: head scores of each query's list.
        slices: the slice that each query belongs to.
    """
    used = [ranker.weights(entry) for entry in scores]
    members = {
        name: [row for row, own in zip(used, slices, strict=True) if own == name] for name in sorted(set(slices))
    }
    rows = []
    for head in sorted({head for row in used for head in row}):
        values = [row.get(head, 0.0) for row in used]
        rows.append(
            HeadUse(
                head,
                picked=sum(head in row for row in used) / len(used),
                weight=sum(values) / len(values),
                by_slice={name: sum(row.get(head, 0.0) for row in own) / len(own) for name, own in members.items()},
            )
        )
    return sorted(rows, key=lambda row: (-abs(row.weight), row.head))
