"""`distill evaluate`, run as a user runs it."""

import json

import pandas
import pytest
import typer
from typer.testing import CliRunner

from distill.collections.beir import write_beir
from distill.collections.collection import Collection, DataError, Document
from distill.collections.trec import write_qrels, write_run
from distill.commands.evaluate import evaluate

QRELS = {"q1": {"a": 1}, "q2": {"b": 1}}


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Two runs, their judgments and their collection on disk."""
    monkeypatch.chdir(tmp_path)
    write_qrels(QRELS, tmp_path / "qrels")
    write_run({"q1": {"a": 2.0, "b": 1.0}}, tmp_path / "good.run")
    write_run({"q1": {"a": 1.0, "b": 2.0}, "q2": {"c": 1.0}}, tmp_path / "poor.run")
    documents = {name: Document(name, "", name) for name in "abc"}
    write_beir(Collection("tiny", documents, {"q1": "first", "q2": "second"}, {"test": QRELS}), tmp_path / "beir")
    return tmp_path


def cells(output):
    """The table's rows, cell by cell."""
    lines = [line for line in output.splitlines() if line.startswith(("┃", "│"))]
    return [[cell.strip() for cell in line.strip()[1:-1].replace("┃", "│").split("│")] for line in lines]


def run(*arguments):
    """What the command prints; an error of ours is raised, as `cli.main` would see it."""
    app = typer.Typer()
    app.command()(evaluate)
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if isinstance(result.exception, DataError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


def test_the_table_gives_queries_depth_recall_and_means(files):
    output = run("good.run", "--qrels", "qrels", "--measure", "RR@10")
    header, row = cells(output)
    assert header == ["run", "n", "in run", "depth", "R@depth", "RR@10"]
    assert row == ["good.run", "2", "1", "2", "0.5000", "0.5000"]
    assert "no --first-stage was given, so R@depth is of each run's own documents" in output


def test_by_default_the_judged_share_stands_beside_ndcg(files):
    output = run("poor.run", "--qrels", "qrels")
    header, row = cells(output)
    assert header[5:] == ["nDCG@10", "judged@10", "RR@10", "AP"]
    # of q1's two documents one is judged, of q2's only one none
    assert row[6] == "0.2500"


def test_the_first_stage_comes_first_and_its_candidates_are_told(files):
    output = run("poor.run", "good.run", "--qrels", "qrels", "--first-stage", "good.run", "--measure", "RR")
    assert [row[0] for row in cells(output)] == ["run", "good.run (first stage)", "poor.run"]
    assert "candidates: those of good.run, up to 2 documents a query, which hold 0.5000" in output
    assert "poor.run: 1 documents that the first stage does not have for their query" in output


def test_missing_queries_are_counted_and_the_first_ten_named(files):
    write_qrels({f"q{n}": {"a": 1} for n in range(14)}, files / "many")
    output = run("good.run", "poor.run", "--qrels", "many")
    assert "good.run: 13 of 14 judged queries are missing and count as 0: q0, q2, q3" in output
    assert "q9, q10 and 3 more\n" in output
    assert "poor.run: 12 of 14" in output
    assert "q10, q11 and 2 more\n" in output
    write_qrels({"other": {"a": 1}}, files / "other")
    output = run("good.run", "--qrels", "other")
    assert "1 of 1 judged queries are missing and count as 0: other\n" in output
    assert "none of the judged queries; do run and judgments belong together?" in output


def test_each_query_is_written_with_its_text(files):
    for name, read in (("out.csv", pandas.read_csv), ("out.parquet", pandas.read_parquet)):
        run(
            "good.run", "poor.run", "--qrels", "qrels", "--measure", "RR@10", "--measure", "P@1",
            "--per-query", name, "--collection", "beir",
        )  # fmt: skip
        table = read(files / name)
        assert list(table.columns) == ["run", "query_id", "query", "in_run", "RR@10", "P@1"]
        assert table.to_numpy().tolist() == [
            ["good.run", "q1", "first", True, 1.0, 1.0],
            ["good.run", "q2", "second", False, 0.0, 0.0],
            ["poor.run", "q1", "first", True, 0.5, 0.0],
            ["poor.run", "q2", "second", True, 0.0, 0.0],
        ]
    run("good.run", "--qrels", "qrels", "--per-query", "2.csv", "--queries", "beir/queries.jsonl")
    assert pandas.read_csv("2.csv")["query"].tolist() == ["first", "second"]


def test_the_json_file_holds_what_is_shown(files):
    output = run("poor.run", "--qrels", "qrels", "--first-stage", "good.run", "--json", "out.json", "--intervals")
    content = json.loads((files / "out.json").read_text())
    assert content["judgments"] == "qrels"
    assert [row["run"] for row in content["runs"]] == ["good.run", "poor.run"]
    assert content["runs"][0]["missing"] == ["q2"]
    shown = {row[0]: row[5] for row in cells(output)}
    for row, name in zip(content["runs"], ("good.run (first stage)", "poor.run"), strict=True):
        assert shown[name] == f"{row['means']['nDCG@10']:.4f}"
    low, high = content["runs"][0]["intervals"]["nDCG@10"]
    assert f"{low:.4f} {high:.4f}" in output
    assert (low, high) == (0.0, 1.0)


def test_names_of_files_are_no_markup_and_told_apart_where_they_are_the_same(files):
    (files / "other").mkdir()
    for place in ("[red].run", "other/good.run"):
        (files / place).write_bytes((files / "good.run").read_bytes())
    output = run("[red].run", "good.run", "other/good.run", "--qrels", "qrels")
    assert [row[0] for row in cells(output)] == ["run", "[red].run", "good.run", "other/good.run"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--measure", "DCG@10"], "measure 'DCG@10'; accepted"),
        (["--per-query", "out.txt"], "out.txt: ending '.txt'; .csv and .parquet are accepted"),
        (["--queries", "beir"], "--queries gives texts to --per-query FILE"),
        (["--per-query", "out.csv", "--queries", "nowhere.jsonl"], "nowhere.jsonl: no such file"),
        (["--per-query", "out.csv", "--queries", "few.jsonl"], "few.jsonl: 1 of 2 judged queries have no text here"),
        (["--first-stage", "bad.run"], "bad.run:1: 3 columns; a run line has six"),
        (["--qrels", "one", "--intervals"], "one: 1 judged queries; --intervals take at least 2"),
        (["--qrels", "empty"], "empty: 0 judged queries; a mean takes at least 1"),
        (["--per-query", "there.csv"], "there.csv: exists already"),
        (["--json", "there.csv"], "there.csv: exists already"),
        (["--json", "new.csv", "--per-query", "./new.csv"], "new.csv: both --per-query and --json write it"),
        (["--qrels", "."], ".: a folder, where a file is accepted"),
    ],
)
def test_faults_are_named_in_one_line_before_anything_is_written(files, arguments, said):
    (files / "bad.run").write_text("q1 Q0 a\n")
    (files / "few.jsonl").write_text('{"_id": "q2", "text": "second"}\n')
    (files / "one").write_text("q1 0 a 1\n")
    (files / "empty").write_text("")
    (files / "there.csv").write_text("kept")
    before = sorted(files.iterdir())
    with pytest.raises(DataError) as fault:
        run("good.run", "--qrels", "qrels", *arguments)
    assert said in str(fault.value)
    assert "\n" not in str(fault.value)
    assert sorted(files.iterdir()) == before
    assert (files / "there.csv").read_text() == "kept"


def test_overwrite_replaces_what_is_there(files):
    (files / "there.csv").write_text("old")
    run("good.run", "--qrels", "qrels", "--per-query", "there.csv", "--overwrite")
    assert "old" not in (files / "there.csv").read_text()
