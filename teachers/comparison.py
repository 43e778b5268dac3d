"""Compares the ways of using heads on the same head scores, every one of them fitted on other queries than it ranks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt
from torch import Tensor

from teachers.baselines import learn_weights
from teachers.features import FeatureSettings, JudgedLists, judged_lists
from teachers.fitting import RouteHeadSettings, fit_router
from teachers.head_scores import HeadScores
from teachers.head_search import (
    ndcg,
    rank_heads,
    rank_heads_by_mass,
    rank_heads_contrastively,
    search_sets,
    search_static_set,
)
from teachers.heads import flat_indices

REFERENCE = "static_weights"


class ComparisonSettings(BaseModel):
    """What is compared, beside RouteHead's own settings."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    folds: PositiveInt = Field(5, ge=2, description="parts of the queries, each ranked by what the others fitted")
    heads: PositiveInt = Field(16, description="heads of the sets of best single heads, and most of the searched set")
    core_heads: PositiveInt = Field(8, description="heads of the contrastive set")
    core_temperature: PositiveFloat = Field(0.001, description="of the contrastive rule's softmax")
    random_sets: PositiveInt = Field(20, description="random head sets that the random row is the mean of")
    seed: int = Field(0, description="of the folds and of the random sets")


@dataclass(frozen=True, slots=True)
class Comparison:
    """nDCG@10 of each query, (queries,), by way of ranking; only queries with a relevant candidate count."""

    quality: dict[str, Tensor]

    def means(self) -> dict[str, tuple[float, float]]:
        """Mean and standard error of each row."""
        return {name: _mean_and_error(values) for name, values in self.quality.items()}

    def gains(self, reference: str = REFERENCE) -> dict[str, tuple[float, float]]:
        """Mean of the paired difference to ``reference`` and its standard error."""
        return {name: _mean_and_error(values - self.quality[reference]) for name, values in self.quality.items()}


@dataclass(frozen=True, slots=True)
class _Views:
    """The same lists as z-scores, as masked calibrated mass and as raw mass."""

    features: JudgedLists
    masked: JudgedLists
    raw: JudgedLists

    def take(self, queries: Tensor) -> _Views:
        return _Views(self.features.take(queries), self.masked.take(queries), self.raw.take(queries))


def compare_rankers(
    scores: Sequence[HeadScores],
    gains: Sequence[Sequence[float]],
    others: Mapping[str, Sequence[Tensor]],
    routehead: RouteHeadSettings,
    settings: ComparisonSettings,
) -> Comparison:
    """Held-out nDCG@10 of every way of using heads, by cross-validation; what RouteHead chooses, it chooses within.

    Rows: those of ``others``, ``random_heads``, ``all_heads`` (ICR), ``mass_heads`` and ``best_heads`` (the two rules
    of QRHead), ``contrastive_heads`` (CoRe), ``searched_heads``, ``static_weights``, ``routehead``. Two bounds see
    the judgments they are measured on: ``oracle_heads`` picks the best set for each query, ``oracle_random`` does the
    same among random rankers of the same number, which shows how much of that is luck.

    Args:
        scores: head scores of all lists.
        gains: relevance of each list's documents.
        others: scores of each list's documents (documents,) by rankers that need no fit, such as the first stage.
        routehead: RouteHead's settings.
        settings: folds and the sizes of the sets.

    Raises:
        TeacherError: too few lists with a relevant document.
    """
    taught = [place for place, gain in enumerate(gains) if any(gain)]
    kept, kept_gains = [scores[place] for place in taught], [gains[place] for place in taught]
    views = _Views(
        judged_lists(kept, kept_gains, routehead.features),
        judged_lists(kept, kept_gains, FeatureSettings(mass="masked", normalise="none")),
        judged_lists(kept, kept_gains, FeatureSettings(mass="raw", normalise="none")),
    )
    lists = views.features
    ranked = {name: _padded([rows[place] for place in taught], lists) for name, rows in others.items()}
    ranked["all_heads"] = _padded([entry.all_heads for entry in kept], lists)
    quality = {name: _ndcg(values[:, None], lists)[:, 0] for name, values in ranked.items()}
    quality["random_heads"] = _random_sets(lists, settings)
    generator = torch.Generator().manual_seed(settings.seed)
    fold_of = torch.randperm(len(lists), generator=generator) % settings.folds
    for fold in range(settings.folds):
        held = (fold_of == fold).nonzero()[:, 0]
        per_layer = kept[0].real.shape[1]
        fitted = _held_out(
            views.take((fold_of != fold).nonzero()[:, 0]), lists.take(held), per_layer, routehead, settings
        )
        for name, values in fitted.items():
            quality.setdefault(name, torch.zeros(len(lists)))[held] = values
    return Comparison({name: values.double() for name, values in quality.items()})


def _held_out(
    train: _Views, held: JudgedLists, heads_per_layer: int, routehead: RouteHeadSettings, settings: ComparisonSettings
) -> dict[str, Tensor]:
    """nDCG of each held-out query under every way that is fitted on ``train``."""
    ranking = rank_heads(train.features)
    pool = ranking[: routehead.static.pool_size].tolist()
    pooled, target = train.features.of_heads(pool), held.of_heads(pool)
    sets = {
        "mass_heads": rank_heads_by_mass(train.masked)[: settings.heads].tolist(),
        "best_heads": ranking[: settings.heads].tolist(),
        "contrastive_heads": rank_heads_contrastively(train.raw, settings.core_temperature)[
            : settings.core_heads
        ].tolist(),
        "searched_heads": [pool[at] for at in search_static_set(pooled, routehead.search, settings.heads)],
    }
    ranked = {name: held.features[:, heads].mean(1) for name, heads in sets.items()}
    ranked[REFERENCE] = torch.einsum("h,qhd->qd", learn_weights(pooled, routehead.static.l1), target.features)
    fitted = fit_router(train.features, heads_per_layer, routehead)
    ranked["routehead"] = fitted.router.rank(held.of_heads(flat_indices(fitted.heads, heads_per_layer)))
    ranked["oracle_heads"] = _oracle(target, routehead)
    noise = torch.randn(target.features.shape, generator=torch.Generator().manual_seed(settings.seed))
    random = JudgedLists(noise, target.valid, target.gains, target.states)
    ranked["oracle_random"] = _oracle(random, routehead)
    return {name: _ndcg(values[:, None], held)[:, 0] for name, values in ranked.items()}


def _oracle(lists: JudgedLists, routehead: RouteHeadSettings) -> Tensor:
    """Scores (queries, documents) by the head set that ranks each query best, its judgments known."""
    return torch.einsum("qh,qhd->qd", search_sets(lists, routehead.search).float(), lists.features)


def _random_sets(lists: JudgedLists, settings: ComparisonSettings) -> Tensor:
    """Mean nDCG of each query over random head sets, (queries,)."""
    generator = torch.Generator().manual_seed(settings.seed)
    count = lists.features.shape[1]
    sets = [torch.randperm(count, generator=generator)[: settings.heads] for _ in range(settings.random_sets)]
    return _ndcg(torch.stack([lists.features[:, heads].mean(1) for heads in sets], 1), lists).mean(1)


def _padded(rows: Sequence[Tensor], lists: JudgedLists) -> Tensor:
    padded = torch.zeros(lists.gains.shape)
    for place, row in enumerate(rows):
        padded[place, : len(row)] = row
    return padded


def _ndcg(scores: Tensor, lists: JudgedLists) -> Tensor:
    return ndcg(scores, lists, 10)


def _mean_and_error(values: Tensor) -> tuple[float, float]:
    return float(values.mean()), float(values.std() / len(values) ** 0.5)
