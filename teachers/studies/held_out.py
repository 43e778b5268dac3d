"""How studies measure what they choose: on other lists than those it was chosen on."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from teachers.errors import TeacherError
from teachers.features import JudgedLists
from teachers.head_search import ndcg

# Lists ranked at once by many heads or weights.
_CHUNK = 256


def fold_places(count: int, folds: int, seed: int) -> list[tuple[Tensor, Tensor]]:
    """Places of the lists that are chosen on and of those that are measured, for each fold; no list is in two folds.

    Raises:
        TeacherError: fewer lists than folds.
    """
    if count < folds:
        raise TeacherError(f"{count} lists cannot be held out in {folds} folds; give more lists or fewer folds")
    fold_of = torch.randperm(count, generator=torch.Generator().manual_seed(seed)) % folds
    return [((fold_of != fold).nonzero()[:, 0], (fold_of == fold).nonzero()[:, 0]) for fold in range(folds)]


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
