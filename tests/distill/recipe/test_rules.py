"""What a recipe may say together, and what it is told where something is missing."""

import pytest
from pydantic import ValidationError

from distill.chain import stages_of
from distill.recipe.rules import MEASURED
from distill.recipe.settings import Recipe
from distill.recipe.sources import HeldOut
from distill.stages.teacher import METHODS

BEIR = {"kind": "beir", "path": "folder"}
LOG = {"kind": "log", "corpus": "folder", "log": "log.csv", "columns": {"query": "q"}}
HEADS = {"model": "Qwen/Qwen3-8B", "published": "qrhead-qwen3-8b-nq"}
RUNS = {"old": "old.run", "new": "new.run"}


def recipe(**sections):
    return Recipe.model_validate({"name": "tiny", "collection": BEIR, **sections})


@pytest.mark.parametrize(
    ("sections", "said"),
    [
        ({}, "there is none: give a teacher, or two or more among runs .* and models"),
        ({"runs": {"one": "one.run"}}, "there is one: give a teacher"),
        ({"runs": RUNS, "labels": {"random": 1}}, "labels: there is no teacher to give them"),
        ({"runs": RUNS, "encoder": {"start": "x"}}, "encoder: a student is trained on a teacher's labels"),
        ({"runs": RUNS, "collection": LOG}, "a comparison needs judgments, and this collection's queries have none"),
        ({"runs": RUNS, "evaluation": {"system": "newest"}}, "evaluation.system .newest.: .* accepted are old, new"),
        ({"runs": RUNS, "evaluation": {"system": "old", "reference": "old"}}, "old cannot be compared with itself"),
        ({"runs": {**RUNS, "encoder": "x.run"}}, "runs.encoder: a system of the recipe's own is called so"),
        ({"runs": {**RUNS, "../x": "x.run"}}, r"runs\.\.\./x: a name is letters"),
        ({"runs": RUNS, "models": {"old": "m"}}, "runs.old and models.old: two systems cannot have one name"),
        ({"collection": LOG, "teacher": {"model": "m"}}, "a query log has no judgments to fit a teacher on"),
        ({"teacher": HEADS, "evaluation": {"reference": "old"}}, "evaluation.reference is for a recipe without"),
        ({"teacher": {**HEADS, "published": "mine"}}, "teacher.published.*published are qrhead-llama-3.1-8b"),
        ({"teacher": {**HEADS, "ranking": "a.run"}}, "both give heads; keep one"),
        ({"teacher": {**HEADS, "mix": {"first_stage": True}}}, "leave mix or published out"),
        ({"teacher": {"model": "m", "relevant": 2}}, "relevant .2. counts documents of ranking"),
        ({"teacher": {**HEADS, "device_map": "auto"}, "labels": {"engine": "ray"}}, "say with gpus how many each"),
        ({"teacher": HEADS, "labels": {"engine": {"gpus": 2}}}, "without teacher.device_map it uses one"),
        ({"teacher": HEADS, "labels": {"engine": {"address": "auto"}}}, "the engine is local"),
        ({"teacher": HEADS, "labels": {"engine": "slurm"}}, "labels.engine.name"),
    ],
)
def test_what_is_missing_is_said(sections, said):
    with pytest.raises(ValidationError, match=f"(?s){said}"):
        recipe(**sections)


@pytest.mark.parametrize(
    "sections",
    [
        {"runs": RUNS},
        {"models": {"mini": "./model"}},
        {"runs": {"one": "one.run"}, "first_stage": {"run": "bm25.run"}},
        {"collection": LOG, "teacher": HEADS},
        {"teacher": {**HEADS, "device_map": {"model": 0, "lm_head": "cpu"}}, "queries": {"held_out": {"test": 5}}},
        {"teacher": {"model": "m"}, "labels": {"engine": {"name": "ray", "judges": 2}}, "runs": RUNS},
    ],
)
def test_a_recipe_that_was_written_with_its_defaults_reads_as_itself(sections):
    whole = recipe(**sections)
    assert Recipe.model_validate(whole.model_dump(mode="json")) == whole


def test_a_recipe_has_the_stages_that_it_needs(tmp_path):
    names = lambda **sections: [stage.name for stage in stages_of(recipe(**sections))]  # noqa: E731
    taught = ["collection", "first_stage", "teacher", "labels", "encoder", "evaluation", "export/encoder"]
    assert names(teacher={"model": "m"}, encoder={"start": "x"}) == taught
    unjudged = [*taught[:4], "held_out", *taught[4:]]
    assert names(collection=LOG, teacher=HEADS, encoder={"start": "x"}) == unjudged
    assert names(runs=RUNS) == ["collection", "evaluation", "comparison"]
    assert names(models={"mini": str(tmp_path)}) == ["collection", "first_stage", "evaluation", "comparison"]


def test_a_log_holds_queries_out_by_itself():
    assert recipe(collection=LOG, teacher=HEADS).held_out == HeldOut()
    assert recipe(teacher=HEADS).held_out is None
    assert recipe(teacher=HEADS, queries={"held_out": {"dev": 0, "test": 5}}).held_out == HeldOut(dev=0, test=5)


def test_keys_that_came_later_repeat_no_stage():
    before = {stage.name: stage.settings for stage in stages_of(recipe(teacher={"model": "m"}))}
    assert set(before["teacher"][0]) & {"published", "ranking", "relevant", "device_map"} == set()
    assert len(before["collection"]) == 3
    spread = {"model": "m", "device_map": "auto"}
    moved = recipe(teacher=spread, labels={"engine": {"name": "ray", "gpus": 2}}, encoder={"start": "x"})
    after = {stage.name: stage.settings for stage in stages_of(moved)}
    assert {name: after[name] for name in before} == before
    assert "engine" not in after["encoder"][2]


def test_the_recipes_own_systems_are_those_that_it_measures():
    assert ("first_stage", *METHODS, "bi_encoder", "encoder", "decoder") == MEASURED
