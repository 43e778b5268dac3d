"""What a model can still do without some of its heads: recall a needle, rank a list."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from teachers.baselines import CORE_FEATURES, HeadRanker
from teachers.features import judged_lists
from teachers.head_scores import HeadReader, HeadScores
from teachers.head_search import ndcg
from teachers.heads import Head
from teachers.masking import masked_heads
from teachers.needles import NeedlePrompt, needle_log_probabilities

_CUTOFF = 10


@dataclass(frozen=True, slots=True)
class NeedleRecall:
    """Log-probability of a needle as the answer, in natural logarithms: the sum over its tokens, and their mean."""

    total: float
    mean: float


def masked_recall(reader: HeadReader, prompt: NeedlePrompt, heads: Sequence[Head]) -> NeedleRecall:
    """How likely the whole model of ``reader`` finds the needle with ``heads`` masked."""
    with masked_heads(reader.model, heads):
        found = needle_log_probabilities(reader.model, prompt).double()
    return NeedleRecall(float(found.sum()), float(found.mean()))


def masked_quality(
    reader: HeadReader,
    rankers: Mapping[str, HeadRanker],
    judged: tuple[str, Sequence[str], Sequence[float]],
    heads: Sequence[Head],
) -> dict[str, float]:
    """nDCG@10 of one (query, documents, gains) under each ranker, read with ``heads`` masked.

    A masked head still attends, and its weights are still read; what is gone is what it wrote for later layers.
    """
    query, documents, gains = judged
    with masked_heads(reader.model, heads):
        scores = reader.read(query, documents)
    return list_quality(scores, rankers, gains)


def list_quality(scores: HeadScores, rankers: Mapping[str, HeadRanker], gains: Sequence[float]) -> dict[str, float]:
    """nDCG@10 of one list under each ranker, from head scores that were read."""
    ranked = torch.stack([ranker.score(scores) for ranker in rankers.values()])
    one = judged_lists([scores], [gains], CORE_FEATURES)  # any would do: of them nDCG takes nothing but the judgments
    return dict(zip(rankers, ndcg(ranked[None], one, _CUTOFF)[0].tolist(), strict=True))
