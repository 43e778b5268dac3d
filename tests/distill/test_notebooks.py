"""The notebooks run on a recipe's finished run and say what the functions behind the command line say."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from rich.console import Console

from distill.pipeline import run_recipe
from distill.recipe.file import load_recipe
from distill.stages.comparison import dossier_of
from distill.stages.finished_run import open_finished
from labeling.summary import summarize_labels

NOTEBOOKS = sorted((Path(__file__).parents[2] / "recipes" / "notebooks").glob("*.ipynb"))


@pytest.fixture(scope="module")
def folder(recipe_file, tmp_path_factory):
    run = tmp_path_factory.mktemp("runs") / "tiny"
    run_recipe(load_recipe(str(recipe_file)), run, Console(quiet=True))
    return run


def cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def printed(notebook):
    """All text that the cells put out."""
    outputs = [output for cell in cells(notebook) for output in cell.outputs]
    return "\n".join(output.get("text") or output.get("data", {}).get("text/plain", "") for output in outputs)


def execute(name, folder):
    """The notebook's text after it ran on the folder; an error in a cell is raised."""
    notebook = nbformat.read(next(path for path in NOTEBOOKS if path.stem == name), as_version=4)
    parameters = cells(notebook)[0]
    assert parameters.source.count('"../../runs/quickstart"') == 1
    parameters.source = parameters.source.replace('"../../runs/quickstart"', repr(str(folder)))
    NotebookClient(notebook, timeout=180, kernel_name="python3").execute()
    return printed(notebook)


def test_the_comparison_says_what_the_command_says(folder):
    text = execute("ab_comparison", folder)
    finished = open_finished(folder)
    found = dossier_of(finished.comparison("encoder", systems=["mixture", "bi_encoder"]))
    assert found.verdict in text
    assert f"{found.comparison.mean('encoder'):.3f}".rstrip("0") in text


def test_the_labels_are_counted_as_the_summary_counts_them(folder):
    text = execute("label_quality", folder)
    summary = summarize_labels(folder / "labels" / "lists")
    assert f"documents       {summary.documents}" in text and str(summary.groups) in text


def test_the_trade_off_ends_where_the_student_re_ranks_all(folder):
    text = execute("student_tradeoffs", folder)
    metrics = open_finished(folder).metrics
    last = next(line for line in text.splitlines() if line.startswith(f"{metrics['candidates']} "))
    assert float(last.split()[1]) == pytest.approx(metrics["systems"]["encoder"]["nDCG@10"], abs=0.0006)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_stored_with_what_it_put_out(path):
    notebook = nbformat.read(path, as_version=4)
    assert cells(notebook)[0].metadata.tags == ["parameters"]
    assert all(cell.execution_count for cell in cells(notebook))
    kinds = [output.output_type for cell in cells(notebook) for output in cell.outputs]
    assert "error" not in kinds and kinds.count("display_data") >= 1
    assert not [output for cell in cells(notebook) for output in cell.outputs if output.get("name") == "stderr"]
    assert path.stat().st_size < 250_000
