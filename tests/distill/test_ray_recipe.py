"""A recipe whose labels are judged on a Ray cluster: the same labels as in this process, and none twice."""

from __future__ import annotations

import io
import json
import shutil

import pytest
from rich.console import Console

from distill.pipeline import run_recipe
from distill.recipe.file import load_recipe
from teachers.baselines import equal_weights
from teachers.heads import Head
from tests.labeling.whole_folder import read_labels

pytest.importorskip("ray", reason="the extra `ray` is not installed")

COLUMNS = ["query_id", "doc_id", "score", "rank", "group", "missing", "list_key", "status", "teacher"]


def carry_out(recipe, folder, *overrides):
    shown = io.StringIO()
    run_recipe(load_recipe(str(recipe), overrides), folder, Console(file=shown, width=300), last="labels")
    return shown.getvalue()


def rows(folder):
    return sorted(
        read_labels(folder / "labels" / "lists", COLUMNS).to_pylist(), key=lambda row: tuple(map(str, row.values()))
    )


@pytest.mark.slow
@pytest.mark.skipif("'slow' not in config.getoption('-m')", reason="a minute or more; run with -m slow")
def test_a_recipe_labels_on_a_cluster_what_it_labels_here(recipe_file, tmp_path):
    equal_weights([Head(1, 2), Head(2, 0)]).save(tmp_path / "heads.json")
    heads = (f"teacher.published={tmp_path / 'heads.json'}", "teacher.mix=null")
    plain = (*heads, "encoder=null", "decoder=null", "queries.label_limit=6")
    carry_out(recipe_file, tmp_path / "here", *plain)
    shutil.copytree(tmp_path / "here", tmp_path / "there")
    shutil.rmtree(tmp_path / "there" / "labels")
    cluster = (*plain, "labels.engine={name: ray, judges: 1}")
    shown = carry_out(recipe_file, tmp_path / "there", *cluster)
    stood = [line.split()[0] for line in shown.splitlines() if " stands " in line]
    assert stood == ["collection", "first_stage", "teacher"]
    here, there = rows(tmp_path / "here"), rows(tmp_path / "there")
    assert len(there) == len(here) > 6
    for one, other in zip(here, there, strict=True):
        assert one == {**other, "score": pytest.approx(one["score"], abs=1e-5)}
    counts = json.loads((tmp_path / "there" / "labels" / "manifest.json").read_text())["counts"]
    assert (counts["lists"], counts["failed"]) == (6, 0)
    # where lists are judged repeats nothing
    assert "labels           stands" in carry_out(recipe_file, tmp_path / "there", *plain)
