import csv

import pytest
import pytrec_eval

from labeling import LabelingError
from labeling.exports.export import export_labels
from labeling.exports.selection import ExportSettings
from labeling.formats import labels_run
from labeling.job import run_label_job
from labeling.judge import ScoreAdapter
from labeling.label_lists import CandidateList


def test_pytrec_eval_reads_the_judgments(folder, tmp_path):
    export_labels(folder, "qrels", tmp_path / "labels.qrels")
    with (tmp_path / "labels.qrels").open() as file:
        assert pytrec_eval.parse_qrel(file) == {
            "q1": {"d2": 4, "d1": 3, "d3": 3, "d6": 2, "d4": 1, "d5": 1},
            "q2": {"d7": 3, "d8": 2},
            "q3": {"d1": 2, "d7": 2},
        }


def test_pytrec_eval_reads_the_run_and_finds_it_perfect(folder, tmp_path):
    export_labels(folder, "run", tmp_path / "labels.run")
    export_labels(folder, "qrels", tmp_path / "labels.qrels")
    with (tmp_path / "labels.run").open() as run, (tmp_path / "labels.qrels").open() as qrels:
        ranked, judged = pytrec_eval.parse_run(run), pytrec_eval.parse_qrel(qrels)
    assert ranked == labels_run(folder)
    figures = pytrec_eval.RelevanceEvaluator(judged, {"ndcg"}).evaluate(ranked)
    assert all(figure["ndcg"] == pytest.approx(1) for figure in figures.values())


def test_the_rank_column_is_trec_evals_order(folder, tmp_path):
    export_labels(folder, "run", tmp_path / "labels.run")
    rows = [line.split() for line in (tmp_path / "labels.run").read_text().splitlines()]
    # ties by document id, descending
    assert [(row[3], row[2]) for row in rows if row[0] == "q1"] == [
        ("1", "d2"), ("2", "d3"), ("3", "d1"), ("4", "d6"), ("5", "d5"), ("6", "d4"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("most", "expected"),
    # three distinct ranks: the k-th from below has k * most / 3, rounded up
    [(3, [3, 2, 2, 1, 0, 0]), (2, [2, 2, 2, 1, 0, 0]), (1, [1, 1, 1, 1, 0, 0]), (9, [9, 6, 6, 3, 0, 0])],
)
def test_grades_are_spread_over_a_tools_scale(folder, texts, tmp_path, most, expected):
    export_labels(folder, "judgments", tmp_path / "ratings.csv", texts, ExportSettings(max_grade=most, random=1))
    with (tmp_path / "ratings.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["rating"]) for row in rows if row["query"] == "w20 w21"] == [*expected, 0]


def test_judgments_have_the_three_columns_that_quepid_asks_for(folder, texts, tmp_path):
    out = tmp_path / "ratings.csv"
    export_labels(folder, "judgments", out, texts)
    assert out.read_text().splitlines()[:2] == ["query,docid,rating", "w20 w21,d2,4"]
    export_labels(folder, "judgments", out, texts, ExportSettings(details=True))
    with out.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows[0] == {
        "query": "w20 w21", "docid": "d2", "rating": "4", "query_id": "q1", "score": "0.9", "rank": "1",
        "group": "ranked", "confidence": "",
    }  # fmt: skip


def test_a_query_with_commas_quotes_and_lines_is_one_field(tmp_path):
    class Length:
        def score(self, query, documents):
            return [float(len(document)) for document in documents]

    class Texts:
        def query(self, query_id):
            return 'a, "b"\r\nc\0d'

        def passage(self, doc_id):
            raise AssertionError("judgments hold no document")

    lists = [CandidateList("q", Texts().query("q"), ["d,1", "d2"], ["xx", "x"])]
    run_label_job(lists, ScoreAdapter(Length(), {"name": "length"}), tmp_path / "labels")
    export_labels(tmp_path / "labels", "judgments", tmp_path / "ratings.csv", Texts())
    with (tmp_path / "ratings.csv").open(newline="", encoding="utf-8") as file:
        assert list(csv.reader(file)) == [
            ["query", "docid", "rating"],
            ['a, "b"\r\nc\ufffdd', "d,1", "3"],
            ['a, "b"\r\nc\ufffdd', "d2", "2"],
        ]
    with pytest.raises(LabelingError, match="id 'two words': TREC files take words"):
        lists = [CandidateList("q", "query", ["two words"], ["x"])]
        run_label_job(lists, ScoreAdapter(Length(), {"name": "length"}), tmp_path / "other")
        export_labels(tmp_path / "other", "qrels", tmp_path / "labels.qrels")
    assert not (tmp_path / "labels.qrels").exists()
