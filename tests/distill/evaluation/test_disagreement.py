"""Two runs side by side, by hand."""

import pytest

from distill.collections.collection import DataError
from distill.evaluation.disagreement import disagreement


def places(order):
    return {doc: -float(place) for place, doc in enumerate(order)}


def test_the_least_alike_come_first_with_both_lists():
    first = {"same": places("abc"), "turned": places("abc"), "apart": places("abc"), "left": places("a")}
    second = {"right": places("a"), "apart": places("xyz"), "same": places("abc"), "turned": places("cba")}
    found = disagreement(first, second, ("old", "new"), depth=2)
    assert [(row.query_id, row.common) for row in found.queries] == [("apart", 0), ("turned", 1), ("same", 2)]
    assert [row.tau_b for row in found.queries[1:]] == pytest.approx([-1, 1])
    assert (found.queries[0].first, found.queries[0].second) == (("a", "b"), ("x", "y"))
    assert found.only == {"old": ("left",), "new": ("right",)}
    assert found.agreement.queries == 3 and found.agreement.top_1 == pytest.approx(1 / 3)


def test_runs_of_other_queries_are_refused():
    with pytest.raises(DataError, match="share no query"):
        disagreement({"a": places("x")}, {"b": places("x")}, ("old", "new"))
