"""Ranks judged lists by every way of using a teacher's heads, each fitted on other queries than it ranks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt
from torch import Tensor

from teachers.baselines import CORE_FEATURES, QRHEAD_FEATURES
from teachers.errors import TeacherError
from teachers.features import JudgedLists, judged_lists
from teachers.fitting import RouteHeadSettings, fit_router
from teachers.folds import fold_places
from teachers.head_scores import HeadScores
from teachers.head_search import (
    rank_heads,
    rank_heads_by_mass,
    rank_heads_contrastively,
    search_sets,
    search_static_set,
)
from teachers.heads import flat_indices
from teachers.mixture import HEADS, learn_mixture

REFERENCE = "static_weights"
"""The row that all others are compared with: what RouteHead starts from."""

BOUNDS = ("oracle_random", "oracle_heads")
"""Rows that see the judgments which they are measured on."""


class ComparisonSettings(BaseModel):
    """What is compared, beside RouteHead's own settings."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    folds: PositiveInt = Field(5, ge=2, description="parts of the queries, each ranked by what the others fitted")
    heads: PositiveInt = Field(16, description="heads of the sets of best single heads, and most of the searched set")
    core_heads: PositiveInt = Field(8, description="heads of the contrastive set")
    core_temperature: PositiveFloat = Field(0.001, description="of the contrastive rule's softmax")
    seed: int = Field(0, description="of the folds and of the random sets")


@dataclass(frozen=True, slots=True)
class _Ground:
    """Lists with a relevant document as z-scores, as masked calibrated mass and as raw mass, and other rankers' scores.

    Args:
        opinions: by name, one tensor (documents,) a list; ``gains`` likewise.
    """

    features: JudgedLists
    masked: JudgedLists
    raw: JudgedLists
    opinions: dict[str, list[Tensor]]
    gains: list[Sequence[float]]

    def take(self, queries: Tensor) -> _Ground:
        places = queries.tolist()
        return _Ground(
            self.features.take(queries), self.masked.take(queries), self.raw.take(queries),
            {name: [rows[place] for place in places] for name, rows in self.opinions.items()},
            [self.gains[place] for place in places],
        )  # fmt: skip


def rank_out_of_fold(
    scores: Sequence[HeadScores],
    gains: Sequence[Sequence[float]],
    others: Mapping[str, Sequence[Tensor]],
    routehead: RouteHeadSettings,
    settings: ComparisonSettings,
    on_progress: Callable[[int, int], None] | None = None,
) -> dict[str, list[Tensor]]:
    """Document scores of every list under every way of using heads, by cross-validation.

    What a way chooses (heads, weights, RouteHead's capacity), it chooses on the other folds. Rows: those of
    ``others``; ``random_heads``, ``all_heads`` (ICR), ``mass_heads`` and ``best_heads`` (the two rules of QRHead),
    ``contrastive_heads`` (CoRe), ``searched_heads``, ``static_weights``, ``routehead``; ``routehead+first`` and so
    on, RouteHead mixed with one more of ``others`` each time; `BOUNDS`. ``oracle_heads`` picks the best set for each
    query; ``oracle_random`` does so among random rankers of the same number, which shows how much of that is luck.

    Args:
        scores: head scores of lists that hold a relevant document.
        gains: relevance of each list's documents.
        others: scores of each list's documents (documents,) by rankers that need no fit, such as the first stage.
        routehead: RouteHead's settings.
        settings: folds and the sizes of the sets.
        on_progress: called after each fold with folds done and folds in all.

    Raises:
        TeacherError: too few lists, or one without a relevant document.
    """
    if not all(any(gain) for gain in gains):
        raise TeacherError("a list without a relevant document teaches nothing; leave it out")
    ground = _Ground(
        judged_lists(scores, gains, routehead.features),
        judged_lists(scores, gains, QRHEAD_FEATURES),
        judged_lists(scores, gains, CORE_FEATURES),
        {name: list(rows) for name, rows in others.items()},
        list(gains),
    )
    ranked = {**ground.opinions, "all_heads": [entry.all_heads for entry in scores]}
    heads_per_layer = scores[0].real.shape[1]
    for done, (train, held) in enumerate(fold_places(len(scores), settings.folds, settings.seed), start=1):
        rows = _held_out(ground.take(train), ground.take(held), heads_per_layer, routehead, settings)
        for name, values in rows.items():
            row = ranked.setdefault(name, [torch.empty(0)] * len(scores))
            for place, value in zip(held.tolist(), values, strict=True):
                row[place] = value
        if on_progress is not None:
            on_progress(done, settings.folds)
    return ranked


