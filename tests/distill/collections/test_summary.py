"""Counts of a collection, by hand."""

from distill.collections.collection import Collection, Document
from distill.collections.summary import SplitSummary, Summary, summarize


def test_counts_by_hand():
    collection = Collection(
        "tiny",
        {"d1": Document("d1", "one", "two three"), "d2": Document("d2", "", ""), "d3": Document("d3", "", "four")},
        {"q1": "a b", "q2": "a b c"},
        {"dev": {"q1": {"d1": 2, "d2": 0}, "q2": {"d3": 0}}},
    )
    assert summarize(collection) == Summary(3, 1, 1.0, 2, 2.5, {"dev": SplitSummary(2, 1, 3, 1)})


def test_an_empty_collection_has_zeros():
    assert summarize(Collection("none", {}, {})) == Summary(0, 0, 0.0, 0, 0.0, {})
