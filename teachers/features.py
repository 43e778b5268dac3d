"""From head scores to the numbers that rank: one normalised feature per head and document."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from teachers.head_scores import HeadScores

# Added before a logarithm: a document that a sliding window hides has no mass. Floors from 1e-8 to 1e-3 rank alike.
_LEAST_MASS = 1e-5


class FeatureSettings(BaseModel):
    """How a head's mass on a document becomes a feature."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    # 5-fold nDCG@10 of learned weights on 871 lists of WikiQA, with 32 heads: log and centre .782, log and zscore .770,
    # calibrated and zscore .765; with 64: .790, .778, .767, and z-scores of masked mass .776, of raw mass .771.
    mass: Literal["log", "calibrated", "raw", "masked", "log_ratio"] = Field(
        "log",
        description="log of the mass under the query; calibrated: mass under the query minus mass under the null "
        "query; raw: without the null query; masked: calibrated without outlying tokens; log_ratio: log of real over "
        "null",
    )
    normalise: Literal["centre", "zscore", "none"] = Field(
        "centre",
        description="per head over the query's candidates; centre: less the mean, so that a head that is sure speaks "
        "louder; zscore: also over the standard deviation, so that every head speaks equally loud",
    )


@dataclass(frozen=True, slots=True)
class JudgedLists:
    """Lists stacked for fitting; rows are padded with documents that are not ``valid``.

    Args:
        features: (queries, heads, documents), zero where padded.
        valid: bool, (queries, documents).
        gains: relevance, (queries, documents), zero where unjudged or padded.
        states: query states, (queries, hidden).
    """

    features: Tensor
    valid: Tensor
    gains: Tensor
    states: Tensor

    def __len__(self) -> int:
        return len(self.features)

    def take(self, queries: Tensor | Sequence[int]) -> JudgedLists:
        """The lists at the given places."""
        at = torch.as_tensor(queries)
        return JudgedLists(self.features[at], self.valid[at], self.gains[at], self.states[at])

    def with_relevant(self) -> JudgedLists:
        """The lists that hold a relevant document: only they can teach."""
        return self.take((self.gains > 0).any(1).nonzero()[:, 0])

    def of_heads(self, heads: Sequence[int]) -> JudgedLists:
        """The same lists with only the features of ``heads``, in that order."""
        return JudgedLists(self.features[:, list(heads)], self.valid, self.gains, self.states)


def head_features(scores: HeadScores, settings: FeatureSettings) -> Tensor:
    """One list's features, (layers x heads, documents), layers outermost."""
    mass = _mass(scores, settings.mass).flatten(0, 1)
    if settings.normalise == "zscore":
        return zscore(mass)
    return mass - mass.mean(-1, keepdim=True) if settings.normalise == "centre" else mass


def zscore(values: Tensor) -> Tensor:
    """Each row (..., documents) less its mean, over its standard deviation; zero where all values are equal."""
    # what treats all documents alike says nothing: zero, not zero divided by zero
    spread = values.std(-1, unbiased=False, keepdim=True)
    return (values - values.mean(-1, keepdim=True)) / spread.where(spread > 1e-12, torch.inf)


def judged_lists(
    scores: Iterable[HeadScores], gains: Sequence[Sequence[float]], settings: FeatureSettings
) -> JudgedLists:
    """Stack lists with their relevance; ``gains[i][j]`` belongs to document j of list i."""
    features, states = [], []
    for entry in scores:
        features.append(head_features(entry, settings))
        states.append(entry.state)
    width = max(feature.shape[1] for feature in features)
    padded = torch.zeros(len(features), features[0].shape[0], width)
    valid = torch.zeros(len(features), width, dtype=torch.bool)
    relevance = torch.zeros(len(features), width)
    for row, (feature, gain) in enumerate(zip(features, gains, strict=True)):
        padded[row, :, : feature.shape[1]] = feature
        valid[row, : feature.shape[1]] = True
        relevance[row, : len(gain)] = torch.tensor(gain, dtype=torch.float32)
    return JudgedLists(padded, valid, relevance, torch.stack(states))


def _mass(scores: HeadScores, kind: str) -> Tensor:
    if kind == "log":
        return (scores.real + _LEAST_MASS).log()
    if kind == "raw":
        return scores.real
    if kind == "masked":
        return scores.masked
    if kind == "log_ratio":
        return (scores.real + _LEAST_MASS).log() - (scores.null + _LEAST_MASS).log()
    return scores.real - scores.null
