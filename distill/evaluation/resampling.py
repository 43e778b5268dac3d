"""The bootstrap and the randomisation test over queries, for any number of figures at once.

Scipy resamples for one figure in a call. A report has hundreds, so here one matrix of random signs and one of bootstrap
counts serve all figures over the same queries, as matrix products; small cases are worked out exactly, as scipy does.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]

RESAMPLES = 10_000
TOLERANCE = 100 * float(np.finfo(np.float64).eps)
"""Sums that differ by less than this share of what they are sums of are taken for equal."""

# Resamples that stand in memory at once.
_BATCH = 1_000


def mean_intervals(figures: Matrix, resamples: int = RESAMPLES, seed: int = 0) -> tuple[Matrix, Matrix]:
    """Lower and upper ends of the 95 % percentile bootstrap interval of each column's mean, (columns,).

    Args:
        figures: one figure a query, (queries, columns).
        resamples: bootstrap samples of the queries, the same for all columns.
        seed: of the bootstrap.
    """
    queries, generator = len(figures), np.random.default_rng(seed)
    even = np.full(queries, 1 / queries)
    means = [generator.multinomial(queries, even, rows) @ figures / queries for rows in _batches(resamples)]
    low, high = np.percentile(np.concatenate(means), [2.5, 97.5], axis=0)
    return low, high


def randomisation_p(differences: Matrix, resamples: int = RESAMPLES, seed: int = 0) -> Matrix:
    """Two-sided p-values, (columns,), as `scipy.stats.permutation_test` counts them for samples of differences.

    Args:
        differences: one system's figure minus another's on each query, (queries, columns).
        resamples: random signs of the queries, the same for all columns; all signs where there are no more of them.
        seed: of the signs.

    Source: Smucker, Allan, Carterette, A Comparison of Statistical Significance Tests for Information Retrieval
    Evaluation, CIKM 2007.
    """
    queries = len(differences)
    observed = differences.sum(axis=0)
    tolerance = TOLERANCE * np.abs(differences).sum(axis=0)
    exact = all_signs_counted(queries, resamples)
    smaller, larger = np.zeros(len(observed)), np.zeros(len(observed))
    for signs in _all_signs(queries) if exact else _random_signs(queries, resamples, np.random.default_rng(seed)):
        sums = signs @ differences
        smaller += (sums <= observed + tolerance).sum(axis=0)
        larger += (sums >= observed - tolerance).sum(axis=0)
    # the signs that were seen are one more of the ways that chance could have drawn
    count, more = (2**queries, 0) if exact else (resamples, 1)
    return np.minimum(1.0, 2 * (np.minimum(smaller, larger) + more) / (count + more))


def all_signs_counted(queries: int, resamples: int) -> bool:
    """Whether `randomisation_p` counts every sign, and is exact."""
    return 2**queries <= resamples


def _all_signs(queries: int) -> Iterator[Matrix]:
    yield np.where(np.arange(2**queries)[:, None] >> np.arange(queries) & 1, -1.0, 1.0)


def _random_signs(queries: int, resamples: int, generator: np.random.Generator) -> Iterator[Matrix]:
    for rows in _batches(resamples):
        yield generator.choice(np.array([-1.0, 1.0]), (rows, queries))


def _batches(resamples: int) -> Iterator[int]:
    for done in range(0, resamples, _BATCH):
        yield min(_BATCH, resamples - done)
