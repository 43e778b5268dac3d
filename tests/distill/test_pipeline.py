"""A recipe on real folders, from judgments to exported students, with tiny random models."""

from __future__ import annotations

import base64
import fcntl
import html
import io
import json
import os
import re
import shutil
from pathlib import Path

import pytest
import pytrec_eval
from rich.console import Console
from sentence_transformers import CrossEncoder

from distill import steps
from distill.collections.beir import read_beir
from distill.collections.collection import DataError
from distill.collections.trec import ranking, read_run
from distill.errors import ModelError, RecipeError
from distill.pipeline import RecipeRun, run_recipe
from distill.recipe.file import load_recipe
from distill.recipe.rules import MEASURED
from distill.report.run_page import write_run_pages
from distill.stages.candidates import pre_ranked
from distill.stages.comparison import dossier_of, labels_as_judgments
from distill.stages.finished_run import open_finished
from distill.stages.run_story import tell
from distill.steps import read_metrics
from labeling.formats import label_lists
from labeling.manifest import load_manifest

STAGES = [
    "collection", "first_stage", "teacher", "labels", "encoder", "decoder", "evaluation",
    "export/encoder", "export/decoder",
]  # fmt: skip


def carry_out(recipe_file, folder, *overrides):
    """Runs the recipe; the text that it showed."""
    shown = io.StringIO()
    run_recipe(load_recipe(str(recipe_file), overrides), folder, Console(file=shown, width=200))
    return shown.getvalue()


def manifests(folder):
    return {stage: (folder / stage / "manifest.json").read_text() for stage in STAGES}


