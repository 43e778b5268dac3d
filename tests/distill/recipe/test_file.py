"""Recipes as files: what extends what, what is read from YAML, and errors that name the line they are about."""

from __future__ import annotations

import re

import pytest
import yaml

from distill.errors import RecipeError
from distill.recipe.file import load_recipe, read_recipe, resolved_text, write_resolved
from distill.recipe.settings import LabelSection, Recipe

WHOLE = """\
name: whole
collection: {kind: beir, path: .}
first_stage: {depth: 10, candidates: 5, bm25: {k1: 0.9, b: 0.4}}
teacher:
  model: a/b
  depth: 3
  routehead: {static: {pool_sizes: [8, 16], l1: [0.1]}}
encoder:
  start: c/d
  trainer: {learning_rate: 1e-4, max_steps: 3}
"""


@pytest.fixture
def write(tmp_path):
    """Writes a recipe beside the others; its path."""

    def recipe(text, name="mine.yaml"):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return str(path)

    return recipe


def problems(place, *overrides):
    """The problems of a recipe that cannot be read, without the folder of its files."""
    with pytest.raises(RecipeError) as refused:
        load_recipe(place, overrides)
    return [re.sub(r"^\S*/(?=\w+\.yaml)", "", str(problem)) for problem in refused.value.problems]


def test_a_chain_of_recipes_is_resolved_from_its_root(write):
    write(WHOLE, "root.yaml")
    write("extends: root.yaml\nname: middle\nteacher: {depth: 4}\nencoder: {trainer: {max_steps: 9}}\n", "middle.yaml")
    recipe = load_recipe(
        write("extends: middle.yaml\nname: leaf\nfirst_stage: {bm25: {k1: 2}}\nteacher: {depth: null}\n")
    )
    assert (recipe.name, recipe.teacher.depth, recipe.teacher.model) == ("leaf", None, "a/b")
    assert (recipe.first_stage.bm25.k1, recipe.first_stage.bm25.b, recipe.first_stage.depth) == (2, 0.4, 10)
    assert recipe.encoder.trainer == {"learning_rate": 1e-4, "max_steps": 9}


def test_a_packaged_recipe_is_extended_by_its_name(write):
    recipe = load_recipe(write("extends: quickstart\nname: mine\ndecoder: null\nlabels: null\n"))
    whole = load_recipe("quickstart")
    assert recipe == whole.model_copy(update={"name": "mine", "decoder": None, "labels": recipe.labels})
    assert recipe.labels.random == 2


def test_the_path_of_a_parent_is_relative_to_its_child(write, tmp_path, monkeypatch):
    (tmp_path / "deep").mkdir()
    write(WHOLE, "root.yaml")
    child = write("extends: ../root.yaml\nname: child\n", "deep/child.yaml")
    monkeypatch.chdir("/")
    assert load_recipe(child).name == "child"


def test_recipes_that_extend_each_other_are_refused_with_the_chain(write):
    write("extends: b.yaml\nname: a\n", "a.yaml")
    write("name: b\nextends: a.yaml\n", "b.yaml")
    (said,) = problems(write("extends: a.yaml\n"))
    assert said.startswith("b.yaml:2:10: extends: the recipes extend each other: ")
    assert [part.rpartition("/")[2] for part in said.split(" -> ")] == ["mine.yaml", "a.yaml", "b.yaml", "a.yaml"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (
            "extends: quikstart",
            "extends: quikstart: no such recipe file; did you mean quickstart? packaged recipes are",
        ),
        ("extends: nowhere.yaml", "extends: nowhere.yaml: no such recipe file; packaged recipes are"),
        ("extends: [a, b]", "extends: takes the name of a packaged recipe, or a path relative to this file"),
    ],
)
def test_a_parent_that_is_not_there_is_named(write, line, said):
    (found,) = problems(write(f"name: x\n{line}\n"))
    assert found.startswith(f"mine.yaml:2:10: {said}")


