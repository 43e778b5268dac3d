"""Agreement of two rankings, by hand and against a second implementation."""

import math

import numpy as np
import pytest
from scipy import stats

from distill.collections.collection import DataError
from distill.evaluation.agreement import agreement, rank_biased_overlap, standardised_pairs, tau_b


def run(*orders):
    return {f"q{i}": {doc: -float(place) for place, doc in enumerate(order)} for i, order in enumerate(orders)}


def overlap_by_definition(first, second, p, depth=20_000):
    """Rank-biased overlap with both lists continued in agreement as far as extrapolation assumes."""
    shared = [len({*first[:d]} & {*second[:d]}) / d for d in range(1, len(first) + 1)]
    shared += [shared[-1]] * (depth - len(shared))
    return (1 - p) * sum(p ** (d - 1) * value for d, value in enumerate(shared, start=1))


def test_lists_of_one_length_agree_with_the_definition():
    chance = np.random.default_rng(0)
    for _ in range(20):
        first, second = (list(map(str, chance.permutation(14)[:9])) for _ in range(2))
        expected = overlap_by_definition(first, second, 0.9)
        assert rank_biased_overlap(first, second) == pytest.approx(expected, abs=1e-9)


def test_the_ends_of_rank_biased_overlap():
    assert rank_biased_overlap("abcd", "abcd") == pytest.approx(1)
    assert rank_biased_overlap("abcd", "wxyz") == 0
    assert rank_biased_overlap("", "ab") == 0
    # a list that ends early in full agreement is taken to go on so
    assert rank_biased_overlap("ab", "abcdef") == pytest.approx(1)
    assert rank_biased_overlap("abc", "bdaef") == pytest.approx(rank_biased_overlap("bdaef", "abc"))


def test_lists_of_two_lengths_by_hand():
    # p = .5, s = 1, l = 2: overlap 0 at depth 1, 1 at depth 2 ("b" and "ab"), so that X_s = 0, X_l = 1:
    # (1 - p) / p (0 + 1/2 p^2) + ((1 - 0) / 2 + 0) p^2 = 1/8 + 1/8
    assert rank_biased_overlap("b", "ab", 0.5) == pytest.approx(0.25)


def test_tau_counts_ties_as_tau_b():
    first, second = {"a": 3, "b": 2, "c": 2, "d": 1, "x": 9}, {"a": 3, "b": 1, "c": 2, "d": 1, "y": 9}
    # of the pairs of a, b, c, d: ab, ac, ad and cd agree, bc is tied in one, bd in the other
    assert tau_b(first, second) == pytest.approx(4 / math.sqrt(5 * 5))
    assert tau_b(first, second) == pytest.approx(stats.kendalltau([3, 2, 2, 1], [3, 1, 2, 1]).statistic)
    # float32 and trec_eval do not tell these apart, so that the order of the two is no disagreement
    assert tau_b({"a": 3.0, "b": 1.0 + 1e-9, "c": 1.0}, {"a": 3.0, "b": 1.0, "c": 1.0 + 1e-9}) == pytest.approx(1.0)
    assert math.isnan(tau_b({"a": 1}, {"a": 1})) and math.isnan(tau_b({"a": 1, "b": 1}, {"a": 1, "b": 2}))


def test_means_are_over_the_queries_of_both():
    found = agreement(run("abc", "abc", "abc"), run("abc", "cba"), depth=2)
    assert found.queries == 2
    assert found.tau_b == pytest.approx((1 - 1) / 2)
    assert found.top_1 == pytest.approx(1 / 2)
    # the first two: all of them, then b alone
    assert found.overlap == pytest.approx((1 + 1 / 2) / 2)


def test_runs_without_a_common_query_are_refused():
    with pytest.raises(DataError, match="share no query"):
        agreement({"a": {"d": 1.0}}, {"b": {"d": 1.0}})


def test_scores_are_set_side_by_side_in_units_of_their_own_list():
    run = {"q": {"a": 1.0, "b": 2.0, "c": 3.0, "x": 9.0}, "tied": {"a": 1.0, "b": 1.0}, "alone": {"a": 1.0}}
    other = {"q": {"a": 30.0, "b": 10.0, "c": 20.0, "y": 0.0}, "tied": {"a": 1.0, "b": 2.0}, "alone": {"a": 1.0}}
    # of three equally spaced numbers the outer ones are the root of 3/2 deviations from the middle
    far = math.sqrt(3 / 2)
    assert standardised_pairs(run, other) == [pytest.approx(pair) for pair in [(far, -far), (-far, 0), (0, far)]]
    assert len(standardised_pairs(run, other, most=2)) == 2
