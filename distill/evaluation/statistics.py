"""Whether a difference between two rankers is more than luck: paired by query, by scipy's resampling."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

# Rows of resamples that stand in memory at once.
_BATCH = 500


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


def mean_interval(values: Sequence[float], resamples: int = 10_000, seed: int = 0) -> Interval:
    """The mean of one figure a query, and its interval by the percentile bootstrap over queries.

    Raises:
        ValueError: fewer than two values.
    """
    figures = np.asarray(values, dtype=float)
    if len(figures) < 2:
        raise ValueError(f"{len(figures)} queries; an interval needs at least two")
    # "percentile": scipy's default, BCa, is not a number where every query has the same figure
    found = stats.bootstrap(
        (figures,), np.mean, n_resamples=resamples, batch=_BATCH, method="percentile", rng=np.random.default_rng(seed)
    ).confidence_interval
    return Interval(float(figures.mean()), float(found.low), float(found.high))


def paired_difference(
    values: Sequence[float], reference: Sequence[float], resamples: int = 10_000, seed: int = 0
) -> PairedDifference:
    """``values`` minus ``reference``, query by query.

    Source: Smucker, Allan, Carterette, A Comparison of Statistical Significance Tests for Information Retrieval
    Evaluation, CIKM 2007 (the randomisation test).

    Raises:
        ValueError: the two differ in length, or hold fewer than two values.
    """
    if len(values) != len(reference):
        raise ValueError(f"{len(values)} queries against {len(reference)}; a paired test needs the same queries")
    differences = np.asarray(values, dtype=float) - np.asarray(reference, dtype=float)
    interval = mean_interval(differences.tolist(), resamples, seed)
    test: Any = stats.permutation_test(
        (differences,), np.mean, permutation_type="samples", n_resamples=resamples, batch=_BATCH,
        rng=np.random.default_rng(seed),
    )  # fmt: skip
    return PairedDifference(interval, float(test.pvalue))
