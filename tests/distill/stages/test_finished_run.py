"""A finished run is opened as it was measured, or not at all."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path

import pytest
import yaml
from rich.console import Console

from distill.collections.beir import read_beir
from distill.collections.collection import DataError
from distill.collections.trec import write_qrels, write_run
from distill.pipeline import run_recipe
from distill.recipe.file import load_recipe
from distill.stages.finished_run import open_finished


@pytest.fixture(scope="module")
def measured(beir_folder, tmp_path_factory):
    """A collection of its own in `beir`, and in `run` two rankings that were measured by its judgments."""
    folder = tmp_path_factory.mktemp("finished")
    shutil.copytree(beir_folder, folder / "beir")
    test = read_beir(beir_folder).qrels["test"]
    write_run({q: {"d58": 2.0, next(iter(judged)): 1.0} for q, judged in test.items()}, folder / "old.run")
    write_run({q: {"d58": 1.0, next(iter(judged)): 2.0} for q, judged in test.items()}, folder / "new.run")
    recipe = {
        "name": "compared",
        "collection": {"kind": "beir", "path": "beir"},
        "runs": {"old": "old.run", "new": "new.run"},
    }
    (folder / "compared.yaml").write_text(yaml.safe_dump(recipe, sort_keys=False))
    return folder


@pytest.fixture
def place(measured, tmp_path, monkeypatch):
    """A copy that a test may spoil; the run was carried out in it."""
    folder = Path(shutil.copytree(measured, tmp_path / "place"))
    monkeypatch.chdir(folder)
    run_recipe(load_recipe("compared.yaml"), Path("run"), Console(file=io.StringIO()))
    return folder


def refusal(distill, *arguments):
    """The one line that `distill report` ends in."""
    code, _, error = distill("report", "run", *arguments)
    assert code == 2 and error.startswith("error: ") and error.count("\n") == 1, error
    return error


def judge(folder, judged):
    write_qrels(judged, folder / "beir/qrels/test.tsv", "beir")


def test_figures_are_not_shown_beside_other_judgments(place, distill):
    assert distill("report", "run")[0] == 0
    test = read_beir(place / "beir").qrels["test"]
    first = next(iter(test))
    # second place earns 1 / log2(3) = 0.63093; one query of ten now has its relevant document first
    judge(place, {**test, first: {"d58": 1}})
    said = "metrics.json has nDCG@10 0.630930 of old, whose ranking has 0.667837 by the judgments in "
    assert said in refusal(distill)
    with pytest.raises(DataError, match="put back those that it was measured by, or carry the recipe out again"):
        open_finished(place / "run")
    judge(place, test)
    assert distill("report", "run")[0] == 0


def test_a_test_query_that_is_not_judged_any_more_is_named(place, distill):
    test = read_beir(place / "beir").qrels["test"]
    lost = json.loads((place / "run/collection/queries.json").read_text())["test"][0]
    judge(place, {query_id: judged for query_id, judged in test.items() if query_id != lost})
    assert f"beir: split 'test' has no judgment of query '{lost}' any more (1 such" in refusal(distill)


def test_judgments_of_other_queries_and_texts_may_change_but_are_told(place, distill, caplog):
    write_qrels({"q40": {"d1": 1}}, place / "beir/qrels/later.tsv", "beir")
    assert open_finished(place / "run").metrics["queries"] == 10
    assert "beir: has changed since the run in" in caplog.text


def test_pages_take_the_place_of_their_own_kind_alone(place, distill):
    for _ in range(2):
        assert distill("report", "run", "--out", "site")[0] == 0
    assert sorted(path.name for path in (place / "site").iterdir()) == ["comparison.html", "index.html"]
    for name in ("index.html", "comparison.html"):
        other = place / name.removesuffix(".html")
        other.mkdir()
        (other / name).write_text("<!doctype html><title>mine</title>")
        (other / "logo.svg").write_text("<svg/>")
        assert f"{name}: was not written by `distill report`, and is not replaced" in refusal(distill, "--out", other)
        assert (other / name).read_text() == "<!doctype html><title>mine</title>"
        assert len(list(other.iterdir())) == 2


def without(path, *keys):
    """The file's JSON without an entry of it."""
    content = inner = json.loads(path.read_text())
    for key in keys[:-1]:
        inner = inner[key]
    del inner[keys[-1]]
    return json.dumps(content)


@pytest.mark.parametrize(
    ("name", "damage", "problem"),
    [
        ("evaluation/metrics.json", lambda path: path.read_text()[:100], "not JSON, or cut off"),
        ("evaluation/metrics.json", lambda _: "{}", "measures: Field required"),
        ("evaluation/metrics.json", lambda path: without(path, "systems", "new", "AP"), "systems.new.AP is 'missing'"),
        ("collection/queries.json", lambda path: path.read_text()[:20], "not JSON, or cut off"),
        ("collection/queries.json", lambda _: "[]", "a JSON list; an object is accepted"),
        ("collection/queries.json", lambda path: without(path, "test"), "test: Field required"),
        ("collection/queries.json", lambda path: '{"all": [], ' + path.read_text()[1:], "all: Extra inputs are not"),
        ("collection/manifest.json", lambda path: path.read_text()[:50], "not JSON, or cut off"),
        ("evaluation/manifest.json", lambda path: without(path, "versions"), "versions: Field required"),
        ("evaluation/manifest.json", lambda _: "", "not JSON, or cut off"),
        ("evaluation/runs/new.run", lambda _: "", "no line in it"),
    ],
)
def test_a_damaged_file_is_named_with_the_way_to_a_whole_one(place, distill, name, damage, problem):
    path = place / "run" / name
    path.write_text(damage(path))
    manifest = Path("run", name.split("/")[0], "manifest.json")
    said = f"error: {Path('run', name)}: {problem}"
    error = refusal(distill)
    assert error.startswith(said) and f"; without {manifest} `distill run` carries this stage out again" in error
    manifest.unlink()
    run_recipe(load_recipe("compared.yaml"), Path("run"), Console(file=io.StringIO()))
    assert distill("report", "run")[0] == 0
