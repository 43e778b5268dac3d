"""`distill label --judgments`: people's judgments as a label folder that students learn like a teacher's."""

import json

import pytest
import pytrec_eval

from distill.collections.beir import read_beir
from distill.collections.collection import Collection, Document
from distill.collections.trec import write_run
from distill.recipe.settings import JudgeSection, ListSection
from distill.stages.judge_sources import JudgmentSource
from distill.stages.judgments import Judgments
from distill.stages.training_lists import training_lists
from labeling.formats import label_lists, labels_run
from labeling.manifest import load_manifest


@pytest.fixture(scope="module")
def judged(beir_folder):
    """Query, document and grade of each line of the training judgments as the file has them."""
    lines = (beir_folder / "qrels" / "train.tsv").read_text().splitlines()[1:]
    rows = [line.split("\t") for line in lines]
    return {query_id: {doc: int(grade) for q, doc, grade in rows if q == query_id} for query_id, _, _ in rows}


@pytest.fixture
def run(beir_folder, judged, tmp_path):
    """Every judged document and six others of each query, those of a test query too, best last."""
    documents = list(read_beir(beir_folder).documents)
    tested = next(iter(read_beir(beir_folder).split("test")))
    found = {query_id: [*documents[:6], *(doc for doc in row if doc not in documents[:6])]
             for query_id, row in [*judged.items(), (tested, {})]}  # fmt: skip
    ranked = {query_id: {doc: -float(place) for place, doc in enumerate(row)} for query_id, row in found.items()}
    write_run(ranked, tmp_path / "own.run")
    return tmp_path / "own.run"


def test_labels_are_the_judgments(distill, beir_folder, judged, run, tmp_path):
    labels = tmp_path / "labels"
    given = ["--collection", beir_folder, "--run", run, "--judgments", "train"]
    code, shown, error = distill("label", *given, "--out", labels)
    assert (code, error) == (0, "")
    assert f"1 of {len(judged) + 1} queries are left out: no judgments of train" in shown
    found = {entry.query_id: entry for entry in label_lists(labels)}
    assert found.keys() == judged.keys()
    for query_id, entry in found.items():
        grades = [judged[query_id].get(doc_id, 0) for doc_id in entry.doc_ids]
        assert entry.scores == grades == sorted(grades, reverse=True)
        assert entry.groups == ["ranked" if grade > 0 else "missing" for grade in grades]
    qrels = {query_id: {doc: max(0, grade) for doc, grade in row.items()} for query_id, row in judged.items()}
    measured = pytrec_eval.RelevanceEvaluator(qrels, {"ndcg_cut.10"}).evaluate(labels_run(labels))
    assert {row["ndcg_cut_10"] for row in measured.values()} == {1.0}
    # a second run of the command finds every list
    assert f"({len(judged)} stood already)" in distill("label", *given, "--out", labels)[1]


def test_students_learn_them_beside_a_teachers_labels(distill, beir_folder, encoder_folder, run, tmp_path):
    distill("label", "--collection", beir_folder, "--run", run, "--judgments", "train", "--out", tmp_path / "people")
    distill("label", "--collection", beir_folder, "--run", run, "--bi-encoder", encoder_folder,
            "--out", tmp_path / "cosines")  # fmt: skip
    lists = training_lists(read_beir(beir_folder), [tmp_path / "people"], ListSection(random=2))
    # what is not relevant is tied, wherever it comes from
    assert all(len({score for score, name in zip(row["scores"], row["groups"], strict=True) if name != "ranked"}) == 1
               for row in lists)  # fmt: skip
    code, shown, error = distill(
        "train", "encoder", "--collection", beir_folder, "--labels", tmp_path / "cosines", "--labels",
        tmp_path / "people", "--out", tmp_path / "student", "--start", encoder_folder, "--max-tokens", 24,
    )  # fmt: skip
    assert code == 0, error
    card = (tmp_path / "student" / "README.md").read_text()
    for line in ('- teacher (1 of 2): {"method":"bi_encoder"}', '- teacher (2 of 2): {"method":"judgments"}'):
        assert line in card
    assert load_manifest(tmp_path / "people")["teacher"] in card


def test_another_judgment_is_another_judge(beir_folder, judged):
    collection = read_beir(beir_folder)
    (query_id, row), *_ = judged.items()
    (doc_id, grade), *_ = row.items()
    source = JudgmentSource(beir_folder, "train", JudgeSection())
    before = Judgments(collection, "train").describe()
    assert source.describe() == source.open().describe() == source.open_here(collection, {}).describe() == before
    collection.qrels["train"][query_id][doc_id] = grade + 1
    assert Judgments(collection, "train").describe() != before
    assert Judgments(collection, "test").describe() != before
    json.dumps(before)


def test_of_equal_texts_the_best_grade_counts():
    documents = {name: Document(name, "", text) for name, text in (("a", "same"), ("b", "same"), ("c", "other"))}
    judge = Judgments(Collection("c", documents, {"q": "asked"}, {"train": {"q": {"a": 2, "b": 0, "c": -1}}}), "train")
    assert judge.judge("asked", ["other", "same", "unknown"]) == [
        {"score": 0.0, "missing": True}, {"score": 2.0, "missing": False}, {"score": 0.0, "missing": True},
    ]  # fmt: skip


def test_a_split_that_is_not_there_is_named(distill, beir_folder, run, tmp_path):
    code, _, error = distill("label", "--collection", beir_folder, "--run", run, "--judgments", "trian",
                             "--out", tmp_path / "labels")  # fmt: skip
    assert code == 2
    assert "no split 'trian'" in error and "train" in error
    assert not (tmp_path / "labels").exists()
