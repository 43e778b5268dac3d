"""A ratio of two sums over queries, with its interval: clicks a page, or wins among decided sessions."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from distill.evaluation.statistics import Interval

# Numbers that stand in memory at once while queries are drawn anew.
_BATCH_NUMBERS = 5_000_000

Figures = NDArray[np.number[Any]]


def ratio_interval(
    parts: Figures, wholes: Figures, resamples: int = 2_000, seed: int = 0, undefined: float | None = None
) -> Interval:
    """Sum of ``parts`` over sum of ``wholes``, with its 95 % interval by the percentile bootstrap over queries.

    Args:
        parts: one figure a query, (queries,).
        wholes: likewise.
        resamples: sets of queries that are drawn.
        seed: draws them.
        undefined: the ratio of a set whose ``wholes`` sum to 0; None for that of all queries.

    Raises:
        ValueError: the two differ in length, or hold fewer than two queries, or ``wholes`` sum to 0.
    """
    if parts.shape != wholes.shape:
        raise ValueError(f"{len(parts)} figures over {len(wholes)}; a ratio needs both of each query")
    if len(parts) < 2:
        raise ValueError(f"{len(parts)} queries; an interval needs at least two")
    if not wholes.sum():
        raise ValueError("the wholes sum to 0; there is no ratio")

    mean = float(parts.sum() / wholes.sum())
    instead = mean if undefined is None else undefined

    def ratio(part: Figures, whole: Figures, axis: int = -1) -> Any:
        below = whole.sum(axis=axis)
        return np.where(below == 0, instead, part.sum(axis=axis) / np.where(below == 0, 1, below))

    found = stats.bootstrap(
        (parts, wholes), ratio, paired=True, vectorized=True, n_resamples=resamples, method="percentile",
        batch=max(1, _BATCH_NUMBERS // len(parts)), rng=np.random.default_rng(seed),
    ).confidence_interval  # fmt: skip
    return Interval(mean, float(found.low), float(found.high))
