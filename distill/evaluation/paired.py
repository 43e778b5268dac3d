"""Many paired comparisons at once: every pair of systems, measure and slice, by resampling and by t-tests."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy import optimize, stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestPower

from distill.evaluation.resampling import (
    RESAMPLES,
    TOLERANCE,
    Matrix,
    all_signs_counted,
    mean_intervals,
    randomisation_p,
)

POWER = 0.8
LEVEL = 0.05


@dataclass(frozen=True, slots=True)
class Paired:
    """What the queries say about differences, an entry of each array a comparison, (comparisons,).

    Args:
        mean: mean difference.
        low: lower end of its 95 % bootstrap interval (percentiles over resampled queries).
        high: upper end.
        p_randomisation: two-sided; how often random signs give a mean as far from zero.
        p_t: two-sided, of the paired t-test; 1 where all differences are zero.
        p_value: the one to correct for many comparisons: of the randomisation test where all signs were counted, else
            of the t-test, as 10,000 random signs tell nothing below .0002 and a correction multiplies that.
        effect_size: mean over standard deviation of the differences (Cohen's d for pairs); 0 where all are zero.
        detectable: the smallest mean difference that this number of queries, as unequal as these, shows in four of five
            experiments (t-test at 5 %); not a number where all differ alike, which tells nothing of others.
    """

    mean: Matrix
    low: Matrix
    high: Matrix
    p_randomisation: Matrix
    p_t: Matrix
    p_value: Matrix
    effect_size: Matrix
    detectable: Matrix


def paired(differences: Matrix, resamples: int = RESAMPLES, seed: int = 0) -> Paired:
    """Test each column of differences (queries, comparisons) against zero.

    Args:
        differences: one system's figure minus another's on each query; all columns over the same queries.
        resamples: random signs and bootstrap samples; with few queries all signs are counted instead.
        seed: of both.

    Raises:
        ValueError: fewer than two queries.

    Source: Smucker, Allan, Carterette, CIKM 2007 (randomisation test); Sakai, SIGIR 2016 (effect sizes and power).
    """
    queries = len(differences)
    if queries < 2:
        raise ValueError(f"{queries} queries; a paired test needs at least two")
    mean, spread = differences.mean(axis=0), differences.std(axis=0, ddof=1)
    # columns without any spread have no t; a constant difference is certain, none at all is none
    constant = spread <= TOLERANCE * np.abs(mean)
    with np.errstate(divide="ignore", invalid="ignore"):
        effect = np.where(constant, np.where(mean == 0, 0.0, np.sign(mean) * np.inf), mean / spread)
    p_t = 2 * stats.t.sf(np.abs(effect) * queries**0.5, queries - 1)
    p_randomisation = randomisation_p(differences, resamples, seed)
    low, high = mean_intervals(differences, resamples, seed)
    return Paired(
        mean=mean,
        low=low,
        high=high,
        p_randomisation=p_randomisation,
        p_t=p_t,
        p_value=p_randomisation if all_signs_counted(queries, resamples) else p_t,
        effect_size=effect,
        detectable=np.where(constant, math.nan, detectable_effect(queries) * spread),
    )


def holm(p_values: Sequence[float]) -> list[float]:
    """The p-values adjusted for all of them together by Holm's step-down method."""
    return multipletests(p_values, method="holm")[1].tolist() if len(p_values) else []


@cache
def detectable_effect(queries: int) -> float:
    """The effect size that a two-sided t-test at 5 % finds in four of five experiments with so many queries.

    Not a number below four queries, where there is next to nothing that a test finds.
    """
    if queries < 4:
        return math.nan
    # it is near 2.8 standard errors; solve_power looks further away, where the power of few queries is not a number
    power = TTestPower().power
    found = optimize.brentq(lambda errors: power(errors / queries**0.5, queries, LEVEL) - POWER, 2.5, 5.0)
    return float(found) / queries**0.5