def test_errors_name_the_file_and_line_where_the_value_stands(write):
    write(WHOLE.replace("depth: 3", "depth: three"), "root.yaml")
    child = write("extends: root.yaml\nname: x\nencoder:\n  max_tokens: -1\n  trainer:\n    warm: 3\n")
    assert problems(child, "first_stage.depth=[]") == [
        "--set first_stage.depth=[]: first_stage.depth: takes a whole number; got []",
        "mine.yaml:4:15: encoder.max_tokens: input should be greater than 0; got -1",
        "mine.yaml:6:5: encoder.trainer: CrossEncoderTrainingArguments has no argument 'warm'",
        "root.yaml:6:10: teacher.depth: takes a whole number; got 'three'",
    ]


def test_a_broken_key_hides_no_rule_over_others(write):
    text = (
        WHOLE.replace("depth: 3", "depth: x")
        + "labels: {bottom: 7, randm: 1}\nqueries: {tail: {min_words: 9, max_words: 2}}\n"
    )
    assert problems(write(text)) == [
        "mine.yaml:6:10: teacher.depth: takes a whole number; got 'x'",
        "mine.yaml:11:10: labels.bottom (7) must be below first_stage.candidates (5)",
        "mine.yaml:11:21: labels.randm: unknown key; did you mean random? accepted here are "
        + ", ".join(LabelSection.model_fields),
        "mine.yaml:12:18: queries.tail: min_words (9) cannot exceed max_words (2)",
    ]


def test_a_rule_is_not_asked_of_a_key_that_is_broken(write):
    # with candidates left out, the default of 20 would pass or fail in its stead
    assert problems(write(WHOLE.replace("candidates: 5", "candidates: x") + "labels: {bottom: 25}\n")) == [
        "mine.yaml:3:38: first_stage.candidates: takes a whole number; got 'x'"
    ]


def test_a_key_of_another_section_is_told_where_it_belongs(write):
    (said,) = problems(write(WHOLE + "candidates: 3\n"))
    assert "did you mean first_stage.candidates? accepted here are name, collection" in said


def test_required_keys_are_asked_for_where_their_section_stands(write):
    found = problems(write("name: x\ncollection: {kind: beir}\nteacher: {depth: 2}\nencoder: {max_tokens: 3}\n"))
    assert found == [
        "mine.yaml:2:1: collection.path: this key is required",
        "mine.yaml:3:1: teacher.model: this key is required",
        "mine.yaml:4:1: encoder.start: this key is required",
    ]
    (said,) = problems(write(WHOLE.replace("kind: beir", "kind: bier")))
    assert said.startswith("mine.yaml:2:20: collection.kind: accepted are 'docstrings', 'beir'")
    (said,) = problems(write(WHOLE.replace("kind: beir, ", "")))
    assert said.startswith("mine.yaml:2:1: collection.kind: this key is required; accepted are docstrings, beir")


@pytest.mark.parametrize(
    ("override", "keys", "expected"),
    [
        ("teacher.depth=7", "teacher depth", 7),
        ("teacher.routehead.static.l1=[0.1, 2e-2]", "teacher routehead static l1", (0.1, 0.02)),
        ("encoder.trainer={seed: 1}", "encoder trainer", None),
        ("first_stage.bm25={k1: 1.25}", "first_stage bm25 k1", 1.25),
        # a mapping takes the place of the file's, in which b was 0.4
        ("first_stage.bm25={k1: 1.25}", "first_stage bm25 b", 0.75),
        ("first_stage.bm25.k1=1.25", "first_stage bm25 b", 0.4),
        ("name='yes'", "name", "yes"),
        ("name=a=b", "name", "a=b"),
        ("encoder=null", "encoder", None),
        ("first_stage=null", "first_stage depth", 50),
    ],
)
def test_overrides_are_typed(write, override, keys, expected):
    place = write(WHOLE)
    if "seed" in override:
        assert "seed is set elsewhere" in problems(place, override)[0]
        return
    value = load_recipe(place, [override])
    for key in keys.split():
        value = getattr(value, key)
    assert value == expected


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("teacher.depht=7", "teacher.depht: unknown key; did you mean depth?"),
        ("teacher.depth='7'", "teacher.depth: takes a whole number; got '7'; leave the quotes away"),
        ("teacher.depth=yes", "teacher.depth: takes a whole number; got True, which is how YAML reads the word yes"),
        ("teacher.depth=2.0", "teacher.depth: takes a whole number; got 2.0; write 2"),
        ("name=no", "name: takes text; got False, which is how YAML reads the word no; put it in quotes"),
        ("name=3", "name: takes text; got 3; put it in quotes if you mean the text"),
        ("name.x=3", "name: takes text; got a mapping"),
        ("labels=3", "labels: takes a mapping of keys; got 3"),
        ("name=[", "not valid YAML"),
        ("name={a: 1, a: 2}", "a: this key stands twice"),
        ("name", "a setting is written section.key=value"),
        ("a..b=1", "a setting is written section.key=value"),
        ("extends=quickstart", "a recipe's file says what it extends"),
    ],
)
def test_an_override_that_is_wrong_is_named_by_its_text(write, override, said):
    assert problems(write(WHOLE), override)[0].startswith(f"--set {override}: {said}")


