"""What a collection answers, and when two of them are the same."""

from dataclasses import replace

import pytest

from distill.collections.collection import Collection, DataError, Document

COLLECTION = Collection(
    "tiny",
    {"d1": Document("d1", "Heads", "of attention"), "d2": Document("d2", "", "untitled")},
    {"q1": "what attends", "q2": "what else"},
    {"test": {"q1": {"d1": 1, "d2": 0}}},
    {"q1": {"frequency": 3}},
)


def test_the_title_comes_before_the_text_where_there_is_one():
    assert COLLECTION.text("d1") == "Heads of attention"
    assert COLLECTION.text("d2") == "untitled"


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda c: c.text("d9"), "collection tiny has no document 'd9'"),
        (lambda c: c.query("q9"), "collection tiny has no query 'q9'"),
        (lambda c: c.split("dev"), "collection tiny has no split 'dev'; it has test"),
    ],
)
def test_what_is_not_there_is_named(ask, message):
    with pytest.raises(DataError, match=message):
        ask(COLLECTION)


def test_the_fingerprint_does_not_depend_on_order_or_name():
    turned = Collection(
        "other",
        dict(reversed(COLLECTION.documents.items())),
        dict(reversed(COLLECTION.queries.items())),
        {"test": {"q1": {"d2": 0, "d1": 1}}},
        COLLECTION.query_metadata,
    )
    assert turned.fingerprint() == COLLECTION.fingerprint()


@pytest.mark.parametrize(
    "change",
    [
        {"documents": {**COLLECTION.documents, "d2": Document("d2", "", "Untitled")}},
        {"documents": {**COLLECTION.documents, "d2": Document("d2", "untitled", "")}},
        {"documents": {**COLLECTION.documents, "d2": Document("d2", "", "untitled", {"year": 1})}},
        {"queries": {"q1": "what attends"}},
        {"qrels": {"test": {"q1": {"d1": 1, "d2": 1}}}},
        {"qrels": {"dev": {"q1": {"d1": 1, "d2": 0}}}},
        {"query_metadata": {"q1": {"frequency": 4}}},
    ],
)
def test_every_part_of_the_content_changes_the_fingerprint(change):
    assert replace(COLLECTION, **change).fingerprint() != COLLECTION.fingerprint()
