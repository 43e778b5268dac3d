"""TREC files and the one rule of order, held against trec_eval itself."""

import numpy as np
import pytest
import pytrec_eval

from distill.collections.collection import Collection, DataError, Document
from distill.collections.trec import check_run, ranking, read_qrels, read_run, write_qrels, write_run


def trec_eval_order(scores):
    """The order that trec_eval ranks by, found from the reciprocal rank of each document alone."""
    reciprocal = {}
    for doc_id in scores:
        evaluator = pytrec_eval.RelevanceEvaluator({"q": {doc_id: 1}}, {"recip_rank"})
        reciprocal[doc_id] = evaluator.evaluate({"q": scores})["q"]["recip_rank"]
    return sorted(scores, key=lambda doc_id: -reciprocal[doc_id])


@pytest.mark.parametrize(
    "scores",
    [
        {"a": 1.0, "b": 1.0, "c": 1.0},
        {"b": 1.0, "a": 2.0, "c": 1.0},
        # Equal as float32, though not as Python's floats.
        {"a": 0.1 + 1e-10, "b": 0.1},
        {"d10": 0.0, "d9": -0.0, "d1": 0.0},
        {"a": -1.0, "B": -1.0, "é": -1.0, "가": -1.0, "": -1.5},
    ],
)
def test_ranking_is_trec_evals(scores):
    assert ranking(scores) == trec_eval_order(scores)


def test_ranking_is_trec_evals_on_random_ties():
    rng = np.random.default_rng(0)
    scores = {f"d{i}": float(rng.integers(0, 6)) / 3 for i in range(40)}
    assert ranking(scores) == trec_eval_order(scores)


def test_ranking_does_not_depend_on_the_order_given():
    scores = {"a": 1.0, "b": 1.0, "c": 2.0}
    assert ranking(scores) == ranking(dict(reversed(scores.items()))) == ["c", "b", "a"]


def test_every_float32_survives_a_run_file(tmp_path):
    rng = np.random.default_rng(0)
    bits = rng.integers(0, 2**32, 3000, dtype=np.uint32).view(np.float32)
    extremes = np.array([0.0, 1e-45, 3.4028235e38, -3.4028235e38, 0.1, 16777217], dtype=np.float32)
    scores = [float(score) for score in np.concatenate([bits, extremes]) if np.isfinite(score)]
    run = {"q": {f"d{i}": score for i, score in enumerate(scores)}}
    write_run(run, tmp_path / "run")
    read = read_run(tmp_path / "run")["q"]
    assert {doc_id: np.float32(score) for doc_id, score in read.items()} == run["q"]


def test_a_run_is_measured_the_same_before_and_after_writing(tmp_path):
    rng = np.random.default_rng(1)
    run = {"q": {f"d{i}": 0.3 + float(rng.normal()) * 1e-8 for i in range(50)}}
    write_run(run, tmp_path / "run")
    assert ranking(read_run(tmp_path / "run")["q"]) == ranking(run["q"])


def test_a_run_is_written_best_first_with_ranks_from_one(tmp_path):
    write_run({"q1": {"a": 1.5, "c": 2.0, "b": 2.0}}, tmp_path / "run", tag="mine")
    assert (tmp_path / "run").read_text() == "q1 Q0 c 1 2 mine\nq1 Q0 b 2 2 mine\nq1 Q0 a 3 1.5 mine\n"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("q1 Q0 d2 2 0.5", r"run:2: 5 columns; a run line has six columns"),
        ("q1 Q0 d2 2 high tag", r"run:2: score 'high'; a finite number is accepted"),
        ("q1 Q0 d2 2 nan tag", r"run:2: score 'nan'; a finite number"),
        ("q1 Q0 d2 2 1e39 tag", r"run:2: score '1e39'; a finite number is accepted, as float32 holds it"),
        ("q1 Q0 d2 2 -inf tag", r"run:2: score '-inf'; a finite number"),
        ("q1 Q0 d1 2 0.5 tag", r"run:2: query 'q1' has document 'd1' twice"),
    ],
)
def test_a_faulty_run_line_is_named(tmp_path, line, message):
    (tmp_path / "run").write_text(f"q1 Q0 d1 1 0.9 tag\n{line}\n")
    with pytest.raises(DataError, match=message):
        read_run(tmp_path / "run")


