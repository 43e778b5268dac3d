"""Rankers with one head set for all queries: all heads, the best few, learned weights. RouteHead starts from the last.

Every ranker here and in `router.py` follows the same protocol, so that all are measured on the same head scores.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, PositiveInt
from torch import Tensor

from teachers.errors import TeacherError
from teachers.features import FeatureSettings, JudgedLists, head_features
from teachers.head_scores import HeadScores
from teachers.head_search import listwise_log_likelihood, rank_heads
from teachers.heads import Head, depth_of, flat_indices

_STEPS = 300
_LEARNING_RATE = 0.02


QRHEAD_FEATURES = FeatureSettings(mass="masked", normalise="none")
"""What the published static sets sum over."""

CORE_FEATURES = FeatureSettings(mass="raw", normalise="none")
"""What the contrastive rule picks heads by."""


class HeadRanker(Protocol):
    """Turns the head scores of one list into document scores."""

    def score(self, scores: HeadScores) -> Tensor:
        """One score per document, (documents,), higher is better."""
        ...

    def weights(self, scores: HeadScores) -> dict[Head, float]:
        """The heads used for this list's query and their weights."""
        ...

    @property
    def depth(self) -> int | None:
        """Layers that must be run; None for all."""
        ...

    def describe(self) -> dict[str, Any]:
        """What the ranker is, for provenance."""
        ...


class AllHeads:
    """ICR: the calibrated attention of every head, summed, outlying tokens left out.

    Source: Chen, Gutierrez, Su, Attention in Large Language Models Yields Efficient Zero-Shot Re-Rankers, ICLR 2025.
    """

    depth: int | None = None

    def score(self, scores: HeadScores) -> Tensor:
        """The sum over all heads read, (documents,)."""
        return scores.all_heads

    def weights(self, scores: HeadScores) -> dict[Head, float]:
        """Every head, with weight 1."""
        layers, heads, _ = scores.real.shape
        return {Head(layer, index): 1.0 for layer in range(layers) for index in range(heads)}

    def describe(self) -> dict[str, Any]:
        """The method's name."""
        return {"method": "all_heads"}


@dataclass(frozen=True, slots=True)
class WeightedHeads:
    """A fixed set of heads with fixed weights, the same for every query."""

    heads: tuple[Head, ...]
    head_weights: tuple[float, ...]
    features: FeatureSettings
    method: str

    def score(self, scores: HeadScores) -> Tensor:
        """Weighted sum of the heads' features, (documents,)."""
        return torch.tensor(self.head_weights) @ select_features(scores, self.heads, self.features)

    def weights(self, scores: HeadScores) -> dict[Head, float]:
        """The fixed weights."""
        return dict(zip(self.heads, self.head_weights, strict=True))

    @property
    def depth(self) -> int | None:
        """One more than the deepest head's layer."""
        return depth_of(self.heads)

    def describe(self) -> dict[str, Any]:
        """Method, heads with their weights, and features."""
        return {
            "method": self.method,
            "heads": {str(head): weight for head, weight in zip(self.heads, self.head_weights, strict=True)},
            "features": self.features.model_dump(mode="json"),
        }

    def save(self, path: Path) -> None:
        """Write the head set as a small JSON file that a person can read and edit."""
        path.write_text(json.dumps(self.describe(), indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> WeightedHeads:
        """Read what `save` wrote.

        Raises:
            TeacherError: the file is missing or is no head set.
        """
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            heads = tuple(Head.parse(text) for text in content["heads"])
            weights = tuple(float(weight) for weight in content["heads"].values())
            return cls(heads, weights, FeatureSettings(**content["features"]), str(content["method"]))
        except OSError as error:
            raise TeacherError(f"{path}: no head set can be read here ({error.strerror})") from None
        except (ValueError, KeyError, TypeError, AttributeError):
            raise TeacherError(
                f"{path}: no head set; expected is JSON as in a fitted teacher's static_heads.json: method, features, "
                'and heads with their weights, such as {"17.3": 1.0}'
            ) from None


class StaticWeightsSettings(BaseModel):
    """How the signed weights over the pool are learned."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    # nDCG@10 on 271 lists of WikiQA with 80, 300 and 600 training lists: 32 heads .750 .768 .770 at the first L1 and
    # .747 .769 .781 at the second, all 198 heads .737 .781 .787 and .717 .776 .783
    pool_sizes: tuple[PositiveInt, ...] = Field(
        (32, 256), min_length=1, description="best single heads that get a weight: the numbers to try"
    )
    l1: tuple[NonNegativeFloat, ...] = Field(
        (0.02, 0.005), min_length=1, description="pull of each weight towards zero: the strengths to try"
    )


def select_features(scores: HeadScores, heads: Sequence[Head], settings: FeatureSettings) -> Tensor:
    """Features of ``heads``, (heads, documents)."""
    return head_features(scores, settings)[flat_indices(heads, scores.real.shape[1])]


def best_heads(lists: JudgedLists, heads_per_layer: int, count: int) -> list[Head]:
    """The ``count`` heads with the highest mean single-head nDCG@10 on judged lists.

    Source: Zhang, Xiong et al., Query-Focused Retrieval Heads Improve Long-Context Reasoning and Re-ranking, EMNLP
    2025 (the nDCG rule of its public code; its other rule takes the mean mass on relevant documents).
    """
    return [Head.of_flat(flat, heads_per_layer) for flat in rank_heads(lists)[:count].tolist()]


def equal_weights(heads: Sequence[Head]) -> WeightedHeads:
    """The heads' masked calibrated mass, averaged: how QRHead ranks with its set, the mask taken for each head."""
    return WeightedHeads(tuple(heads), (1.0 / len(heads),) * len(heads), QRHEAD_FEATURES, "static_heads")


def learn_weights(lists: JudgedLists, l1: float) -> Tensor:
    """Weights (heads,) that minimise listwise cross-entropy + ``l1`` * sum of absolute weights; no randomness."""
    weights = torch.full((lists.features.shape[1],), 1.0 / lists.features.shape[1], requires_grad=True)
    optimizer = torch.optim.Adam([weights], lr=_LEARNING_RATE)
    for _ in range(_STEPS):
        optimizer.zero_grad()
        scores = torch.einsum("h,qhd->qd", weights, lists.features)
        (listwise_cross_entropy(scores, lists) + l1 * weights.abs().sum()).backward()
        optimizer.step()
    return weights.detach()


def listwise_cross_entropy(scores: Tensor, lists: JudgedLists) -> Tensor:
    """Mean over lists of the cross-entropy between gains, as shares, and the softmax of ``scores``.

    ``scores`` has the axes (queries, documents).

    Source: Cao et al., Learning to Rank: From Pairwise Approach to Listwise Approach, ICML 2007 (ListNet, top one).
    """
    return -listwise_log_likelihood(scores[:, None], lists).mean()
