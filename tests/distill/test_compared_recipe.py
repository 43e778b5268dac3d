"""A recipe without a teacher: runs and models that are there already, measured and compared."""

from __future__ import annotations

import io
import json

import pytest
import pytrec_eval
import yaml
from rich.console import Console

from distill.collections.beir import read_beir
from distill.collections.trec import read_run, write_run
from distill.commands.tables import metrics_table
from distill.pipeline import run_recipe
from distill.recipe.file import load_recipe
from distill.stages.finished_run import open_finished
from distill.steps import read_metrics
from students.scoring import Reranker


@pytest.fixture(scope="module")
def place(tmp_path_factory, beir_folder, encoder_folder):
    """A folder with two runs of the user's, a re-ranker and a recipe that compares them."""
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    folder, collection = tmp_path_factory.mktemp("compared"), read_beir(beir_folder)
    test = collection.qrels["test"]
    answers = {query_id: next(iter(judged)) for query_id, judged in test.items()}
    write_run({q: {doc: 2.0, "d50": 1.0} for q, doc in answers.items()}, folder / "good.run")
    few = dict(list(answers.items())[2:])
    write_run({q: {doc: 1.0, "d51": 2.0, "d52": 0.5} for q, doc in few.items()}, folder / "poor.run")
    model = AutoModelForSequenceClassification.from_pretrained(encoder_folder, num_labels=1)
    model.save_pretrained(folder / "reranker")
    AutoTokenizer.from_pretrained(encoder_folder).save_pretrained(folder / "reranker")
    recipe = {
        "name": "compared",
        "collection": {"kind": "beir", "path": str(beir_folder)},
        "first_stage": {"depth": 12, "candidates": 6, "bm25": {"stemmer": "none", "stop_words": "none"}},
        "runs": {"poor": str(folder / "poor.run"), "good": str(folder / "good.run")},
        "evaluation": {"timed_queries": 1, "measures": ["nDCG@10", "RR@10"]},
    }
    (folder / "compared.yaml").write_text(yaml.safe_dump(recipe, sort_keys=False))
    return folder


def carry_out(place, out, *overrides):
    shown = io.StringIO()
    run_recipe(load_recipe(str(place / "compared.yaml"), overrides), out, Console(file=shown, width=300))
    return shown.getvalue()


@pytest.fixture(scope="module")
def finished(place):
    carry_out(place, place / "run", f"models={{mini: '{place / 'reranker'}'}}")
    return place / "run"


def test_figures_are_those_of_trec_eval_on_the_users_own_files(finished, place, beir_folder):
    metrics, qrels = read_metrics(finished), read_beir(beir_folder).qrels["test"]
    assert list(metrics["systems"]) == ["first_stage", "poor", "good", "mini"]
    for name in ("poor", "good"):
        measured = pytrec_eval.RelevanceEvaluator(qrels, {"ndcg_cut_10"}).evaluate(read_run(place / f"{name}.run"))
        expected = sum(measured.get(query_id, {}).get("ndcg_cut_10", 0.0) for query_id in qrels) / len(qrels)
        assert metrics["systems"][name]["nDCG@10"] == pytest.approx(expected)
    # two of ten queries are missing, of the others the relevant document is second
    assert metrics["own_candidates"]["poor"] == {"depth": 3, "recall": 0.8, "missing": 2}
    assert metrics["systems"]["poor"]["RR@10"] == pytest.approx(0.4)
    assert metrics["systems"]["good"]["nDCG@10"] == 1.0


def test_a_model_scores_the_first_stages_candidates(finished, place, beir_folder):
    collection = read_beir(beir_folder)
    candidates, ranked = (
        read_run(finished / "evaluation" / "runs" / f"{name}.run") for name in ("first_stage", "mini")
    )
    reranker = Reranker.load(place / "reranker")
    for query_id, scores in ranked.items():
        assert set(scores) == set(candidates[query_id])
        texts = [collection.text(doc_id) for doc_id in scores]
        assert list(scores.values()) == pytest.approx(reranker.score_pairs(collection.query(query_id), texts), abs=1e-5)


def test_the_comparison_is_of_the_last_with_the_first(finished, distill, tmp_path):
    found = json.loads((finished / "comparison" / "comparison.json").read_text())
    assert (found["system"], found["reference"], found["queries"]) == ("mini", "first_stage", 10)
    assert found["from_teacher"] is False
    assert found["means"]["good"]["nDCG@10"] == 1.0
    assert (finished / "comparison" / "report.html").is_file()
    code, shown, error = distill("report", finished, "--out", tmp_path / "report")
    assert (code, error) == (0, "")
    assert found["verdict"] in shown and "comparison.html" in shown
    page = (tmp_path / "report" / "index.html").read_text()
    assert "poor</bdi> brings its own candidates, up to 3 a query" in page and "lacks 2 queries" in page
    assert 'id="teacher"' not in page


def test_runs_alone_need_no_first_stage(place, distill):
    shown = carry_out(place, place / "runs alone", "evaluation.system=good")
    metrics = read_metrics(place / "runs alone")
    assert (metrics["candidates"], metrics["answerable"]) == (None, None)
    assert "first_stage" not in shown
    assert json.loads((place / "runs alone" / "comparison" / "comparison.json").read_text())["reference"] == "poor"
    table = io.StringIO()
    Console(file=table, width=200).print(metrics_table(metrics))
    said = " ".join(table.getvalue().split())
    assert "each run has candidates of its own" in said and "recall 0.800; lacks 2 queries" in said
    again = carry_out(place, place / "runs alone", "evaluation.system=poor", "evaluation.reference=good")
    assert [line.split()[0] for line in again.splitlines() if " stands " in line] == ["collection", "evaluation"]
    assert open_finished(place / "runs alone").teacher is None
    code, _, error = distill("label", place / "compared.yaml", "--out", place / "labels")
    assert code == 2 and "this recipe has no teacher, so it labels nothing" in error


def test_a_run_that_does_not_belong_is_named(place, distill):
    (place / "alien.run").write_text("q1 Q0 nowhere 1 2.0 x\n")
    (place / "other.run").write_text("q45 Q0 d1 1 2.0 x\n")
    for name, said in (("alien", "alien.run: query 'q1': no document 'nowhere'"), ("other", "none of the 10 test")):
        change = f"runs.poor={place / name}.run"
        code, _, error = distill("run", place / "compared.yaml", "--out", place / "bad", "--set", change)
        assert code == 2 and said in error and error.count("\n") == 1


def test_a_run_that_cannot_be_measured_is_refused_before_a_teacher_reads_anything(distill, recipe_file, tmp_path):
    (tmp_path / "alien.run").write_text("q1 Q0 nowhere 1 2.0 x\n")
    code, _, error = distill("run", recipe_file, "--out", tmp_path / "run", "--set", f"runs.x={tmp_path}/alien.run")
    assert code == 2 and "alien.run: query 'q1': no document 'nowhere'" in error
    assert not (tmp_path / "run" / "first_stage").exists() and not (tmp_path / "run" / "teacher").exists()
