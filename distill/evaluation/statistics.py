"""A mean over queries and a difference between two rankers, each with how far chance alone would move it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from distill.evaluation.resampling import RESAMPLES, mean_intervals, randomisation_p


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean over queries with its 95 % bootstrap interval."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class PairedDifference:
    """The mean difference of two rankers over the same queries, its interval, and how often chance gives as much.

    Args:
        p_value: two-sided, of the randomisation test that swaps the two rankers of each query at random.
    """

    interval: Interval
    p_value: float


def mean_interval(values: Sequence[float], resamples: int = RESAMPLES, seed: int = 0) -> Interval:
    """The mean of one figure a query, and its interval by the percentile bootstrap over queries.

    Raises:
        ValueError: fewer than two values.
    """
    figures = np.asarray(values, dtype=float)
    if len(figures) < 2:
        raise ValueError(f"{len(figures)} queries; an interval needs at least two")
    low, high = mean_intervals(figures[:, None], resamples, seed)
    return Interval(float(figures.mean()), float(low[0]), float(high[0]))


def paired_difference(
    values: Sequence[float], reference: Sequence[float], resamples: int = RESAMPLES, seed: int = 0
) -> PairedDifference:
    """``values`` minus ``reference``, query by query.

    Raises:
        ValueError: the two differ in length, or hold fewer than two values.
    """
    if len(values) != len(reference):
        raise ValueError(f"{len(values)} queries against {len(reference)}; a paired test needs the same queries")
    differences = np.asarray(values, dtype=float) - np.asarray(reference, dtype=float)
    interval = mean_interval(differences.tolist(), resamples, seed)
    p_value = randomisation_p(differences[:, None], resamples, seed)
    return PairedDifference(interval, float(p_value[0]))