def test_overrides_of_one_section_add_up_in_their_order(write):
    added = load_recipe(write(WHOLE), ["first_stage={depth: 30}", "first_stage.candidates=7"]).first_stage
    replaced = load_recipe(write(WHOLE), ["first_stage.candidates=7", "first_stage={depth: 30}"]).first_stage
    assert (added.depth, added.candidates, added.bm25.b) == (30, 7, 0.75)
    assert (replaced.depth, replaced.candidates) == (30, 20)


def test_a_new_kind_of_collection_and_its_keys_may_come_in_any_order(write):
    for overrides in (
        ["collection.kind=docstrings", "collection.test=7"],
        ["collection.test=7", "collection.kind=docstrings"],
    ):
        assert load_recipe(write(WHOLE), overrides).collection.test == 7


def test_whatever_yaml_and_json_agree_on_is_read_as_pyyaml_reads_it(write):
    text = WHOLE.replace("1e-4", "0.0001")
    assert read_recipe(write(text)).plain() == yaml.safe_load(text)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "mine.yaml: is empty; a recipe is a mapping of sections"),
        (b"# nothing but a comment\n", "mine.yaml: is empty; a recipe is a mapping of sections"),
        (b"- a\n- b\n", "mine.yaml:1:1: a recipe is a mapping of sections; got list"),
        (b"name: x\nteacher: {model: \xe4}\n", "mine.yaml:2: not UTF-8"),
        ("name: x\n".encode("utf-16"), "mine.yaml:1: not UTF-8"),
        (b"x" * 1_000_000, "mine.yaml: 1,000,000 bytes"),
    ],
)
def test_a_file_that_is_no_recipe_is_told_so(tmp_path, content, said):
    path = tmp_path / "mine.yaml"
    path.write_bytes(content)
    assert problems(str(path))[0].startswith(said)


def test_a_byte_order_mark_and_other_line_ends_change_nothing(tmp_path, write):
    path = tmp_path / "windows.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + WHOLE.replace("\n", "\r\n").encode())
    assert load_recipe(str(path)) == load_recipe(write(WHOLE))
    path.write_bytes(WHOLE.replace("depth: 3", "depth: x").replace("\n", "\r\n").encode())
    assert "windows.yaml:6:10: teacher.depth" in problems(str(path))[0]


def test_markup_and_marks_of_direction_in_texts_are_kept(write):
    name = "<script>\u202e${x}</script> [bold]"
    text = WHOLE.replace("name: whole", f'name: "{name}"')
    assert load_recipe(write(text)).name == name


@pytest.mark.parametrize("place", ["quickstart", "gpu-8b-llama"])
def test_what_a_run_writes_is_whole_and_reads_back_the_same(place, tmp_path):
    # a name that a reader of YAML 1.2 would take for a number
    recipe = load_recipe(place, ["name='08'", *(["collection.path=."] if place != "quickstart" else [])])
    write_resolved(recipe, tmp_path / "recipe.yaml")
    assert load_recipe(str(tmp_path / "recipe.yaml")) == recipe
    assert "extends" not in yaml.safe_load(resolved_text(recipe))
    assert Recipe.model_validate(yaml.safe_load(resolved_text(recipe))) == recipe
