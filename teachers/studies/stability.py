"""Whether head sets found on other queries are the same sets, and how few queries find a good one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch
from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt
from scipy import stats
from torch import Tensor

from teachers.baselines import CORE_FEATURES, QRHEAD_FEATURES
from teachers.errors import TeacherError
from teachers.features import JudgedLists, judged_lists
from teachers.head_scores import HeadScores
from teachers.head_search import contrastive_shares, single_head_ndcg
from teachers.studies.held_out import set_ndcg

QUERY_FOCUSED, CONTRASTIVE = "query_focused", "contrastive"


class StabilitySettings(BaseModel):
    """How often and on how many queries sets are found."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    queries: tuple[PositiveInt, ...] = Field(
        (10, 25, 50, 100, 200, 400), min_length=1, description="queries of each of two disjoint samples"
    )
    heads: tuple[PositiveInt, ...] = Field((8, 16, 32, 64), min_length=1, description="heads of the sets compared")
    splits: PositiveInt = Field(20, ge=2, description="random splits of the queries")
    least_held: PositiveInt = Field(50, description="queries that must be left to measure a set's worth on")
    cutoff: PositiveInt = Field(10, description="k of nDCG@k")
    temperature: PositiveFloat = Field(0.001, description="of the contrastive rule's softmax")
    seed: int = Field(0, description="of the splits")


@dataclass(frozen=True, slots=True)
class Spread:
    """A mean over splits, and the range that 95 % of the splits lie in; splits share queries, so it is no interval."""

    mean: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Self:
        """The spread of one value a split."""
        figures = torch.tensor(values, dtype=torch.float64)
        low, high = figures.quantile(torch.tensor([0.025, 0.975], dtype=torch.float64)).tolist()
        return cls(float(figures.mean()), low, high)


@dataclass(frozen=True, slots=True)
class RuleGround:
    """What a rule finds heads by, and what its sets rank by.

    Args:
        lists: features that a set's heads are averaged over.
        quality: the rule's figure of each list under each head, (queries, heads); a set is the heads with the highest
            mean over the queries it is found on.
    """

    lists: JudgedLists
    quality: Tensor

    def order(self, queries: Tensor) -> Tensor:
        """Heads from best to worst on these queries, ties by place."""
        return self.quality[queries].double().mean(0).argsort(descending=True, stable=True)


@dataclass(frozen=True, slots=True)
class StabilityRow:
    """What sets found on disjoint samples of so many queries share and are worth; by number of heads where a mapping.

    Args:
        queries: of each sample; ``held``: left to measure on.
        overlap: heads shared by the two samples' sets; ``chance``: expected of two random sets.
        correlation: Spearman's, between the two samples' figures of all heads.
        ndcg: held-out, of the first sample's set; ``loss``: what it is below the set found on all queries not held out.
    """

    queries: int
    held: int
    overlap: dict[int, Spread]
    chance: dict[int, float]
    correlation: Spread
    ndcg: dict[int, Spread]
    loss: dict[int, Spread]


@dataclass(frozen=True, slots=True)
class TransferRow:
    """Sets found on one collection against those found on another, both on ``queries`` queries; see `StabilityRow`.

    Args:
        own: held-out nDCG on the second collection of its own sets; ``foreign``: of the first one's.
    """

    queries: int
    overlap: dict[int, Spread]
    chance: dict[int, float]
    correlation: Spread
    own: dict[int, Spread]
    foreign: dict[int, Spread]


def rule_grounds(
    scores: Sequence[HeadScores], gains: Sequence[Sequence[float]], settings: StabilitySettings
) -> dict[str, RuleGround]:
    """The query-focused rule (nDCG of single heads, masked calibrated mass) and the contrastive one (raw mass).

    Source: Zhang, Xiong et al., Query-Focused Retrieval Heads, EMNLP 2025; CoRe heads (arXiv 2510.02219).
    """
    masked = judged_lists(scores, gains, QRHEAD_FEATURES)
    raw = judged_lists(scores, gains, CORE_FEATURES)
    return {
        QUERY_FOCUSED: RuleGround(masked, single_head_ndcg(masked, settings.cutoff)),
        CONTRASTIVE: RuleGround(raw, contrastive_shares(raw, settings.temperature)),
    }


