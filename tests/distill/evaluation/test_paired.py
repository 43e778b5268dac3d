"""Many paired comparisons at once, held against scipy and statsmodels one at a time, by hand, and under the null."""

import math

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.power import TTestPower

from distill.evaluation.paired import detectable_effect, holm, paired


def test_few_queries_are_counted_exactly_as_scipy_counts_them():
    # in eighths, which add up without rounding, so that ties are ties
    differences = np.random.default_rng(0).normal(2, 8, (10, 5)).round() / 8
    found = paired(differences)
    for column, p, p_t in zip(differences.T, found.p_randomisation, found.p_t, strict=True):
        exact = stats.permutation_test((column,), np.mean, permutation_type="samples", n_resamples=10_000)
        assert p == pytest.approx(exact.pvalue, abs=1e-12)
        assert p_t == pytest.approx(stats.ttest_1samp(column, 0).pvalue, abs=1e-12)
    np.testing.assert_array_equal(found.p_value, found.p_randomisation)


def test_many_queries_are_tested_as_scipy_tests_them():
    differences = np.random.default_rng(1).normal(0.1, 1, (120, 3))
    found = paired(differences)
    for place, column in enumerate(differences.T):
        test = stats.permutation_test((column,), np.mean, permutation_type="samples", n_resamples=10_000, rng=2)
        ends = stats.bootstrap((column,), np.mean, method="percentile", rng=3).confidence_interval
        # two estimates of a proportion from 10,000 draws each
        assert found.p_randomisation[place] == pytest.approx(test.pvalue, abs=4 * math.sqrt(2 * 0.25 / 10_000))
        assert (found.low[place], found.high[place]) == pytest.approx((ends.low, ends.high), abs=0.01)
        assert found.effect_size[place] == pytest.approx(column.mean() / column.std(ddof=1))
    np.testing.assert_array_equal(found.p_value, found.p_t)


def test_by_hand():
    # of the 16 ways to sign 3, 2, 1 and -1, six have a sum of 5 or more, or of -5 or less
    found = paired(np.array([[3.0], [2.0], [1.0], [-1.0]]))
    assert found.p_randomisation[0] == pytest.approx(6 / 16)
    assert found.mean[0] == pytest.approx(5 / 4)


def test_columns_without_spread():
    found = paired(np.array([[0.0, 0.2]] * 20))
    assert found.p_t.tolist() == [1.0, 0.0]
    assert found.p_randomisation[0] == 1.0 and 0 < found.p_randomisation[1] < 0.001
    assert found.effect_size.tolist() == [0.0, math.inf]
    assert (found.low[0], found.high[0]) == (0.0, 0.0)
    assert np.isnan(found.detectable).all()


def test_one_seed_gives_one_answer_whatever_stands_beside():
    differences = np.random.default_rng(5).normal(0, 1, (40, 4))
    alone, beside = paired(differences[:, :1], seed=3), paired(differences, seed=3)
    assert alone.p_randomisation[0] == beside.p_randomisation[0]
    assert alone.low[0] == pytest.approx(beside.low[0])


def test_sums_that_differ_by_rounding_are_equal():
    # of tenths, which binary fractions round: as many ways to sign them are as far from zero as of their tenfold
    tenths = np.random.default_rng(3).normal(3, 10, (10, 8)).round()
    np.testing.assert_array_equal(paired(tenths / 10).p_randomisation, paired(tenths).p_randomisation)


@pytest.mark.parametrize("queries", [8, 60])
def test_under_the_null_one_test_in_twenty_is_below_five_percent(queries):
    # skewed, many ties, and no difference: what the two systems have is exchangeable
    chance = np.random.default_rng(queries)
    figures = chance.beta(0.5, 1.5, (2, queries, 1_000)).round(1)
    found = paired(figures[0] - figures[1], resamples=2_000)
    error = math.sqrt(0.05 * 0.95 / 1_000)
    # eight queries have few different p-values, so that the exact test stays below its level
    least = 0.05 - 4 * error if queries > 8 else 0.01
    assert least < (found.p_randomisation < 0.05).mean() < 0.05 + 4 * error
    assert least < (found.p_t < 0.05).mean() < 0.05 + 4 * error
    covered = (found.low <= 0) & (found.high >= 0)
    assert covered.mean() > (0.93 if queries > 8 else 0.85)


def test_holm_by_hand():
    # .01 x 3, then .03 x 2, then .04, which may not be below the one before
    assert holm([0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.03, 0.06])
    assert holm([]) == []


@pytest.mark.parametrize("queries", [4, 5, 9, 12, 30, 243, 100_000])
def test_the_detectable_effect_has_the_power_that_is_claimed(queries):
    power = TTestPower().power(detectable_effect(queries), queries, 0.05)
    assert power == pytest.approx(0.8, abs=1e-6)


def test_a_detectable_difference_is_found_four_times_in_five():
    chance = np.random.default_rng(0)
    effect = detectable_effect(50)
    found = paired(chance.normal(effect, 1, (50, 1_000)), resamples=100)
    assert (found.p_t < 0.05).mean() == pytest.approx(0.8, abs=0.05)
    assert math.isnan(detectable_effect(3))


def test_one_query_is_no_comparison():
    with pytest.raises(ValueError, match="1 queries"):
        paired(np.zeros((1, 2)))
