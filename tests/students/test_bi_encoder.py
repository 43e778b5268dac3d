import pytest

from students.bi_encoder import BiEncoder


@pytest.mark.embedded
def test_scores_are_cosines_of_the_documents_in_the_order_given(embedded_encoder):
    from sentence_transformers import SentenceTransformer

    lists = [("sort an array", ["Sort the array in place.", "Open a file."]), ("open a file", ["Open a file."])]
    scores = BiEncoder(embedded_encoder).score_many(lists)
    encoder = SentenceTransformer(embedded_encoder)
    for (query, documents), row in zip(lists, scores, strict=True):
        expected = encoder.similarity(encoder.encode(query), encoder.encode(documents))[0]
        assert row == pytest.approx(expected.tolist(), abs=1e-5)
    assert scores[0][0] > scores[0][1]


@pytest.mark.embedded
def test_an_empty_list_gets_no_scores(embedded_encoder):
    assert BiEncoder(embedded_encoder).score_many([("a query", [])]) == [[]]
