"""Ratios of sums against cases worked by hand and the delta method."""

import numpy as np
import pytest

from distill.evaluation.ratios import ratio_interval


def test_the_ratio_is_of_the_sums_not_the_mean_of_the_ratios():
    assert ratio_interval(np.array([1.0, 9.0]), np.array([1.0, 19.0])).mean == 0.5


def test_the_interval_is_the_delta_methods():
    generator = np.random.default_rng(0)
    wholes = generator.integers(1, 10, 400).astype(float)
    parts = wholes * generator.normal(0.3, 0.1, 400)
    found = ratio_interval(parts, wholes)
    # the ratio's error is that of the mean of part - ratio * whole, over the mean whole
    error = np.std(parts - found.mean * wholes, ddof=1) / np.sqrt(400) / wholes.mean()
    assert found.high - found.low == pytest.approx(2 * 1.96 * error, rel=0.1)


def test_a_constant_ratio_is_certain():
    found = ratio_interval(np.array([1.0, 2.0, 3.0]), np.array([2.0, 4.0, 6.0]))
    assert (found.low, found.mean, found.high) == pytest.approx((0.5, 0.5, 0.5))


def test_sets_without_a_whole_count_as_told():
    # one set in four draws the empty query twice
    parts, wholes = np.array([0.0, 1.0]), np.array([0.0, 1.0])
    assert ratio_interval(parts, wholes).low == 1.0
    assert ratio_interval(parts, wholes, undefined=0.5).low == 0.5


@pytest.mark.parametrize(
    ("parts", "wholes", "said"),
    [([1, 2], [1, 2, 3], "2 figures over 3"), ([1], [1], "1 queries"), ([1, 2], [0, 0], "sum to 0")],
)
def test_what_has_no_interval_is_refused(parts, wholes, said):
    with pytest.raises(ValueError, match=said):
        ratio_interval(np.array(parts), np.array(wholes))
