"""Paired statistics against cases worked by hand, and invariants."""

import numpy as np
import pytest

from distill.evaluation.paired import paired
from distill.evaluation.statistics import mean_interval, paired_difference


def test_the_randomisation_test_counts_sign_flips():
    # of the 16 ways to flip four equal signs, two (all, none) give a mean as far from zero
    found = paired_difference([0.5, 0.6, 0.7, 0.8], [0.4, 0.5, 0.6, 0.7])
    assert found.p_value == pytest.approx(2 / 16)
    assert found.interval.mean == pytest.approx(0.1)


def test_a_difference_of_one_sign_but_one():
    # differences 3, 2, 1, -1: of 16 flips, means at least 5/4 from zero have sums 7, 5, 5 and their mirror images
    found = paired_difference([3.0, 2.0, 1.0, 0.0], [0.0, 0.0, 0.0, 1.0])
    assert found.p_value == pytest.approx(6 / 16)


def test_swapping_the_two_mirrors_the_difference():
    generator = np.random.default_rng(0)
    a, b = generator.random(40).tolist(), generator.random(40).tolist()
    there, back = paired_difference(a, b), paired_difference(b, a)
    assert there.interval.mean == pytest.approx(-back.interval.mean)
    assert there.p_value == pytest.approx(back.p_value, abs=0.02)


def test_equal_rankers_differ_by_nothing_for_certain():
    found = paired_difference([0.3, 0.9, 0.1], [0.3, 0.9, 0.1])
    assert (found.interval.low, found.interval.high, found.p_value) == (0.0, 0.0, 1.0)


def test_the_interval_is_about_two_standard_errors_wide():
    values = np.random.default_rng(1).normal(0.5, 0.1, 400)
    found = mean_interval(values.tolist())
    error = values.std(ddof=1) / 20
    assert found.mean == pytest.approx(values.mean())
    assert found.high - found.low == pytest.approx(2 * 1.96 * error, rel=0.1)


def test_a_comparison_of_many_says_of_each_what_one_alone_says():
    figures = np.random.default_rng(2).random((60, 3))
    among = paired(figures - figures[:, :1])
    for place, column in enumerate(figures.T):
        alone = paired_difference(column.tolist(), figures[:, 0].tolist())
        assert (alone.interval.low, alone.interval.high) == pytest.approx((among.low[place], among.high[place]))
        assert alone.p_value == among.p_randomisation[place]


def test_pairs_must_be_pairs():
    with pytest.raises(ValueError, match="3 queries against 2"):
        paired_difference([1, 2, 3], [1, 2])
    with pytest.raises(ValueError, match="at least two"):
        mean_interval([1.0])
