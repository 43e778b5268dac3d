"""Changed queries and moved documents, by hand."""

from distill.evaluation.changes import Movement, largest_changes, movements
from distill.evaluation.comparison import compare


def places(order):
    return {doc: -float(place) for place, doc in enumerate(order)}


def test_the_largest_changes_come_first_and_equal_queries_never():
    qrels = {"up": {"a": 1}, "far up": {"a": 1}, "down": {"a": 1}, "far down": {"a": 1}, "same": {"a": 1}}
    runs = {
        "old": {
            "up": places("ba"),
            "far up": places("bcda"),
            "down": places("ab"),
            "far down": places("abcd"),
            "same": places("ab"),
        },
        "new": {
            "up": places("ab"),
            "far up": places("abcd"),
            "down": places("ba"),
            "far down": places("bcda"),
            "same": places("ab"),
        },
    }
    worst, best = largest_changes(compare(runs, qrels, ["RR@10"]), runs, qrels, "new", "old")
    assert [(change.query_id, change.difference) for change in worst] == [("far down", -3 / 4), ("down", -1 / 2)]
    assert [(change.query_id, change.difference) for change in best] == [("far up", 3 / 4), ("up", 1 / 2)]
    worst, _ = largest_changes(compare(runs, qrels, ["RR@10"]), runs, qrels, "new", "old", count=1)
    assert [change.query_id for change in worst] == ["far down"]


def test_movements_tell_first_and_relevant_documents():
    found = movements(places("abcde"), places("cfade"), {"e": 1, "g": 2, "b": 0, "d": 0}, depth=2)
    assert found == (
        Movement("a", None, 3, 1),
        Movement("b", 0, None, 2),
        Movement("c", None, 1, 3),
        Movement("e", 1, 5, 5),
        Movement("f", None, 2, None),
        Movement("g", 2, None, None),
    )