@pytest.fixture(scope="module")
def finished(recipe_file, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    carry_out(recipe_file, folder)
    return folder


@pytest.fixture
def copy(finished, tmp_path):
    return Path(shutil.copytree(finished, tmp_path / "copy"))


def test_every_stage_leaves_a_manifest(finished):
    for stage, text in manifests(finished).items():
        manifest = json.loads(text)
        assert manifest["stage"] == Path(stage).name or stage == manifest["stage"]
        assert manifest["seconds"] >= 0
        assert manifest["peak_memory_mib"] > 0
        assert manifest["versions"]["torch"]
    assert not list(finished.glob("*.partial"))


def test_a_student_comes_with_its_curves_and_names_its_teacher(finished):
    teacher = load_manifest(finished / "labels" / "lists")["teacher"]
    for name in ("encoder", "decoder"):
        assert (finished / name / "curves.png").read_bytes().startswith(b"\x89PNG")
        assert teacher in (finished / "export" / name / "model" / "README.md").read_text()


def test_no_query_has_two_roles_and_the_teacher_labels_none_it_was_fitted_on(finished):
    plan = json.loads((finished / "collection" / "queries.json").read_text())
    everyone = [query_id for role in plan.values() for query_id in role]
    assert len(everyone) == len(set(everyone)) == 48
    assert {role: len(ids) for role, ids in plan.items()} == {"fit": 12, "label": 20, "dev": 6, "test": 10}
    fitted = json.loads((finished / "teacher" / "teacher.json").read_text())["fitted_on"]
    assert set(fitted) == set(plan["fit"])


def test_the_bottom_of_the_first_stage_can_be_labelled_too(finished, recipe_file):
    changed = RecipeRun(load_recipe(str(recipe_file), ["labels.bottom=2"]), finished)
    query_id = changed.plan.label[0]
    ranked = ranking(changed.first_stage[query_id])
    assert len(ranked) > 6
    chosen = pre_ranked(changed.first_stage, [query_id], 6, changed.recipe.labels.bottom)
    assert list(chosen[query_id]) == [*ranked[:4], *ranked[-2:]]


def test_labels_are_written_as_a_run_too(finished):
    run = read_run(finished / "labels" / "labels.run")
    plan = json.loads((finished / "collection" / "queries.json").read_text())
    assert set(run) == set(plan["label"])


def test_figures_are_those_of_trec_eval_on_the_written_runs(finished, beir_folder):
    metrics = json.loads((finished / "evaluation" / "metrics.json").read_text())
    assert tuple(metrics["systems"]) == MEASURED
    assert metrics["queries"] == 10
    qrels = read_beir(beir_folder).qrels["test"]
    for system, row in metrics["systems"].items():
        run = read_run(finished / "evaluation" / "runs" / f"{system}.run")
        scored = pytrec_eval.RelevanceEvaluator(qrels, {"ndcg_cut_10", "map"}).evaluate(run)
        for measure, name in (("nDCG@10", "ndcg_cut_10"), ("AP", "map")):
            expected = sum(scored.get(query_id, {}).get(name, 0.0) for query_id in qrels) / len(qrels)
            assert row[measure] == pytest.approx(expected, abs=1e-9), system
        assert row["seconds_per_query"] > 0


def test_all_systems_rank_the_same_candidates(finished):
    runs = [read_run(path) for path in sorted((finished / "evaluation" / "runs").glob("*.run"))]
    assert len(runs) == len(MEASURED)
    candidates = [{query_id: set(scores) for query_id, scores in run.items()} for run in runs]
    assert all(entry == candidates[0] for entry in candidates)


@pytest.mark.parametrize("student", ["encoder", "decoder"])
def test_an_exported_student_scores_for_a_stranger_as_it_did_here(finished, student):
    folder = finished / "export" / student / "model"
    pairs = json.loads((folder / "parity.json").read_text())
    assert len(pairs) == 20
    scores = CrossEncoder(str(folder)).predict([(pair["query"], pair["document"]) for pair in pairs])
    assert scores.tolist() == pytest.approx([pair["score"] for pair in pairs], abs=1e-5)
    config = json.loads((folder / "config.json").read_text())
    assert config["architectures"][0].endswith("ForSequenceClassification")
    assert config["id2label"] == {"0": "LABEL_0"}


def test_a_second_run_skips_every_stage(finished, recipe_file):
    before = manifests(finished)
    shown = carry_out(recipe_file, finished)
    assert manifests(finished) == before
    assert [line.split()[0] for line in shown.splitlines() if " stands " in line] == STAGES


def test_a_second_run_in_the_same_folder_is_refused_and_changes_nothing(copy, recipe_file):
    before = (copy / "recipe.yaml").read_bytes()
    holder = os.open(copy, os.O_RDONLY)
    fcntl.flock(holder, fcntl.LOCK_EX)
    with pytest.raises(RecipeError, match="another run is at work here"):
        carry_out(recipe_file, copy, "name=other")
    assert (copy / "recipe.yaml").read_bytes() == before
    os.close(holder)
    carry_out(recipe_file, copy, "name=other")
    assert (copy / "recipe.yaml").read_bytes() != before


def test_a_start_that_fails_does_not_rename_what_was_measured_before(copy, recipe_file):
    with pytest.raises(ModelError):
        carry_out(recipe_file, copy, "name=another", "encoder.start=./nowhere")
    assert open_finished(copy).recipe.name == load_recipe(str(recipe_file)).name
    # and what changes no figure is told as it is now
    carry_out(recipe_file, copy, "name=renamed")
    assert open_finished(copy).recipe.name == "renamed"


def test_files_beside_the_collection_s_own_repeat_no_stage(recipe_file, beir_folder, tmp_path):
    folder = shutil.copytree(beir_folder, tmp_path / "own")
    recipe = load_recipe(str(recipe_file), [f"collection.path={folder}"])
    before = steps.collection_source(recipe)
    (folder / "bm25.run").write_text("q0 Q0 d0 1 1.0 x\n")
    assert steps.collection_source(recipe) == before
    (folder / "qrels" / "new.tsv").write_text("query-id\tcorpus-id\tscore\n")
    assert steps.collection_source(recipe) != before


def test_stages_of_another_recipe_are_not_told_of(copy, recipe_file):
    shutil.copytree(copy / "first_stage", copy / "pre_rank")
    shutil.copytree(copy / "first_stage", copy / "comparison")
    assert [stage.name for stage in tell(open_finished(copy)).stages] == STAGES


def test_a_name_of_several_words_is_one_in_the_files_of_trec(recipe_file):
    assert load_recipe(str(recipe_file), ["name='my first run'"]).tag == "my_first_run"


def test_a_changed_setting_repeats_only_what_depends_on_it(copy, recipe_file):
    before = manifests(copy)
    carry_out(recipe_file, copy, "encoder.trainer.learning_rate=0.001")
    changed = {stage for stage, text in manifests(copy).items() if text != before[stage]}
    assert changed == {"encoder", "evaluation", "export/encoder"}


def test_other_test_queries_repeat_nothing_that_does_not_measure(copy, recipe_file):
    before = manifests(copy)
    carry_out(recipe_file, copy, "queries.test_limit=5")
    changed = [stage for stage, manifest in manifests(copy).items() if manifest != before[stage]]
    assert changed == ["collection", "first_stage", "evaluation", "export/encoder", "export/decoder"]
    assert read_metrics(copy)["queries"] == 5
    carry_out(recipe_file, copy)
    assert read_metrics(copy)["queries"] == 10


def test_a_changed_teacher_setting_reads_no_list_again(copy, recipe_file, monkeypatch):
    def refuse(*_):
        raise AssertionError("a list was read again")

    monkeypatch.setattr("teachers.prompt_pass.PromptPass.run", refuse)
    changed = RecipeRun(load_recipe(str(recipe_file), ["teacher.routehead.static.l1=[0.1]"]), copy)
    facts = steps.fit_teacher(changed, copy / "teacher", lambda done, total: None)
    assert facts["fit"]["queries"] > 0


def test_evaluation_says_whose_lists_it_scores_and_how_many(copy, recipe_file):
    told = {}

    def advance(done, total, *, stood=0, note=""):
        told[note] = (done, total)

    run = RecipeRun(load_recipe(str(recipe_file)), copy)
    steps.evaluate(run, copy / "evaluation", advance)
    lists = len(run.candidates(run.plan.test))
    # the teacher's methods share one reading
    assert told == dict.fromkeys(["", "bi_encoder", "encoder", "decoder"], (lists, lists))


def test_a_stage_that_was_interrupted_is_not_taken_for_whole(copy, recipe_file, monkeypatch):
    def interrupted(run, folder, advance):
        (folder / "half").write_text("written")
        raise KeyboardInterrupt

    monkeypatch.setattr(steps, "evaluate", interrupted)
    with pytest.raises(KeyboardInterrupt):
        carry_out(recipe_file, copy, "evaluation.timed_queries=3")
    assert (copy / "evaluation.partial" / "half").exists()
    assert not (copy / "evaluation").exists()
    monkeypatch.undo()
    carry_out(recipe_file, copy, "evaluation.timed_queries=3")
    assert json.loads((copy / "evaluation" / "metrics.json").read_text())["queries"] == 10


def test_a_stage_that_fails_before_it_wrote_anything_stands_as_it_stood(copy, recipe_file):
    before = manifests(copy)
    with pytest.raises(ModelError):
        carry_out(recipe_file, copy, "teacher.model=nobody/away")
    assert not list(copy.glob("*.partial"))
    carry_out(recipe_file, copy)
    assert manifests(copy) == before


def test_a_folder_of_something_else_is_refused(recipe_file, tmp_path):
    (tmp_path / "thesis.txt").write_text("precious")
    with pytest.raises(RecipeError, match="not a recipe's run"):
        carry_out(recipe_file, tmp_path)


def test_a_run_of_the_users_replaces_bm25(recipe_file, finished, tmp_path):
    run = tmp_path / "mine.run"
    lines = (finished / "first_stage" / "first_stage.run").read_text().splitlines()
    run.write_text("".join(f"{line}\n" for line in lines if int(line.split()[3]) <= 8))
    folder = tmp_path / "out"
    carry_out(recipe_file, folder, f"first_stage.run={run}", "encoder=null", "decoder=null")
    taken = read_run(folder / "first_stage" / "first_stage.run")
    assert max(len(candidates) for candidates in taken.values()) <= 8
    metrics = json.loads((folder / "evaluation" / "metrics.json").read_text())
    assert metrics["systems"]["first_stage"]["seconds_per_query"] is None
    assert "encoder" not in metrics["systems"]


def test_a_finished_run_is_compared_as_it_was_measured(finished):
    opened = open_finished(finished)
    assert list(opened.runs) == [name for name in MEASURED if name in opened.metrics["systems"]]
    found = dossier_of(opened.comparison("encoder", systems=["bi_encoder"]))
    assert found.comparison.systems == ("first_stage", "bi_encoder", "encoder")
    for name in found.comparison.systems:
        figures = opened.metrics["systems"][name]
        assert {m: found.comparison.mean(name, m) for m in opened.metrics["measures"]} == pytest.approx(
            {measure: figures[measure] for measure in opened.metrics["measures"]}
        )
        assert found.facts[name].milliseconds == pytest.approx(1_000 * figures["seconds_per_query"])
    with pytest.raises(DataError, match="no system 'reranker'; there are first_stage, "):
        opened.comparison("reranker")


def test_labels_stand_in_for_judgments_by_their_first_documents(finished):
    folder = finished / "labels" / "lists"
    judged, ranked = labels_as_judgments(folder)
    lists = {found.query_id: found for found in label_lists(folder)}
    # where a teacher finds nothing in any document, which a random one may, there is nothing to rank by
    with_ranked = {query_id: found for query_id, found in lists.items() if "ranked" in found.groups}
    assert with_ranked and with_ranked.keys() == ranked.keys()
    for query_id, found in with_ranked.items():
        first = [doc for doc, group in zip(found.doc_ids, found.groups, strict=True) if group == "ranked"]
        assert judged[query_id] == dict(zip(first, (3, 2, 1), strict=False))
        assert ranking(ranked[query_id]) == first


def test_only_a_measured_run_is_opened(copy, tmp_path):
    (copy / "evaluation" / "manifest.json").unlink()
    with pytest.raises(DataError, match="its evaluation has not finished"):
        open_finished(copy)
    with pytest.raises(DataError, match=r"no recipe.yaml; the folder of a `distill run` is accepted"):
        open_finished(tmp_path)


def test_a_run_is_told_on_pages_with_its_own_figures(finished, tmp_path):
    story = tell(open_finished(finished))
    pages = write_run_pages(story, tmp_path / "report")
    assert [page.name for page in pages] == ["index.html", "encoder.html", "decoder.html"]
    text = pages[0].read_text()
    metrics = read_metrics(finished)
    for system, row in metrics["systems"].items():
        assert f'<bdi>{system}</bdi></th><td data-sort="{row["nDCG@10"]!r}">{row["nDCG@10"]:.3f}</td>' in text
    assert [stage.name for stage in story.stages] == STAGES
    weights = json.loads((finished / "teacher" / "static_weights.json").read_text())["heads"]
    assert {str(head): weight for head, weight in story.heads.items()} == weights
    assert text.count('<img class="map"') == 1
    assert story.seconds == pytest.approx(sum(json.loads(m)["seconds"] for m in manifests(finished).values()))
    for student, page in zip(story.students, pages[1:], strict=True):
        assert f'href="{page.name}"' in text
        assert student.dossier.verdict in html.unescape(text) and student.dossier.verdict in html.unescape(
            page.read_text()
        )
        assert base64.b64encode(student.curves.read_bytes()).decode() in text
    # no address but pictures in the page itself, other pages beside it, and its own parts
    assert set(re.findall(r'(?:src|href)="([^"#]{1,10})', text)) == {"data:,", "data:image", "encoder.ht", "decoder.ht"}


def test_a_run_that_lacks_queries_is_told_by_their_number(recipe_file, finished, tmp_path, caplog):
    run = tmp_path / "mine.run"
    lines = (finished / "first_stage" / "first_stage.run").read_text().splitlines()
    lost = sorted({line.split()[0] for line in lines})[:5]
    run.write_text("".join(f"{line}\n" for line in lines if line.split()[0] not in lost))
    opened = RecipeRun(load_recipe(str(recipe_file), [f"first_stage.run={run}"]), finished)
    ranked = steps.rank_queries(opened, opened.plan.all())
    assert not ranked.keys() & set(lost)
    assert f"mine.run: 5 of {len(opened.plan.all())} queries have no candidates here, such as 'q" in caplog.text


def test_a_run_without_candidates_for_any_query_to_measure_on_is_refused_before_anything_is_trained(
    recipe_file, finished, tmp_path
):
    run = tmp_path / "mine.run"
    lines = (finished / "first_stage" / "first_stage.run").read_text().splitlines()
    run.write_text("".join(f"{line}\n" for line in lines))
    opened = RecipeRun(load_recipe(str(recipe_file), [f"first_stage.run={run}"]), finished)
    run.write_text("".join(f"{line}\n" for line in lines if line.split()[0] not in opened.plan.test))
    with pytest.raises(DataError, match=r"mine\.run: none of the \d+ queries to measure on has candidates, such as 'q"):
        steps.rank_first(opened, tmp_path, lambda done, total: None)


def test_heads_of_a_fit_that_an_adopted_teacher_took_the_place_of_are_not_told(finished, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(finished, folder)
    assert tell(open_finished(folder)).heads
    settings = folder / "teacher" / "teacher.json"
    settings.write_text(json.dumps({**json.loads(settings.read_text()), "fitted_on": []}))
    assert tell(open_finished(folder)).heads == {}
