import pytest

from labeling import LabelingError
from labeling.formats import label_lists, labels_dataset, labels_run
from labeling.job import run_label_job
from labeling.label_lists import CandidateList

QUERIES = {"q2": "red fox", "q1": "blue sea"}
DOCUMENTS = {
    "d1": "old hen",
    "d2": "a fox. red fox runs",
    "d3": "red hen",
    "d4": "old fox",
    "d5": "blue sea",
    "d6": "deep sea",
}


class EvidenceJudge:
    """Words shared with the query; the evidence is the last sentence of what shares two."""

    def judge(self, query, documents):
        shared = [len(set(query.split()) & set(document.replace(".", "").split())) for document in documents]
        return [
            {"score": float(count), "missing": count == 0, "confidence": 0.5 if query == "red fox" else None}
            | ({"evidence": (document.rfind(". ") + 2 if ". " in document else 0, len(document))} if count == 2 else {})
            | ({"reason": "it is at sea"} if document == "deep sea" else {})
            for count, document in zip(shared, documents, strict=True)
        ]

    def describe(self):
        return {"name": "evidence"}


@pytest.fixture
def folder(tmp_path):
    wanted = {"q2": ["d1", "d3", "d2", "d4"], "q1": ["d1", "d6", "d5"]}
    lists = [
        CandidateList(query_id, QUERIES[query_id], doc_ids, [DOCUMENTS[doc_id] for doc_id in doc_ids])
        for query_id, doc_ids in wanted.items()
    ]
    run_label_job(lists, EvidenceJudge(), tmp_path / "labels")
    return tmp_path / "labels"


def test_the_dataset_by_hand(folder):
    dataset = labels_dataset(folder, DOCUMENTS, QUERIES)
    assert dataset.to_list() == [
        {
            "query_id": "q2",
            "query": "red fox",
            "doc_ids": ["d2", "d3", "d4", "d1"],
            "docs": ["a fox. red fox runs", "red hen", "old fox", "old hen"],
            "labels": [3.0, 2.0, 2.0, 1.0],
            "scores": [2.0, 1.0, 1.0, 0.0],
            "groups": ["ranked", "ranked", "ranked", "missing"],
            "evidence": ["red fox runs", "", "", ""],
            "confidence": 0.5,
        },
        {
            "query_id": "q1",
            "query": "blue sea",
            "doc_ids": ["d5", "d6", "d1"],
            "docs": ["blue sea", "deep sea", "old hen"],
            "labels": [3.0, 2.0, 1.0],
            "scores": [2.0, 1.0, 0.0],
            "groups": ["ranked", "ranked", "missing"],
            "evidence": ["blue sea", "it is at sea", ""],
            "confidence": None,
        },
    ]


def test_random_documents_come_last_tied_and_from_other_queries(folder):
    first, second = labels_dataset(folder, DOCUMENTS, QUERIES, random=2, seed=1)
    assert set(first["doc_ids"][4:]) == {"d5", "d6"}
    assert set(second["doc_ids"][3:]) < {"d2", "d3", "d4"}
    for row in (first, second):
        assert row["labels"][-2:] == [0.0, 0.0]
        assert row["groups"][-2:] == ["random", "random"]
        assert row["docs"] == [DOCUMENTS[doc_id] for doc_id in row["doc_ids"]]
        assert len(row["docs"]) == len(row["labels"]) == len(row["groups"]) == len(row["evidence"])


def test_the_run_ranks_as_the_labels_do(folder):
    assert labels_run(folder) == {
        "q2": {"d2": 3.0, "d3": 2.0, "d4": 2.0, "d1": 1.0},
        "q1": {"d5": 3.0, "d6": 2.0, "d1": 1.0},
    }


@pytest.mark.parametrize(("documents", "queries", "missing"), [({}, QUERIES, "d2"), (DOCUMENTS, {}, "q2")])
def test_an_id_without_text_is_named(folder, documents, queries, missing):
    with pytest.raises(LabelingError, match=f"no text for the labelled id '{missing}'"):
        labels_dataset(folder, documents, queries)


def test_a_text_that_is_not_the_judged_one_is_refused(folder):
    for documents, queries, name in [
        (DOCUMENTS | {"d4": "old foxes"}, QUERIES, "document 'd4'"),
        (DOCUMENTS, QUERIES | {"q2": "red foxes"}, "the query"),
    ]:
        with pytest.raises(LabelingError, match=f"query 'q2': {name} has another text than when it was judged"):
            labels_dataset(folder, documents, queries)


def test_half_a_character_does_not_keep_a_list_from_training(tmp_path):
    texts = {"d1": "red \ud83d fox", "d2": "hen"}
    lists = [CandidateList("q", "red \udc00", list(texts), list(texts.values()))]
    run_label_job(lists, EvidenceJudge(), tmp_path / "labels")
    (row,) = labels_dataset(tmp_path / "labels", texts, {"q": "red \udc00"})
    assert (row["query"], row["docs"]) == ("red \ufffd", ["red \ufffd fox", "hen"])


def test_a_folder_without_any_list_gives_an_empty_dataset(tmp_path):
    run_label_job([], EvidenceJudge(), tmp_path / "labels")
    assert list(label_lists(tmp_path / "labels", random=3)) == []
    dataset = labels_dataset(tmp_path / "labels", DOCUMENTS, QUERIES)
    assert (dataset.num_rows, "labels" in dataset.column_names) == (0, True)
