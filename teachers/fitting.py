"""Fits RouteHead on judged lists: pool, static weights, pseudo labels and router, chosen on held-out queries only."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from teachers.baselines import StaticWeightsSettings, best_heads, learn_weights
from teachers.errors import TeacherError
from teachers.features import FeatureSettings, JudgedLists
from teachers.folds import fold_places
from teachers.head_search import SearchSettings, ndcg, rank_heads, soft_labels
from teachers.heads import Head, flat_indices
from teachers.router import Router, RouterSettings, train_router, untrained_router

logger = logging.getLogger(__name__)


class RouteHeadSettings(BaseModel):
    """Everything that shapes a fit."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    features: FeatureSettings = FeatureSettings()
    static: StaticWeightsSettings = StaticWeightsSettings()
    search: SearchSettings = SearchSettings()
    router: RouterSettings = RouterSettings()
    seed: int = Field(0, description="of the folds")


@dataclass(frozen=True, slots=True)
class FitReport:
    """How the fit chose, all figures nDCG on queries held out of the part that was trained on.

    Args:
        queries: lists with a relevant document, the only ones that teach.
        static: mean held-out nDCG of the static weights, of the heads that ``max_heads`` leaves open; ``routed``: of
            the chosen router.
        pool, l1: what was chosen for the static weights; components, epochs, threshold: for the router.
        heads_per_query: mean number of heads open under the chosen threshold, on the queries fitted.
    """

    queries: int
    static: float
    routed: float
    pool: int
    l1: float
    components: int
    epochs: int
    threshold: float
    heads_per_query: float


@dataclass(frozen=True, slots=True)
class _StaticChoice:
    pool_size: int
    l1: float


@dataclass(frozen=True, slots=True)
class _Choice:
    components: int
    step: int
    threshold: float


@dataclass(frozen=True, slots=True)
class _Ground:
    """What a router is trained on: the pool, the lists narrowed to it, its static weights, labels of its best."""

    heads: list[Head]
    lists: JudgedLists
    static: Tensor
    labels: Tensor


@dataclass(frozen=True, slots=True)
class FittedRouter:
    """The pool, a router over it and how it was chosen.

    Args:
        held_out: scores of the fitted lists (queries, documents), each under the chosen settings but fitted without
            the list's own fold: what comes after must not learn from scores that know the judgments.
    """

    heads: list[Head]
    router: Router
    report: FitReport
    held_out: Tensor


def fit_router(lists: JudgedLists, heads_per_layer: int, settings: RouteHeadSettings) -> FittedRouter:
    """Fit on the lists that hold a relevant document. No randomness beyond the settings' seeds.

    Raises:
        TeacherError: fewer lists with a relevant document than folds.
    """
    lists = lists.with_relevant()
    refuse_too_few(len(lists), settings)
    folds = fold_places(len(lists), settings.router.folds, settings.seed)
    static_choice = _choose_static(lists, folds, settings)
    choice, static, routed, held_out = _choose(lists, folds, heads_per_layer, static_choice, settings)
    ground = _prepare(lists, heads_per_layer, static_choice, settings)
    epochs = choice.step * settings.router.check_every
    router = _train(ground, settings, choice.components, epochs)[-1]
    router = replace(router, threshold=choice.threshold)
    opened = float((router.head_weights(ground.lists.states) != 0).float().sum(1).mean())
    report = FitReport(
        len(lists), static, routed, len(ground.heads), static_choice.l1, choice.components, epochs, choice.threshold,
        opened,
    )  # fmt: skip
    logger.info("fitted: %s", report)
    return FittedRouter(ground.heads, router, report, held_out)


def refuse_too_few(lists: int, settings: RouteHeadSettings) -> None:
    """Stop before work on too few lists that hold a relevant document.

    Raises:
        TeacherError: they are fewer than two for each fold.
    """
    least = 2 * settings.router.folds
    if lists < least:
        raise TeacherError(
            f"{lists} candidate lists hold a relevant document and {least} are the least to fit a router on; "
            "give more judged queries or deeper candidate lists"
        )


