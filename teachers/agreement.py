"""How far several readings of one list agree: the confidence that its ranking deserves."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from math import isnan

from scipy.stats import kendalltau


def agreement(readings: Sequence[Sequence[float]]) -> float | None:
    """Mean Kendall tau-b over all pairs of readings, in [-1, 1]; None where that is not defined.

    That is so of a single reading, of a single document, and where a reading ties all documents.

    Args:
        readings: for each reading its scores of the same documents.
    """
    if len(readings) < 2 or len(readings[0]) < 2:
        return None
    taus = [float(kendalltau(first, second).statistic) for first, second in combinations(readings, 2)]
    return None if any(isnan(tau) for tau in taus) else sum(taus) / len(taus)