def _held_out(
    train: _Ground, held: _Ground, heads_per_layer: int, routehead: RouteHeadSettings, settings: ComparisonSettings
) -> dict[str, list[Tensor]]:
    """Scores of the held-out lists under every way that is fitted on ``train``."""
    pool = rank_heads(train.features)[: routehead.search.pool_size].tolist()
    target = held.features.of_heads(pool)
    found = search_static_set(train.features.of_heads(pool), routehead.search, settings.heads)
    core = rank_heads_contrastively(train.raw, settings.core_temperature)[: settings.core_heads]
    ranked = {
        "mass_heads": _mean_of(rank_heads_by_mass(train.masked)[: settings.heads], held.masked),
        "best_heads": _mean_of(rank_heads(train.masked)[: settings.heads], held.masked),
        "contrastive_heads": _mean_of(core, held.raw),
        "searched_heads": _mean_of(torch.tensor(found), target),
        "random_heads": _random_sets(held.features, settings),
    }
    ranked["oracle_heads"] = _oracle(target, routehead)
    noise = torch.randn(target.features.shape, generator=torch.Generator().manual_seed(settings.seed))
    ranked["oracle_random"] = _oracle(JudgedLists(noise, target.valid, target.gains, target.states), routehead)
    fitted = fit_router(train.features, heads_per_layer, routehead)
    pooled = held.features.of_heads(flat_indices(fitted.heads, heads_per_layer))
    ranked[REFERENCE] = torch.einsum("h,qhd->qd", fitted.router.static, pooled.features)
    ranked["routehead"] = fitted.router.rank(pooled)
    rows = {name: _unpadded(values, held.features) for name, values in ranked.items()}
    return rows | _mixed(train, held, _unpadded(fitted.held_out, train.features), rows["routehead"])


def _mixed(
    train: _Ground, held: _Ground, train_heads: Sequence[Tensor], held_heads: Sequence[Tensor]
) -> dict[str, list[Tensor]]:
    """The heads' score mixed with the first opinion, with the first two, and so on; weights learned on ``train``."""
    rows = {}
    for count in range(1, len(train.opinions) + 1):
        names = list(train.opinions)[:count]
        mixture = learn_mixture({HEADS: train_heads, **{name: train.opinions[name] for name in names}}, train.gains)
        rows["+".join(["routehead", *names])] = [
            mixture.score({HEADS: score, **{name: held.opinions[name][place] for name in names}})
            for place, score in enumerate(held_heads)
        ]
    return rows


def _mean_of(heads: Tensor, lists: JudgedLists) -> Tensor:
    return lists.features[:, heads].mean(1)


def _oracle(lists: JudgedLists, routehead: RouteHeadSettings) -> Tensor:
    """Scores (queries, documents) by the head set that ranks each query best, its judgments known."""
    return torch.einsum("qh,qhd->qd", search_sets(lists, routehead.search).float(), lists.features)


def _random_sets(lists: JudgedLists, settings: ComparisonSettings) -> Tensor:
    """Scores (queries, documents) of a random head set, another one for each query."""
    generator = torch.Generator().manual_seed(settings.seed)
    chosen = torch.rand(lists.features.shape[:2], generator=generator).argsort(1) < settings.heads
    return torch.einsum("qh,qhd->qd", chosen.float(), lists.features)


def _unpadded(scores: Tensor, lists: JudgedLists) -> list[Tensor]:
    return [row[valid] for row, valid in zip(scores, lists.valid, strict=True)]
