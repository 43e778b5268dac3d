"""YAML as recipes have it, against PyYAML where the two agree, and by hand where YAML sets a trap."""

from __future__ import annotations

import pytest
import yaml

from distill.errors import RecipeError
from distill.recipe.yaml_text import Entry, overlay, read_yaml, write_yaml


def merged(*texts):
    """What plain values are when each text is laid on those before."""
    whole = read_yaml(texts[0], "first")
    for text in texts[1:]:
        whole = overlay(whole, read_yaml(text, "next"))
    return whole.plain()


@pytest.mark.parametrize(
    ("under", "over", "expected"),
    [
        ("{a: 1, b: {c: 2, d: 3}}", "{b: {d: 4}, e: 5}", {"a": 1, "b": {"c": 2, "d": 4}, "e": 5}),
        ("{a: [1, 2, 3]}", "{a: [4]}", {"a": [4]}),
        ("{a: {b: 1}}", "{a: null}", {"a": None}),
        ("{a: {b: 1}}", "{a: 7}", {"a": 7}),
        ("{a: 7}", "{a: {b: 1}}", {"a": {"b": 1}}),
        ("{a: {kind: x, b: 1}}", "{a: {kind: y, c: 2}}", {"a": {"kind": "y", "c": 2}}),
        ("{a: {kind: x, b: 1}}", "{a: {kind: x, c: 2}}", {"a": {"kind": "x", "b": 1, "c": 2}}),
    ],
)
def test_one_recipe_is_laid_on_another(under, over, expected):
    assert merged(under, over) == expected


def test_what_is_laid_on_a_null_starts_afresh():
    changes = overlay(read_yaml("{a: null}", "first"), read_yaml("{a: {c: 2}}", "next"))
    assert overlay(read_yaml("{a: {b: 1}}", "whole"), changes).plain() == {"a": {"c": 2}}


def test_laying_on_is_associative_where_nothing_is_null():
    texts = ["{a: {b: 1, c: {d: 2}}, e: [1]}", "{a: {c: {f: 3}}, g: 4}", "{a: {c: {d: 5}}, e: []}"]
    first, second, third = (read_yaml(text, "x") for text in texts)
    assert overlay(overlay(first, second), third).plain() == overlay(first, overlay(second, third)).plain()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1e-4", 1e-4), ("1.5e3", 1500.0), ("-2E+2", -200.0), (".5", 0.5), ("1_000", 1000), ("0x1F", 31), ("010", 10),
        ("+7", 7), ("1:30", "1:30"), ("2024-01-31", "2024-01-31"), ("1e", "1e"), ("e4", "e4"), ("1.2.3", "1.2.3"),
        ("on", True), ("No", False), ("n", "n"), ("'no'", "no"), ("~", None), ("Null", None), ("''", ""),
        (".inf", ".inf"),
        ("0b1", "0b1"), ("!!str 5", "5"), ("08", 8), ("_1", "_1"), (".", "."), ("-", [None]), ("<<", "<<"),
    ],
)  # fmt: skip
def test_scalars_are_what_they_look_like(text, expected):
    value = read_yaml(text, "x").plain()
    assert value == expected and type(value) is type(expected)


@pytest.mark.parametrize(
    "text",
    [
        "08",
        "1e-4",
        "1:30",
        "no",
        "Off",
        "~",
        "",
        "<<",
        "2024-01-31",
        "0x1F",
        "1_0",
        ".5",
        "a: b",
        "- x",
        "#",
        "\u202e\x85",
    ],
)
def test_texts_are_written_so_that_they_stay_texts(text):
    written = write_yaml({"name": text, "list": [text]})
    assert read_yaml(written, "x").plain() == {"name": text, "list": [text]}
    assert yaml.safe_load(written) == {"name": text, "list": [text]}


@pytest.mark.parametrize("number", [1e-5, 1e22, 0.1, -3, True, None, 1e-300])
def test_numbers_are_written_so_that_they_stay_numbers(number):
    assert read_yaml(write_yaml([number]), "x").plain() == [number]


def test_anchors_and_merges_are_read_as_pyyaml_reads_them():
    text = "a: &a {x: 1, y: 2}\nb: &b {y: 3, z: 4}\nc: {<<: *a, x: 9}\nd: {<<: [*a, *b], w: 0}\ne: *a\n"
    assert read_yaml(text, "x").plain() == yaml.safe_load(text)


def test_keys_are_taken_as_they_are_written():
    assert read_yaml("{on: 1, 5: 2, null: 3}", "x").plain() == {"on": 1, "5": 2, "null": 3}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\nb:\n  c: 1\n  c: 2\n", "x:4:3: c: this key stands twice, first in line 3; keep one of them"),
        ("a:\n\tb: 1\n", "x:2:1: not valid YAML: a tab stands where a line is indented; indent by spaces"),
        ("a: [1\nb: 2\n", "x:2:2: not valid YAML"),
        ("a: b: c\n", "x:1:5: not valid YAML: mapping values are not allowed here"),
        ("a: 1\n---\nb: 2\n", "x:2:1: not valid YAML"),
        ("a: *b\n", "x:1:4: not valid YAML: found undefined alias 'b'"),
        ("a: 1\nb: x\x00y\n", "x:2:5: not valid YAML: the character U+0000 cannot stand in it"),
        ("a: !!python/object:os.system {}\n", "x:1:4: the tag 'python/object:os.system' is not accepted in a recipe"),
        ('a: "\\ud800"\n', "x:1:4: holds half a character"),
        ("a: 1e999\n", "x:1:4: 1e999 is too large for a number"),
        (f"a: {'9' * 5000}\n", "x:1:4: a number of 5000 characters"),
        ("? [a]\n: 1\n", "x:1:3: a key is a word"),
        ("a: {<<: 3}\n", "x:1:9: <<: takes a mapping"),
        ("[" * 50_000, "x:1:31: nested more than 30 deep"),
        ("a: &a [*a]\n", "x:1:4: aliases repeat or hold themselves"),
        ("x: " + "y" * 300_000, "x: 300,003 characters; a recipe has at most 200,000"),
    ],
)
def test_a_trap_is_refused_by_its_line(text, said):
    with pytest.raises(RecipeError) as refused:
        read_yaml(text, "x")
    assert str(refused.value).startswith(said)


def test_a_small_file_that_means_a_huge_one_is_refused_at_once():
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    with pytest.raises(RecipeError, match="a recipe has at most 10,000 values"):
        read_yaml("\n".join(lines), "x")


def test_an_entry_keeps_the_place_of_key_and_value():
    entry = read_yaml("a:\n  b:   3\n", "file")
    inner: Entry = entry.value["a"].value["b"]
    assert (str(inner.key_place), str(inner.place)) == ("file:2:3", "file:2:8")
