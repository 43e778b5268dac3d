"""The filtered join must find what comparing all with all finds."""

import random
from itertools import combinations, permutations

import pytest

from distill.collections.near_duplicates import groups, jaccard, shingles, similar_pairs


def test_shingles_are_runs_of_words():
    assert shingles("Read the file, ONCE or 2 times", 3) == {
        "read the file", "the file once", "file once or", "once or 2", "or 2 times",
    }  # fmt: skip
    assert shingles("two words", 3) == {"two words"}


def test_jaccard_by_hand():
    assert jaccard(frozenset("abcd"), frozenset("bcde")) == 3 / 5
    assert jaccard(frozenset(), frozenset()) == 0


@pytest.mark.parametrize("threshold", [0.2, 0.5, 0.8, 1.0])
def test_the_join_equals_a_double_loop(threshold):
    rng = random.Random(0)
    sets = {f"s{i}": frozenset(rng.sample("abcdefghij", rng.randint(0, 6))) for i in range(120)}
    expected = {(a, b) for a, b in combinations(sorted(sets), 2) if jaccard(sets[a], sets[b]) >= threshold}
    found = list(similar_pairs(sets, threshold))
    assert len(expected) > 5
    assert set(found) == expected
    assert len(found) == len(expected)


@pytest.mark.parametrize("threshold", [0, -0.1, 1.1])
def test_a_threshold_out_of_range_is_refused(threshold):
    with pytest.raises(ValueError, match="accepted are numbers above 0 and up to 1"):
        list(similar_pairs({"a": frozenset("a")}, threshold))


def test_groups_are_led_by_their_smallest_name_whatever_the_order_of_pairs():
    expected = {"a": "a", "b": "b", "c": "c", "d": "b", "e": "b", "f": "c"}
    for pairs in permutations([("d", "e"), ("b", "e"), ("f", "c")]):
        assert groups("abcdef", pairs) == groups("fedcba", pairs) == expected
