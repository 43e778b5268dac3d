"""How alike heads are, which of them help each other, and what a set gains over its best member."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from pydantic import BaseModel, ConfigDict, Field, PositiveInt
from torch import Tensor

from teachers.features import JudgedLists, zscore
from teachers.folds import fold_places
from teachers.head_search import SearchSettings, rank_heads, search_static_set, single_head_ndcg
from teachers.studies.held_out import out_of_fold, set_ndcg, weighted_ndcg


class RedundancySettings(BaseModel):
    """Which heads are paired and how large sets grow."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    pool: PositiveInt = Field(32, ge=2, description="best single heads that are paired")
    heads: PositiveInt = Field(32, description="heads that a set grows to")
    folds: PositiveInt = Field(5, ge=2, description="parts of the lists, each measured with what the others chose")
    cutoff: PositiveInt = Field(10, description="k of nDCG@k")
    seed: int = Field(0, description="of the folds")


@dataclass(frozen=True, slots=True)
class Pair:
    """Two heads that were in every fold's pool.

    Args:
        heads: their places, flat.
        correlation: of their scores over the documents of a list, mean over lists.
        gains: nDCG of their sum less that of the better one of the two (told by the other folds), of each list.
    """

    heads: tuple[int, int]
    correlation: float
    gains: Tensor


@dataclass(frozen=True, slots=True)
class GrowingSet:
    """Held-out nDCG of a set as heads are added, (queries, sizes), and how alike the heads of each size are.

    Args:
        ndcg: of the heads averaged; column k has k + 1 heads.
        alone: of the head that came last, alone.
        effective: heads that do not repeat each other, by the participation ratio of their correlations' eigenvalues,
            mean over folds, (sizes,).
    """

    ndcg: Tensor
    alone: Tensor
    effective: Tensor


def correlations(lists: JudgedLists) -> Tensor:
    """Pearson correlation of every two heads' scores over the documents of a list, mean over lists, (heads, heads).

    A list whose documents a head treats alike counts as 0 for it, with itself too.
    """
    total = torch.zeros(lists.features.shape[1], lists.features.shape[1], dtype=torch.float64)
    for features, valid in zip(lists.features, lists.valid, strict=True):
        standard = zscore(features[:, valid].double())
        total += standard @ standard.T / valid.sum()
    return total / len(lists)


def pairs(lists: JudgedLists, settings: RedundancySettings) -> list[Pair]:
    """Every two heads of the pool: what their sum ranks better or worse than the better of them, held out."""
    alike = correlations(lists)
    gains: dict[tuple[int, int], Tensor] = {}
    folds = fold_places(len(lists), settings.folds, settings.seed)
    pools = [rank_heads(lists.take(train), settings.cutoff)[: settings.pool].tolist() for train, _ in folds]
    common = sorted(set(pools[0]).intersection(*pools[1:]))
    chosen = [(one, other) for place, one in enumerate(common) for other in common[place + 1 :]]
    for (_, held), pool in zip(folds, pools, strict=True):
        target = lists.take(held).of_heads(common)
        alone = single_head_ndcg(target, settings.cutoff)
        sums = torch.zeros(len(chosen), len(common))
        for row, pair in enumerate(chosen):
            sums[row, [common.index(head) for head in pair]] = 1.0
        together = weighted_ndcg(target, sums, settings.cutoff)
        for column, pair in enumerate(chosen):
            better = min(pair, key=pool.index)
            gain = gains.setdefault(pair, torch.zeros(len(lists)))
            gain[held] = together[:, column] - alone[:, common.index(better)]
    return [Pair(pair, float(alike[pair]), gain) for pair, gain in gains.items()]


def growing_sets(lists: JudgedLists, settings: RedundancySettings) -> dict[str, GrowingSet]:
    """Sets that grow by the next best single head (``best``) and by the head that helps most (``greedy``).

    Both are chosen on the other folds; ``greedy`` stops where no head helps there, and stays as it is from then on.
    """
    effective: dict[str, list[Tensor]] = {"best": [], "greedy": []}

    def grow(name: str) -> GrowingSet:
        def measure(train: JudgedLists, held: JudgedLists) -> Tensor:
            order = _order(name, train, settings)
            effective[name].append(_effective(correlations(train.of_heads(order)), settings.heads))
            columns = []
            for size in range(1, settings.heads + 1):
                kept = order[:size]
                last = set_ndcg(held, kept[-1:], settings.cutoff)
                columns.append(torch.stack([set_ndcg(held, kept, settings.cutoff), last], 1))
            return torch.stack(columns, 1)

        found = out_of_fold(lists, settings.folds, settings.seed, measure)
        return GrowingSet(found[..., 0], found[..., 1], torch.stack(effective[name]).mean(0))

    return {name: grow(name) for name in effective}


def _order(name: str, train: JudgedLists, settings: RedundancySettings) -> list[int]:
    if name == "best":
        return rank_heads(train, settings.cutoff)[: settings.heads].tolist()
    return search_static_set(train, SearchSettings(cutoff=settings.cutoff), settings.heads)


def _effective(alike: Tensor, sizes: int) -> Tensor:
    """(sum of eigenvalues)^2 / sum of squared eigenvalues of the first k heads' correlations, for k from 1."""
    found = []
    for size in range(1, sizes + 1):
        part = alike[:size, :size]
        found.append(part.trace() ** 2 / part.square().sum().clamp_min(1e-12))
    return torch.stack(found)
