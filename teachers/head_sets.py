"""Head sets by name, found on judged lists: every study of heads compares the same sets, found in the same way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, PositiveFloat, PositiveInt
from torch import Tensor

from teachers.baselines import CORE_FEATURES, QRHEAD_FEATURES, learn_weights
from teachers.errors import TeacherError
from teachers.features import FeatureSettings, judged_lists
from teachers.head_scores import HeadScores
from teachers.head_search import rank_heads, rank_heads_contrastively
from teachers.heads import Head

SetName = Literal["query_focused", "contrastive", "routed", "copy", "random"]


class HeadSetSettings(BaseModel):
    """How the sets are found and how many heads each holds."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    count: PositiveInt = Field(64, description="heads of each set; the first k of a set are the set of k heads")
    cutoff: PositiveInt = Field(10, description="k of the nDCG@k of single heads that the query-focused rule takes")
    temperature: PositiveFloat = Field(0.001, description="of the contrastive rule's softmax")
    routed_pool: PositiveInt = Field(256, description="best single heads that learn a weight for the routed set")
    routed_l1: NonNegativeFloat = Field(0.005, description="pull of those weights towards zero")
    features: FeatureSettings = Field(FeatureSettings(), description="what the routed set's weights are over")
    seed: int = Field(0, description="of the random set")


def find_head_sets(
    scores: Sequence[HeadScores],
    gains: Sequence[Sequence[float]],
    settings: HeadSetSettings,
    copy: Sequence[Head] | None = None,
) -> dict[SetName, list[Head]]:
    """The sets by name, best head first.

    ``query_focused``: highest mean nDCG of the head alone, on masked calibrated mass (QRHead's second rule).
    ``contrastive``: highest share of the relevant document among itself and all others, on raw mass (CoRe).
    ``routed``: largest absolute weight, signed weights being learned as RouteHead starts from. ``copy``: as given.
    ``random``: any of the heads that were read, each as likely as another.

    Args:
        scores: head scores of judged lists, all read at one depth.
        gains: ``gains[i][j]`` is the relevance of document j of list i; lists without a relevant document are left out.
        settings: sizes and the rules' own settings.
        copy: heads that copy, best first, see `teachers.copying`; None leaves the set out.

    Raises:
        TeacherError: no list holds a relevant document.

    Source: Zhang, Xiong et al., Query-Focused Retrieval Heads, EMNLP 2025; CoRe heads (arXiv 2510.02219).
    """
    taught = [place for place, gain in enumerate(gains) if any(value > 0 for value in gain)]
    if not taught:
        raise TeacherError(f"none of {len(gains)} lists holds a relevant document; heads cannot be found on them")
    scores, gains = [scores[place] for place in taught], [gains[place] for place in taught]
    layers, heads_per_layer, _ = scores[0].real.shape
    masked = judged_lists(scores, gains, QRHEAD_FEATURES)
    raw = judged_lists(scores, gains, CORE_FEATURES)
    weights = _learned_weights(scores, gains, settings)
    found: dict[SetName, list[Head]] = {
        "query_focused": _named(rank_heads(masked, settings.cutoff), heads_per_layer),
        "contrastive": _named(rank_heads_contrastively(raw, settings.temperature), heads_per_layer),
        "routed": _named(weights.argsort(descending=True, stable=True), heads_per_layer),
        **({} if copy is None else {"copy": list(copy)}),
        "random": random_heads(layers, heads_per_layer, settings.seed),
    }
    return {name: heads[: settings.count] for name, heads in found.items()}


def random_heads(layers: int, heads_per_layer: int, seed: int) -> list[Head]:
    """All heads of the layers, in an order that is drawn by chance; its first k are a random set of k heads."""
    shuffled = torch.randperm(layers * heads_per_layer, generator=torch.Generator().manual_seed(seed))
    return _named(shuffled, heads_per_layer)


def _learned_weights(
    scores: Sequence[HeadScores], gains: Sequence[Sequence[float]], settings: HeadSetSettings
) -> Tensor:
    """Absolute learned weight of each head, (layers x heads,), negative for those outside the pool."""
    lists = judged_lists(scores, gains, settings.features)
    pool = rank_heads(lists, settings.cutoff)[: settings.routed_pool]
    weights = torch.full((lists.features.shape[1],), -1.0)
    weights[pool] = learn_weights(lists.of_heads(pool.tolist()), settings.routed_l1).abs()
    return weights


def _named(order: Tensor, heads_per_layer: int) -> list[Head]:
    return [Head.of_flat(flat, heads_per_layer) for flat in order.tolist()]
