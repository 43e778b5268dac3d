"""Whether different kinds of queries call for different heads, and what routing them gains."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, PositiveInt
from torch import Tensor

from teachers.baselines import learn_weights
from teachers.features import JudgedLists
from teachers.head_search import SearchSettings, ndcg, rank_heads, soft_labels
from teachers.router import RouterSettings, train_router, untrained_router
from teachers.studies.held_out import out_of_fold


class RoutingSettings(BaseModel):
    """How sets are searched and how a router is trained; one size and one number of epochs, so nothing is picked."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    search: SearchSettings = SearchSettings()
    router: RouterSettings = RouterSettings()
    pool: PositiveInt = Field(64, description="best single heads that are weighted and routed")
    l1: NonNegativeFloat = Field(0.005, description="pull of the static weights towards zero")
    components: PositiveInt = Field(2, description="principal directions of the query state that the router sees")
    epochs: PositiveInt = Field(50, description="of the router's training")
    permutations: PositiveInt = Field(999, description="of the kinds, for the p-value")
    folds: PositiveInt = Field(5, ge=2, description="parts of the lists, each routed by what the others trained")
    seed: int = Field(0, description="of folds and permutations")


@dataclass(frozen=True, slots=True)
class KindTest:
    """How much of the searched sets' variation lies between kinds of queries.

    Args:
        share: of the total variation, in [0, 1]; ``chance``: expected if kinds meant nothing.
        p_value: how often as much lies between kinds that are dealt out at random.
        counts: queries of each kind.
        largest: for each kind, the heads picked most above and most below the mean, as (flat place, difference of
            shares of queries).
    """

    share: float
    chance: float
    p_value: float
    counts: dict[str, int]
    largest: dict[str, list[tuple[int, float]]]


@dataclass(frozen=True, slots=True)
class Routed:
    """nDCG of each list by learned weights and by a trained router over the same heads, both out of fold, (queries,).

    Args:
        spread: standard deviation over queries of a head's weight, over the mean size of a weight, mean over heads and
            folds; 0 for a router that treats all queries alike.
    """

    static: Tensor
    routed: Tensor
    spread: float


def searched_sets(lists: JudgedLists, settings: RoutingSettings) -> tuple[list[int], Tensor]:
    """The pool's heads, flat, and how often each query's searched sets hold them, (queries, pool), in [0, 1]."""
    pool = rank_heads(lists, settings.search.cutoff)[: settings.search.pool_size].tolist()
    return pool, soft_labels(lists.of_heads(pool), settings.search)


def kind_test(labels: Tensor, pool: Sequence[int], kinds: Sequence[str], settings: RoutingSettings) -> KindTest:
    """Test whether kinds of queries differ in their sets, by permuting the kinds.

    Source: Anderson, A new method for non-parametric multivariate analysis of variance, Austral Ecology 2001, with
    Euclidean distances.

    Args:
        labels: share of each query's searched sets that hold a head, (queries, heads).
        pool: the heads' flat places.
        kinds: of each query.
        settings: number of permutations and their seed.
    """
    names = sorted(set(kinds))
    member = torch.tensor([[kind == name for name in names] for kind in kinds], dtype=torch.float64)
    centred = labels.double() - labels.double().mean(0)
    observed = _between(centred, member)
    generator = torch.Generator().manual_seed(settings.seed)
    dealt = [
        _between(centred, member[torch.randperm(len(member), generator=generator)])
        for _ in range(settings.permutations)
    ]
    # the kinds as they are count among the permutations, so that p is never 0
    reached = 1 + sum(value >= observed - 1e-12 for value in dealt)
    means = (member.T @ centred) / member.sum(0)[:, None]
    largest = {}
    for name, row in zip(names, means, strict=True):
        order = row.argsort(descending=True, stable=True).tolist()
        largest[name] = [(pool[place], float(row[place])) for place in (*order[:2], *order[-2:])]
    chance = (len(names) - 1) / (len(kinds) - 1)
    counts = {name: int(number) for name, number in zip(names, member.sum(0).tolist(), strict=True)}
    return KindTest(observed, chance, reached / (1 + settings.permutations), counts, largest)


def route_out_of_fold(lists: JudgedLists, settings: RoutingSettings) -> Routed:
    """Rank every list by learned weights and by a router that was trained on the other folds."""
    spreads = []

    def measure(train: JudgedLists, held: JudgedLists) -> Tensor:
        pool = rank_heads(train, settings.search.cutoff)[: settings.pool].tolist()
        ground, target = train.of_heads(pool), held.of_heads(pool)
        static = learn_weights(ground, settings.l1)
        labels = soft_labels(ground.of_heads(range(min(len(pool), settings.search.pool_size))), settings.search)
        start = untrained_router(ground, static, labels, settings.router, settings.components)
        router = train_router(start, ground, labels, settings.router, settings.epochs)[-1]
        weights = router.head_weights(target.states)
        spreads.append(float(weights.std(0).mean() / weights.abs().mean().clamp_min(1e-12)))
        rankings = torch.stack([torch.einsum("h,qhd->qd", static, target.features), router.rank(target)], 1)
        return ndcg(rankings, target, settings.search.cutoff)

    found = out_of_fold(lists, settings.folds, settings.seed, measure)
    return Routed(found[:, 0], found[:, 1], sum(spreads) / len(spreads))


def plane(rows: Tensor) -> tuple[Tensor, tuple[float, float]]:
    """The first two principal components of each row, (rows, 2), and the share of the variation along each."""
    centred = rows.double() - rows.double().mean(0)
    left, spread, _ = torch.linalg.svd(centred, full_matrices=False)
    placed = left[:, :2] * spread[:2]
    shares = spread.square() / spread.square().sum().clamp_min(1e-12)
    return placed, (float(shares[0]), float(shares[1]) if len(shares) > 1 else 0.0)


def _between(centred: Tensor, member: Tensor) -> float:
    """Sum of squares between groups over the total; ``centred`` rows (queries, heads), ``member`` (queries, groups)."""
    sums = member.T @ centred
    between = (sums.square().sum(1) / member.sum(0)).sum()
    return float(between / centred.square().sum().clamp_min(1e-12))
