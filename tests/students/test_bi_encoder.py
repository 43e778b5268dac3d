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
def test_prompts_of_the_model_stand_before_queries_and_documents(embedded_encoder, tmp_path):
    from sentence_transformers import SentenceTransformer

    plain = SentenceTransformer(embedded_encoder)
    encoder = SentenceTransformer(embedded_encoder, prompts={"query": "query: ", "document": "passage: "})
    encoder.save(str(tmp_path / "prompted"))
    query, documents = "open a file", ["Open a file.", "open a file", "Sort the array in place."]
    found = BiEncoder(tmp_path / "prompted").score_pairs(query, documents)
    behind = plain.encode([f"passage: {document}" for document in documents])
    expected = plain.similarity(plain.encode(f"query: {query}"), behind)[0]
    assert found == pytest.approx(expected.tolist(), abs=1e-5)


@pytest.mark.embedded
def test_an_empty_list_gets_no_scores(embedded_encoder):
    assert BiEncoder(embedded_encoder).score_many([("a query", [])]) == [[]]
