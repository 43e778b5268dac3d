"""Says why a document got its score: the words that the heads used for this query looked at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from teachers.baselines import HeadRanker
from teachers.head_scores import HeadReader, HeadScores, ListReading
from teachers.heads import Head


@dataclass(frozen=True, slots=True)
class TokenAttention:
    """Attention to one token of a document.

    Args:
        start, end: its characters in the document.
        weight: attention under the query minus under the null query, over the heads used with a positive weight, each
            counted by its weight. A document's weights add up to its `calibrated_mass`.
    """

    start: int
    end: int
    weight: float


@dataclass(frozen=True, slots=True)
class Explanation:
    """What one list's scores come from.

    Args:
        heads: the heads used for this query and their weights, the largest first.
        documents: for each document, in the caller's order, its tokens in their order.
    """

    heads: dict[Head, float]
    documents: list[list[TokenAttention]]


def explain(reader: HeadReader, ranker: HeadRanker, query: str, documents: Sequence[str]) -> Explanation:
    """Read one list and keep which tokens its heads attend to.

    Raises:
        TeacherError: no document, a list that no window holds, or a tokenizer that cannot tell where tokens stand.
    """
    (reading,) = reader.read_closely([(query, documents)], tokens=True)
    heads = ranker.weights(reading.scores)
    explained = []
    for document, attention in zip(documents, token_attention(ranker, reading), strict=True):
        spans = reader.prompts.offsets(document)
        explained.append([TokenAttention(*span, value) for span, value in zip(spans, attention.tolist(), strict=True)])
    return Explanation(dict(sorted(heads.items(), key=lambda entry: -abs(entry[1]))), explained)


def token_attention(ranker: HeadRanker, reading: ListReading) -> list[Tensor]:
    """`TokenAttention.weight` of each document's tokens, (tokens,), of a list that was read with its tokens."""
    weights = positive_weights(ranker, reading.scores)
    return [torch.einsum("lh,lht->t", weights, values) for values in reading.tokens]


def positive_weights(ranker: HeadRanker, scores: HeadScores) -> Tensor:
    """Weight of each head for this list's query where it is positive, else 0, (layers, heads).

    A negative weight says that attention speaks against a document, so it cannot show that the query draws attention
    there.
    """
    weights = torch.zeros(scores.real.shape[:2])
    for head, weight in ranker.weights(scores).items():
        weights[head.layer, head.index] = max(weight, 0.0)
    return weights
