"""Paths are shown as they were typed, whatever rich would read into them."""

from __future__ import annotations

import io

import pytest
import yaml
from rich.console import Console

from distill.collections.beir import read_beir
from distill.collections.trec import write_qrels, write_run
from distill.commands.tables import label_plan_table
from distill.stages.label_plan import LabelPlan
from labeling.survey import Survey

# a name of a style, one that closes what nothing opened, and one that escapes what comes after
NAMES = ["lab[v2]", "lab[bold]", "x[/y]", "x\\[red]\\"]
JUDGED = ("old.run", "new.run", "--qrels", "qrels", "--resamples", 100)

COMMANDS = {
    "compare": (*JUDGED, "--out"),
    "compare side by side": ("old.run", "new.run", "--out"),
    "data convert": ("old.run", "--to", "trec-run", "--out"),
    "first-stage": ("beir", "--out"),
    "data tail": ("log.tsv", "--query", "query", "--out"),
    "run": ("compared.yaml", "--out"),
    "report": ("finished", "--out"),
}


@pytest.fixture
def place(tmp_path, monkeypatch, beir_folder):
    """A folder with a collection, two runs, judgments, a query log and a recipe that compares the runs."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "beir").symlink_to(beir_folder)
    judged = read_beir(beir_folder).qrels["test"]
    answers = {query_id: next(iter(documents)) for query_id, documents in judged.items()}
    write_qrels(judged, tmp_path / "qrels")
    write_run({query_id: {"d58": 2.0, answer: 1.0} for query_id, answer in answers.items()}, tmp_path / "old.run")
    write_run({query_id: {"d58": 1.0, answer: 2.0} for query_id, answer in answers.items()}, tmp_path / "new.run")
    (tmp_path / "log.tsv").write_text("query\n" + "shoes\n" * 5 + "red shoes\nlaces\n")
    recipe = {
        "name": "compared",
        "collection": {"kind": "beir", "path": "beir"},
        "runs": {"old": "old.run", "new": "new.run"},
    }
    (tmp_path / "compared.yaml").write_text(yaml.safe_dump(recipe, sort_keys=False))
    return tmp_path


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("command", COMMANDS)
def test_what_was_written_is_named_as_it_was_typed(place, distill, command, name):
    if command == "report":
        assert distill("run", "compared.yaml", "--out", "finished")[0] == 0
    (place / name).parent.mkdir(exist_ok=True)
    words = command.removesuffix(" side by side").split()
    code, shown, errors = distill(*words, *COMMANDS[command], name)
    assert (code, errors) == (0, "")
    assert (place / name).exists()
    assert name in shown


@pytest.mark.parametrize("name", NAMES)
def test_a_table_of_a_folder_is_headed_by_its_name_as_it_was_typed(place, distill, name):
    (place / name).parent.mkdir(exist_ok=True)
    (place / name).symlink_to(place / "beir")
    code, shown, errors = distill("data", "show", name)
    assert (code, errors) == (0, "")
    assert shown.splitlines()[0].strip() == name


@pytest.mark.parametrize("name", NAMES)
def test_a_dry_run_names_the_folder_as_it_was_typed(tmp_path, name):
    standing = Survey(lists=2, documents=9, finished=0, failed=0, teacher_change=[])
    shown = io.StringIO()
    Console(file=shown, width=100).print(label_plan_table(LabelPlan(standing, 0, 0, None, 1, 0.0), name))
    assert shown.getvalue().splitlines()[0].strip() == f"{name}: a dry run, nothing was written"