@pytest.mark.parametrize(
    ("run", "tag", "message"),
    [
        ({"q": {"d": float("nan")}}, "t", "score nan; a finite number is accepted"),
        ({"q": {"d": 1e39}}, "t", "score 1e\\+39; a finite number is accepted"),
        ({"q": {"d 1": 1.0}}, "t", "document id 'd 1'; TREC files take words without white space"),
        ({"q\n": {"d": 1.0}}, "t", "query id"),
        ({"q": {"d": 1.0}}, "", "tag ''"),
    ],
)
def test_what_a_run_file_cannot_hold_is_refused_and_nothing_is_left(tmp_path, run, tag, message):
    with pytest.raises(DataError, match=message):
        write_run(run, tmp_path / "run", tag)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("style", ["trec", "beir"])
def test_judgments_are_read_back_whatever_their_style(tmp_path, style):
    qrels = {"q1": {"d1": 2, "d2": 0}, "q2": {"d1": -1}}
    write_qrels(qrels, tmp_path / "qrels", style)
    assert read_qrels(tmp_path / "qrels") == qrels


@pytest.mark.parametrize(
    "text", ["q1 0 d1 1\n", "q1\tQ0\td1\t1\n", "query-id\tcorpus-id\tscore\nq1\td1\t1\n", "q1\td1\t1\n"]
)
def test_the_form_of_judgments_is_told_by_content(tmp_path, text):
    (tmp_path / "qrels").write_text(text)
    assert read_qrels(tmp_path / "qrels") == {"q1": {"d1": 1}}


def test_white_space_around_an_id_is_none_of_it_and_within_it_is_refused(tmp_path):
    (tmp_path / "qrels").write_text("query-id\tcorpus-id\tscore\nq1 \t d1\t 1\n")
    assert read_qrels(tmp_path / "qrels") == {"q1": {"d1": 1}}
    for line, said in (("q1 0\td1\t1", "query id 'q1 0'"), ("q1\t\t1", "document id ''")):
        (tmp_path / "qrels").write_text(f"query-id\tcorpus-id\tscore\n{line}\n")
        with pytest.raises(DataError, match=f"qrels:2: {said}; a word without white space is accepted"):
            read_qrels(tmp_path / "qrels")


@pytest.mark.parametrize("relevance", ["4294967297", "9" * 5_000, "-10000"])
def test_a_relevance_that_trec_eval_cannot_hold_is_refused(tmp_path, relevance):
    (tmp_path / "qrels").write_text(f"q1 0 d1 {relevance}\n")
    with pytest.raises(DataError, match=r"qrels:1: relevance '[-\d]{6,20}'; .* from -9999 to 9999"):
        read_qrels(tmp_path / "qrels")


@pytest.mark.parametrize("name", ["a.run.gz", "qrels.tsv.gz"])
def test_what_is_called_packed_is_packed_and_the_same_every_time(tmp_path, name):
    contents = []
    for folder in (tmp_path / "1", tmp_path / "2"):
        if name == "a.run.gz":
            write_run({"q": {"d": 1.0}}, folder / name)
            assert read_run(folder / name) == {"q": {"d": 1.0}}
        else:
            write_qrels({"q": {"d": 1}}, folder / name)
            assert read_qrels(folder / name) == {"q": {"d": 1}}
        contents.append((folder / name).read_bytes())
    assert contents[0] == contents[1] and contents[0][:2] == b"\x1f\x8b"


def test_judgments_of_another_width_are_refused(tmp_path):
    (tmp_path / "qrels").write_text("q1\td1\t1.5\n")
    with pytest.raises(DataError, match=r"qrels:1: relevance '1.5'; a whole number is accepted"):
        read_qrels(tmp_path / "qrels")
    (tmp_path / "qrels").write_text("q1 d1\n")
    with pytest.raises(DataError, match=r"qrels:1: 2 columns; judgments have three tab-separated columns"):
        read_qrels(tmp_path / "qrels")


def test_a_first_line_without_a_relevance_is_no_header(tmp_path):
    (tmp_path / "qrels").write_text("q1\td1\t\nq1\td2\t1\n")
    with pytest.raises(DataError, match=r"qrels:1: relevance ''; a whole number is accepted"):
        read_qrels(tmp_path / "qrels")


@pytest.mark.parametrize(
    ("run", "message"),
    [
        ({}, "my run: no query at all"),
        ({"q1": {}}, "my run: query 'q1' has no candidates"),
        ({"q9": {"d1": 1.0}}, "my run: query 'q9' is not in collection tiny"),
        ({"q1": {"d9": 1.0}}, "my run: query 'q1': no document 'd9' in collection tiny"),
    ],
)
def test_a_run_that_does_not_fit_the_collection_is_refused(run, message):
    collection = Collection("tiny", {"d1": Document("d1", "", "text")}, {"q1": "query"})
    check_run({"q1": {"d1": 1.0}}, collection)
    with pytest.raises(DataError, match=message):
        check_run(run, collection, "my run")
