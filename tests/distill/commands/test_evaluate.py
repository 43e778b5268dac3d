"""`distill evaluate`, run as a user runs it."""

import csv

import pytest
import typer
from typer.testing import CliRunner

from distill.collections.collection import DataError
from distill.collections.trec import write_qrels, write_run
from distill.commands.evaluate import evaluate


@pytest.fixture
def files(tmp_path):
    """Two runs and their judgments on disk."""
    write_qrels({"q1": {"a": 1}, "q2": {"b": 1}}, tmp_path / "qrels")
    write_run({"q1": {"a": 2.0, "b": 1.0}}, tmp_path / "good.run")
    write_run({"q1": {"a": 1.0, "b": 2.0}, "q2": {"c": 1.0}}, tmp_path / "poor.run")
    return tmp_path


def run(*arguments):
    """What the command prints; an error of ours is raised, as `cli.main` would see it."""
    app = typer.Typer()
    app.command()(evaluate)
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if isinstance(result.exception, DataError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


def test_each_query_is_written_to_csv(files):
    run(files / "good.run", files / "poor.run", "--qrels", files / "qrels", "--measure", "RR@10", "--measure", "P@1",
        "--per-query", files / "out.csv")  # fmt: skip
    with (files / "out.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    assert rows == [
        ["run", "query_id", "RR@10", "P@1"],
        [str(files / "good.run"), "q1", "1.0", "1.0"],
        [str(files / "good.run"), "q2", "0.0", "0.0"],
        [str(files / "poor.run"), "q1", "0.5", "0.0"],
        [str(files / "poor.run"), "q2", "0.0", "0.0"],
    ]


def test_the_table_gives_queries_depth_recall_and_means(files, monkeypatch):
    monkeypatch.chdir(files)  # a short name, as a wide cell would be folded
    output = run("good.run", "--qrels", "qrels", "--measure", "RR@10")
    header, row = ([cell.strip() for cell in line.strip("┃│\n ").replace("┃", "│").split("│")]
                   for line in output.splitlines() if line.startswith(("┃", "│")))  # fmt: skip
    assert header == ["run", "n", "in run", "depth", "R@depth", "RR@10"]
    assert row == ["good.run", "2", "1", "2", "0.5000", "0.5000"]


def test_faults_are_named_before_anything_is_written(files):
    arguments = (files / "good.run", "--qrels", files / "qrels", "--per-query", files / "out.csv")
    with pytest.raises(DataError, match="measure 'DCG@10'; accepted"):
        run(*arguments, "--measure", "DCG@10")
    assert not (files / "out.csv").exists()
    (files / "out.csv").touch()
    with pytest.raises(DataError, match="exists already"):
        run(*arguments)
