"""The file of every query's figures, read back by libraries that did not write it."""

import csv
from pathlib import Path

import pandas
import pytest

from distill.collections.collection import DataError
from distill.evaluation.measures import evaluate
from distill.evaluation.per_query import check_texts, write_per_query
from distill.evaluation.run_evaluation import evaluate_runs

QRELS = {"007": {"a": 1, "b": 2, "y": 1}, "q2": {"b": 1}, "q,3": {"c": 1}}
RUNS = {
    "one.run": {"007": {"x": 3.0, "a": 1.0, "b": 2.0}, "q,3": {"c": 1.0}},
    'tw"o\n.run': {"q2": {"a": 2.0, "b": 1.0}},
}
# what may stand in a query: the end of a row to some readers, half a character, NUL, markup, a formula, a mark of order
TEXTS = {"007": 'a\rb\n"c", \ud83d\0', "q2": "<script>alert(1)</script>", "q,3": "=1+1 \u202e{% x %} "}
SAFE = {**TEXTS, "007": 'a\rb\n"c", \ufffd\0'}
MEASURES = ["nDCG@10", "RR@10", "judged@10"]


@pytest.fixture
def evaluation():
    return evaluate_runs(RUNS, QRELS, MEASURES)


def expected():
    for name, run in RUNS.items():
        for query_id, row in evaluate(run, QRELS, MEASURES).items():
            yield [name, query_id, SAFE[query_id], query_id in run, *row.values()]


def test_parquet_holds_every_figure_and_text(evaluation, tmp_path):
    write_per_query(evaluation, tmp_path / "a.parquet", TEXTS)
    table = pandas.read_parquet(tmp_path / "a.parquet")
    assert list(table.columns) == ["run", "query_id", "query", "in_run", *MEASURES]
    assert table.to_numpy().tolist() == list(expected())


def test_csv_holds_the_same_to_the_last_digit(evaluation, tmp_path):
    write_per_query(evaluation, tmp_path / "a.csv", TEXTS)
    with (tmp_path / "a.csv").open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    assert header == ["run", "query_id", "query", "in_run", *MEASURES]
    assert [[*row[:3], row[3] == "true", *map(float, row[4:])] for row in rows] == list(expected())


def test_without_texts_there_is_no_column_for_them(evaluation, tmp_path):
    write_per_query(evaluation, tmp_path / "a.csv")
    assert list(pandas.read_csv(tmp_path / "a.csv").columns) == ["run", "query_id", "in_run", *MEASURES]


def test_another_ending_is_refused(evaluation, tmp_path):
    with pytest.raises(DataError, match=r"a\.tsv: ending '\.tsv'; \.csv and \.parquet are accepted"):
        write_per_query(evaluation, tmp_path / "a.tsv")
    assert not list(tmp_path.iterdir())


def test_texts_of_other_queries_are_refused(evaluation):
    with pytest.raises(DataError, match="queries.jsonl: 2 of 3 judged queries have no text here, the first is '007'"):
        check_texts(evaluation, {"q2": "two", "q9": "nine"}, Path("queries.jsonl"))
    check_texts(evaluation, {**TEXTS, "q9": "nine"}, Path("queries.jsonl"))