def _choose_static(
    lists: JudgedLists, folds: Sequence[tuple[Tensor, Tensor]], settings: RouteHeadSettings
) -> _StaticChoice:
    """The pool size and L1 whose static weights rank held-out lists best; of equals the smaller pool."""
    sizes = sorted({min(size, lists.features.shape[1]) for size in settings.static.pool_sizes})
    choices = [_StaticChoice(size, l1) for size in sizes for l1 in sorted(settings.static.l1, reverse=True)]
    if len(choices) == 1:
        return choices[0]
    totals = dict.fromkeys(choices, 0.0)
    for train, held in folds:
        ranking = rank_heads(lists.take(train))
        for choice in choices:
            pool = ranking[: choice.pool_size].tolist()
            weights = learn_weights(lists.take(train).of_heads(pool), choice.l1)
            target = lists.take(held).of_heads(pool)
            ranked = torch.einsum("h,qhd->qd", weights, target.features)
            totals[choice] += float(ndcg(ranked[:, None], target, settings.search.cutoff).sum())
    return max(choices, key=lambda choice: round(totals[choice], 6))


def _choose(
    lists: JudgedLists,
    folds: Sequence[tuple[Tensor, Tensor]],
    heads_per_layer: int,
    static: _StaticChoice,
    settings: RouteHeadSettings,
) -> tuple[_Choice, float, float, Tensor]:
    """The choice with the best mean held-out nDCG, that mean for the static weights and for it, its held-out scores.

    A trained router is chosen only where it beats the static weights by ``least_gain`` standard errors of the paired
    difference: among so many choices one always looks better by luck.
    """
    scores: dict[_Choice, Tensor] = {}
    for train, held in folds:
        ground = _prepare(lists.take(train), heads_per_layer, static, settings)
        for choice, values in _held_out(ground, lists.take(held), heads_per_layer, settings).items():
            scores.setdefault(choice, torch.zeros_like(lists.gains))[held] = values
    cutoff = settings.search.cutoff
    held_out = {choice: ndcg(values[:, None], lists, cutoff)[:, 0].double() for choice, values in scores.items()}
    means = {choice: float(values.mean()) for choice, values in held_out.items()}
    # the first of equals: fewer components, fewer epochs, lower threshold
    best = max(means, key=lambda choice: (round(means[choice], 6), -choice.components, -choice.step, -choice.threshold))
    untrained = _Choice(min(settings.router.components), 0, 0.0)
    gain = held_out[best] - held_out[untrained]
    if float(gain.mean()) <= settings.router.least_gain * float(gain.std()) / len(gain) ** 0.5:
        best = untrained
    return best, means[untrained], means[best], scores[best]


def _held_out(
    ground: _Ground, held: JudgedLists, heads_per_layer: int, settings: RouteHeadSettings
) -> dict[_Choice, Tensor]:
    """Scores (queries, documents) of the held-out lists under every choice, trained on ``ground`` alone."""
    target = held.of_heads(flat_indices(ground.heads, heads_per_layer))
    scores: dict[_Choice, Tensor] = {}
    for components in settings.router.components:
        routers = _train(ground, settings, components, settings.router.epochs)
        for (step, router), threshold in itertools.product(enumerate(routers), _thresholds(settings)):
            scores[_Choice(components, step, threshold)] = replace(router, threshold=threshold).rank(target)
    return scores


def _prepare(lists: JudgedLists, heads_per_layer: int, choice: _StaticChoice, settings: RouteHeadSettings) -> _Ground:
    heads = best_heads(lists, heads_per_layer, choice.pool_size)
    pooled = lists.of_heads(flat_indices(heads, heads_per_layer))
    searched = pooled.of_heads(range(min(settings.search.pool_size, len(heads))))
    return _Ground(heads, pooled, learn_weights(pooled, choice.l1), soft_labels(searched, settings.search))


def _train(ground: _Ground, settings: RouteHeadSettings, components: int, epochs: int) -> list[Router]:
    start = untrained_router(ground.lists, ground.static, ground.labels, settings.router, components)
    return train_router(start, ground.lists, ground.labels, settings.router, epochs)


def _thresholds(settings: RouteHeadSettings) -> list[float]:
    """The values to try; 0 is always among them, for there the untrained router is the static weights."""
    return sorted({0.0, *settings.router.thresholds})


def gains_of(doc_ids: Sequence[str], judged: dict[str, int]) -> list[float]:
    """Relevance of each candidate; what is not judged, or judged below 0, counts as 0."""
    return [float(max(0, judged.get(doc_id, 0))) for doc_id in doc_ids]
