"""How studies measure what they choose: on other lists than those it was chosen on."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from teachers.features import JudgedLists
from teachers.folds import fold_places
from teachers.head_search import ndcg

# Lists ranked at once by many heads or weights.
_CHUNK = 256


def out_of_fold(
    lists: JudgedLists, folds: int, seed: int, measure: Callable[[JudgedLists, JudgedLists], Tensor]
) -> Tensor:
    """Figures of each list, (queries, ...), from ``measure``, which is given the other folds' lists and its own fold's.

    ``measure`` gives one row for each list of its second argument.
    """
    rows: list[Tensor] = [torch.empty(0)] * len(lists)
    for train, held in fold_places(len(lists), folds, seed):
        for place, row in zip(held.tolist(), measure(lists.take(train), lists.take(held)), strict=True):
            rows[place] = row
    return torch.stack(rows)


def set_ndcg(lists: JudgedLists, heads: Sequence[int], cutoff: int = 10) -> Tensor:
    """nDCG@cutoff of each list under the mean of the heads' features, (queries,)."""
    return ndcg(lists.features[:, list(heads)].mean(1, keepdim=True), lists, cutoff)[:, 0]


def weighted_ndcg(lists: JudgedLists, weights: Tensor, cutoff: int = 10) -> Tensor:
    """nDCG@cutoff of each list under several weightings (rankings, heads) of all its heads, (queries, rankings)."""
    parts = []
    for start in range(0, len(lists), _CHUNK):
        part = lists.take(range(start, min(start + _CHUNK, len(lists))))
        parts.append(ndcg(torch.einsum("rh,qhd->qrd", weights, part.features), part, cutoff))
    return torch.cat(parts)
