"""Partly re-ranked lists, by hand."""

import pytest

from distill.collections.collection import DataError
from distill.collections.trec import ranking
from distill.evaluation.depth import partly_reranked

FIRST = {"q": {"a": 9.0, "b": 8.0, "c": 7.0, "d": 6.0}}
AGAIN = {"q": {"a": 0.1, "b": 0.3, "c": 0.2, "d": 0.9}}


@pytest.mark.parametrize(
    ("depth", "order"), [(0, "abcd"), (1, "abcd"), (2, "bacd"), (3, "bcad"), (4, "dbca"), (9, "dbca")]
)
def test_only_the_first_documents_move(depth, order):
    assert "".join(ranking(partly_reranked(FIRST, AGAIN, depth)["q"])) == order


def test_a_document_that_was_not_scored_cannot_be_placed():
    with pytest.raises(DataError, match="query 'q': document 'b' was not re-ranked; depth 2 needs it"):
        partly_reranked(FIRST, {"q": {"a": 1.0}}, 2)
    assert list(partly_reranked(FIRST, {"q": {"a": 1.0}}, 1)["q"]) == list("abcd")
