"""A student's first training, on a light ranker's scores: what it reads, what it leaves, and what begins with it."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from sentence_transformers import SentenceTransformer
from sentence_transformers.util import cos_sim

from distill.checking.report import check_recipe
from distill.checking.workload import workload
from distill.collections.beir import read_beir
from distill.collections.trec import read_run, write_run
from distill.errors import RecipeError
from distill.models import runs_bf16_fast
from distill.pipeline import RecipeRun
from distill.recipe.file import load_recipe
from distill.recipe.students import WarmStart
from distill.stages.roles import QueryPlan, free_queries, plan_queries
from distill.stages.student_origin import student_origin
from distill.stages.warm_start import lists_to_score, scored_lists
from distill.student_steps import warm_starter
from tests.distill.test_pipeline import carry_out

SECTION = WarmStart(ranker="any", documents=3, random=2)


@pytest.fixture(scope="module")
def settings(encoder_folder):
    """Both students begin with a warm start, and then learn nothing: what they are is what it left."""
    warm = f"{{ranker: {encoder_folder}, queries: 12, documents: 4, random: 2}}"
    still = "{learning_rate: 0.0, num_train_epochs: 1}"
    return [f"{name}.{key}={value}" for name in ("encoder", "decoder") for key, value in
            (("warm_start", warm), ("trainer", still))]  # fmt: skip


@pytest.fixture(scope="module")
def warmed(recipe_file, settings, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "warm"
    carry_out(recipe_file, folder, *settings)
    return folder


def test_lists_reach_from_first_to_last_with_documents_of_the_whole_collection(beir_folder):
    collection = read_beir(beir_folder)
    run = {"q1": {f"d{place}": 9.0 - place for place in range(9)}, "q2": {"d5": 1.0}, "q3": {}}
    lists = lists_to_score(collection, run, SECTION)
    assert list(lists) == ["q1", "q2"]
    # places 0, 4 and 8 of nine, and two that are drawn
    assert list(lists["q1"])[:3] == ["d0", "d4", "d8"]
    assert next(iter(lists["q2"])) == "d5"
    assert all(set(row) <= set(collection.documents) for row in lists.values())
    assert lists_to_score(collection, dict(reversed(run.items())), SECTION) == lists
    none = SECTION.model_copy(update={"random": 0})
    assert lists_to_score(collection, {"q2": run["q2"]}, none) == {"q2": {"d5": 0.0}}


def test_scores_are_the_labels(beir_folder):
    collection = read_beir(beir_folder)
    (row,) = scored_lists(collection, {"q1": {"d1": 0.25, "d7": -0.5}})
    assert row == {
        "query": collection.query("q1"), "docs": [collection.text("d1"), collection.text("d7")], "labels": [0.25, -0.5],
    }  # fmt: skip


def test_no_query_that_chooses_or_measures_is_taken(beir_folder, recipe_file):
    collection, roles = read_beir(beir_folder), load_recipe(str(recipe_file), []).queries
    few = roles.model_copy(update={"test_limit": 2, "fit_limit": 3, "label_limit": 3})
    for given in (roles, few):
        plan = plan_queries(collection, given)
        free = free_queries(collection, given, plan)
        # 48 queries, six of dev and ten of test, whether or not all of them are measured on; fitted or not
        assert len(free) == len(set(free)) == 32
        assert not set(free) & {*plan.dev, *collection.split("test")}
    assert workload(load_recipe(str(recipe_file), [])).warm_start == 32


def test_the_first_training_learns_the_rankers_scores(warmed, beir_folder, encoder_folder):
    scores = read_run(warmed / "warm_start/encoder/first_stage.run")
    plan = QueryPlan.read(warmed / "collection/queries.json")
    assert len(scores) == 12 and not scores.keys() & {*plan.dev, *plan.test}
    collection, ranker = read_beir(beir_folder), SentenceTransformer(str(encoder_folder))
    query_id, row = next(iter(scores.items()))
    vectors = ranker.encode([collection.query(query_id), *map(collection.text, row)])
    expected = cos_sim(vectors[0], vectors[1:])[0].tolist()
    rounded = runs_bf16_fast()
    assert list(row.values()) == pytest.approx(expected, abs=0.01 if rounded else 1e-5)
    assert (list(row.values()) == pytest.approx(expected, abs=1e-5)) is not rounded
    assert json.loads((warmed / "warm_start/encoder/manifest.json").read_text())["lists"] == 12


def test_of_the_users_run_the_queries_that_it_ranks_are_taken(warmed, recipe_file, settings, tmp_path):
    recipe = load_recipe(str(recipe_file), settings)
    every = RecipeRun(recipe, warmed)
    free = free_queries(every.collection, recipe.queries, every.plan)
    # of 32 queries the twelve that are drawn last, ranked in an order of the file's own
    ranked = {query_id: dict.fromkeys(list(every.collection.documents)[:5], 1.0) for query_id in reversed(free[-12:])}
    write_run(ranked, tmp_path / "own.run", tag="own")
    own = RecipeRun(load_recipe(str(recipe_file), [*settings, f"first_stage.run={tmp_path / 'own.run'}"]), warmed)
    encoder = own.recipe.encoder
    assert encoder is not None and encoder.warm_start is not None
    eleven = encoder.warm_start.model_copy(update={"queries": 11})
    facts = warm_starter("encoder", eleven)(own, tmp_path, lambda *done, unit="": None)
    assert facts["lists"] == 11
    assert list(read_run(tmp_path / "first_stage.run")) == free[-12:-1]


@pytest.mark.parametrize("student", ["encoder", "decoder"])
def test_the_student_begins_with_what_the_first_training_left(warmed, student):
    first, left = (
        load_file(warmed / place / "model/model.safetensors") for place in (f"warm_start/{student}", student)
    )
    assert first.keys() == left.keys()
    for name, weights in first.items():
        # the decoder's adapters, which learned nothing, are merged in between
        torch.testing.assert_close(left[name], weights, atol=1e-6, rtol=0)
    assert "scores of" in (warmed / student / "model/README.md").read_text()


def test_a_first_training_changes_the_start(warmed, encoder_folder):
    start = load_file(encoder_folder / "model.safetensors")
    first = load_file(warmed / "warm_start/encoder/model/model.safetensors")
    layers = {name.removeprefix("bert."): weights for name, weights in first.items()}
    name = "encoder.layer.0.attention.self.query.weight"
    assert not torch.equal(layers[name], start[name])


def test_cards_name_ranker_and_start(warmed, encoder_folder):
    first = warmed / "warm_start/encoder/model"
    told = (first / "README.md").read_text()
    assert f"- light ranker: {encoder_folder.name}\n" in told
    assert f"- start model: {encoder_folder.name}\n" in told
    assert "teacher: unknown" not in told
    # every model's folder of a run is called model: the card names its stage too, and nothing above the run
    assert student_origin(str(first), "any", []).base == "warm_start/encoder/model"
    assert student_origin(str(warmed / "encoder/model"), "any", []).base == f"{warmed.name}/encoder/model"
    assert student_origin(str(encoder_folder), "any", []).base == encoder_folder.name


def test_settings_of_the_second_training_leave_the_first_alone(warmed, recipe_file, settings, tmp_path):
    folder = Path(shutil.copytree(warmed, tmp_path / "copy"))
    shown = carry_out(recipe_file, folder, *settings, "encoder.soup=2", "labels.random=1", "encoder.loss=listnet")
    stands = [line.split()[0] for line in shown.splitlines() if " stands " in line]
    assert {"warm_start/encoder", "warm_start/decoder", "labels"} <= set(stands)
    assert not {"encoder", "decoder"} & set(stands)


def test_a_warm_start_that_is_added_labels_nothing_again(warmed, recipe_file, tmp_path):
    folder = Path(shutil.copytree(warmed, tmp_path / "copy"))
    shown = carry_out(recipe_file, folder, "encoder.warm_start=null")
    stands = [line.split()[0] for line in shown.splitlines() if " stands " in line]
    assert stands == ["collection", "first_stage", "teacher", "labels"]


def test_a_decoder_that_is_to_answer_in_words_has_no_warm_start(recipe_file, settings):
    with pytest.raises(RecipeError, match="warm_start leaves a re-ranker, without the language model's head"):
        load_recipe(str(recipe_file), [*settings, "decoder.label_weight=0.1"])


def test_a_ranker_that_is_not_there_is_found_before_the_run(recipe_file):
    checked = check_recipe(str(recipe_file), ["encoder.warm_start.ranker=./nowhere"])
    assert any(
        problem.message.startswith("encoder.warm_start.ranker: model './nowhere'") for problem in checked.problems
    )
