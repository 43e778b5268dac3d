import math

import pytest

from students.dev import check_dev, dev_ndcg


class Given:
    """Scores every document by the number at its end."""

    def score_many(self, lists):
        return [[float(document.split()[-1]) for document in documents] for _, documents in lists]


def row(query_id, scores, relevance):
    doc_ids = [chr(ord("a") + i) for i in range(len(scores))]
    docs = [f"text {score}" for score in scores]
    return {"query_id": query_id, "query": "q", "doc_ids": doc_ids, "docs": docs, "relevance": relevance}


def test_ndcg_by_hand_with_grades():
    # order b (grade 1), a (grade 2), c: dcg = 1 + 2 / log2(3); ideal = 2 + 1 / log2(3)
    expected = (1 + 2 / math.log2(3)) / (2 + 1 / math.log2(3))
    assert dev_ndcg(Given(), [row("q", [2, 3, 1], {"a": 2, "b": 1})]) == pytest.approx(expected)


def test_judgments_of_documents_that_are_no_candidates_do_not_count():
    assert dev_ndcg(Given(), [row("q", [3, 1], {"a": 1, "missed": 3})]) == 1.0


def test_ties_go_to_the_higher_document_id():
    assert dev_ndcg(Given(), [row("q", [1, 1], {"a": 1})]) == pytest.approx(1 / math.log2(3))


def test_lists_without_a_relevant_candidate_are_left_out():
    rows = [row("q1", [1, 2], {"a": 1}), row("q2", [1, 2], {"missed": 1}), row("q3", [1, 2], {"a": 0})]
    assert [kept["query_id"] for kept in check_dev(rows)] == ["q1"]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([row("q", [1, 2], {"missed": 1})], "none of the 1 dev lists has a relevant candidate"),
        ([row("q", [1, 2], {"a": 1}) | {"doc_ids": ["a"]}], "dev query 'q': 1 doc_ids but 2 docs"),
        ([row("q", [1, 2], {"a": 1}) | {"doc_ids": ["a", "a"]}], "dev query 'q': a document id occurs twice"),
    ],
)
def test_lists_that_cannot_be_measured_are_refused(rows, message):
    with pytest.raises(ValueError, match=message):
        check_dev(rows)