def within(ground: RuleGround, settings: StabilitySettings) -> list[StabilityRow]:
    """Stability by number of queries, as far as the queries reach; the largest number that they allow comes last.

    Raises:
        TeacherError: fewer queries than the smallest samples and ``least_held`` need.
    """
    count, heads = ground.quality.shape
    room = (count - settings.least_held) // 2
    sizes = [size for size in sorted(settings.queries) if size <= room]
    if not sizes:
        need = 2 * min(settings.queries) + settings.least_held
        raise TeacherError(f"{count} lists; two samples of {min(settings.queries)} and the held-out lists need {need}")
    if len(sizes) < len(set(settings.queries)) and room > 1.3 * sizes[-1]:
        sizes.append(room)
    return [_row(ground, size, _set_sizes(settings, heads), settings) for size in sizes]


def across(first: RuleGround, second: RuleGround, settings: StabilitySettings) -> TransferRow:
    """Sets of two collections, each found on as many queries as both can spare, measured on the second's others."""
    size = min(len(first.quality), len(second.quality) - settings.least_held)
    counts = _set_sizes(settings, first.quality.shape[1])
    seen: dict[str, dict[int, list[float]]] = {name: {k: [] for k in counts} for name in ("overlap", "own", "foreign")}
    correlations = []
    for ours, theirs in zip(
        _shuffles(len(first.quality), settings), _shuffles(len(second.quality), settings), strict=True
    ):
        foreign, own, held = first.order(ours[:size]), second.order(theirs[:size]), theirs[size:]
        correlations.append(_correlation(first, ours[:size], second, theirs[:size]))
        target = second.lists.take(held)
        for k in counts:
            seen["overlap"][k].append(_shared(foreign[:k], own[:k]))
            seen["own"][k].append(float(set_ndcg(target, own[:k].tolist(), settings.cutoff).mean()))
            seen["foreign"][k].append(float(set_ndcg(target, foreign[:k].tolist(), settings.cutoff).mean()))
    spreads = {name: {k: Spread.of(values) for k, values in by.items()} for name, by in seen.items()}
    chance = {k: k * k / first.quality.shape[1] for k in counts}
    return TransferRow(size, spreads["overlap"], chance, Spread.of(correlations), spreads["own"], spreads["foreign"])


def _row(ground: RuleGround, size: int, counts: Sequence[int], settings: StabilitySettings) -> StabilityRow:
    names = ("overlap", "ndcg", "loss")
    seen: dict[str, dict[int, list[float]]] = {name: {k: [] for k in counts} for name in names}
    correlations = []
    for shuffled in _shuffles(len(ground.quality), settings):
        one, other, held = shuffled[:size], shuffled[size : 2 * size], shuffled[2 * size :]
        found, again = ground.order(one), ground.order(other)
        most = ground.order(shuffled[: len(shuffled) - settings.least_held])
        correlations.append(_correlation(ground, one, ground, other))
        target, last = ground.lists.take(held), ground.lists.take(shuffled[-settings.least_held :])
        for k in counts:
            seen["overlap"][k].append(_shared(found[:k], again[:k]))
            seen["ndcg"][k].append(float(set_ndcg(target, found[:k].tolist(), settings.cutoff).mean()))
            best = set_ndcg(last, most[:k].tolist(), settings.cutoff)
            own = set_ndcg(last, found[:k].tolist(), settings.cutoff)
            seen["loss"][k].append(float((best - own).mean()))
    spreads = {name: {k: Spread.of(values) for k, values in by.items()} for name, by in seen.items()}
    chance = {k: k * k / ground.quality.shape[1] for k in counts}
    held_count = len(ground.quality) - 2 * size
    return StabilityRow(
        size, held_count, spreads["overlap"], chance, Spread.of(correlations), spreads["ndcg"], spreads["loss"]
    )


def _shuffles(count: int, settings: StabilitySettings) -> list[Tensor]:
    generator = torch.Generator().manual_seed(settings.seed)
    return [torch.randperm(count, generator=generator) for _ in range(settings.splits)]


def _set_sizes(settings: StabilitySettings, heads: int) -> list[int]:
    return sorted({min(k, heads) for k in settings.heads})


def _shared(one: Tensor, other: Tensor) -> float:
    return float(len(set(one.tolist()) & set(other.tolist())))


def _correlation(first: RuleGround, ours: Tensor, second: RuleGround, theirs: Tensor) -> float:
    one, other = first.quality[ours].double().mean(0), second.quality[theirs].double().mean(0)
    return float(stats.spearmanr(one.numpy(), other.numpy()).statistic)
