"""Means with their intervals as a table shows them."""

import pytest
import torch

from distill.evaluation.statistics import Interval, PairedDifference
from distill.studies.intervals import difference, mean_of, span


def test_a_span_is_the_mean_with_its_ends():
    found = Interval(0.12345, -0.5, 1.0)
    assert span(found) == "0.123 (-0.500 to 1.000)"
    assert span(found, "+.1f") == "+0.1 (-0.5 to +1.0)"
    assert difference(PairedDifference(found, 0.04)) == ("+0.123 (-0.500 to +1.000)", 0.04)


def test_the_mean_of_many_figures_has_about_the_normal_interval():
    values = torch.arange(400.0) / 400
    found = mean_of(values)
    error = float(values.std()) / 20
    assert found.mean == pytest.approx(float(values.mean()))
    assert (found.low, found.high) == pytest.approx((found.mean - 1.96 * error, found.mean + 1.96 * error), abs=0.004)
