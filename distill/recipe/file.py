"""Finds, reads and writes recipes: a file laid over those that it extends, and overrides over them all."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import reduce
from pathlib import Path
from typing import Any

from distill.errors import RecipeError, RecipeProblem
from distill.recipe.places import find_recipe
from distill.recipe.problems import validated, validated_section
from distill.recipe.settings import Recipe
from distill.recipe.yaml_text import MAX_CHARACTERS, Entry, Place, overlay, read_yaml, write_yaml

EXTENDS = "extends"


def load_recipe(place: str, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe from a file, or by its name from those that come with the package.

    Args:
        place: path of a YAML file, or a name such as ``quickstart``.
        overrides: settings as ``a.b=value`` with the value in YAML, over those of the file.

    Raises:
        RecipeError: no such recipe, broken YAML, an unknown key or a value that is not accepted. Its ``problems``
            are all that were found, each with file, line and column.
    """
    found = validated(read_recipe(place, overrides))
    if found.recipe is None:
        raise RecipeError.of(found.problems)
    return found.recipe


def load_sections(given: Mapping[str, Mapping[str, Any]], overrides: Sequence[str]) -> dict[str, Any]:
    """Sections for a command that carries out one part of a recipe, by what its flags and ``--set`` say.

    Args:
        given: each section's keys that flags say, by the section's name.
        overrides: as of `load_recipe`, over the flags.

    Raises:
        RecipeError: an override of another section or of no known form, or a value that is not accepted.
    """
    flags = _at_one_place(read_yaml(json.dumps(given), "the flags"), Place("the flags"))
    said = _together(overrides)
    for name, entry in said.value.items() if said else ():
        if name not in given:
            message = f"{name}: this command reads {' and '.join(given)} of a recipe, as {next(iter(given))}.KEY=VALUE"
            raise RecipeError.at(entry.key_place, message)
    whole = overlay(flags, said) if said else flags
    return {name: validated_section(name, whole.value[name]) for name in given}


def read_recipe(place: str, overrides: Sequence[str] = ()) -> Entry:
    """What a recipe says, with that of the recipes that it extends and the overrides; nothing is checked but its form.

    Raises:
        RecipeError: no such recipe, broken YAML, recipes that extend each other, or an override of no known form.
    """
    whole, said = _read_chain(find_recipe(place), ()), _together(overrides)
    return overlay(whole, said) if said else whole


def write_resolved(recipe: Recipe, path: Path) -> None:
    """Write the recipe with every default filled in, so that a run's folder says what it did."""
    path.write_text(resolved_text(recipe), encoding="utf-8")


def resolved_text(recipe: Recipe) -> str:
    """The recipe in YAML, with every default and all that it extends filled in."""
    return write_yaml(recipe.model_dump(mode="json"))


def _read_chain(path: Path, chain: tuple[Path, ...]) -> Entry:
    """A file's content laid on that of the file that it extends; ``chain`` are the files that led here."""
    content = _read_file(path)
    parent = content.value.pop(EXTENDS, None)
    if parent is None or parent.value is None:
        return content
    chain = (*chain, path.resolve())
    found = _parent(parent, path)
    if found.resolve() in chain:
        names = " -> ".join(_shown(each) for each in (*chain, found))
        raise RecipeError.at(parent.place, f"{EXTENDS}: the recipes extend each other: {names}")
    return overlay(_read_chain(found, chain), content)


def _parent(named: Entry, child: Path) -> Path:
    """The file that ``extends`` names: relative to the file that says so, or a packaged recipe's name."""
    if not isinstance(named.value, str):
        message = (
            f"{EXTENDS}: takes the name of a packaged recipe, or a path relative to this file; got {named.value!r}"
        )
        raise RecipeError.at(named.place, message)
    path = child.parent / Path(named.value).expanduser()
    if path.is_file():
        return path
    try:
        return find_recipe(named.value)
    except RecipeError as error:
        raise RecipeError.at(named.place, f"{EXTENDS}: {error}") from None


def _read_file(path: Path) -> Entry:
    source = _shown(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise RecipeError.at(source, f"cannot be read: {error.strerror}") from None
    if len(content) > 4 * MAX_CHARACTERS:
        raise RecipeError.at(source, f"{len(content):,} bytes; a recipe has at most {MAX_CHARACTERS:,} characters")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise RecipeError.at(f"{source}:{line}", f"not UTF-8 ({error.reason}); a recipe is UTF-8 text") from None
    entry = read_yaml(text, source)
    if entry.value is None:
        raise RecipeError.at(source, "is empty; a recipe is a mapping of sections")
    if not isinstance(entry.value, dict):
        raise RecipeError.at(entry.place, f"a recipe is a mapping of sections; got {type(entry.value).__name__}")
    return entry


def _together(overrides: Sequence[str]) -> Entry | None:
    """The overrides laid on each other: of a new kind and its other keys, either may be said first."""
    return reduce(overlay, [_override(text) for text in overrides]) if overrides else None


def _override(text: str) -> Entry:
    """``a.b=value`` as a mapping of mappings."""
    source = f"--set {text}"
    name, equals, value = text.partition("=")
    keys = [key.strip() for key in name.split(".")]
    if not equals or not all(keys):
        raise RecipeError.at(source, "a setting is written section.key=value")
    if keys == [EXTENDS]:
        raise RecipeError.at(source, "a recipe's file says what it extends; give the recipe that you mean instead")
    try:
        entry = _at_one_place(read_yaml(value, source), Place(source))
    except RecipeError as error:
        raise RecipeError.of([RecipeProblem(source, problem.message) for problem in error.problems]) from None
    # what is said to be the value is all of it: a mapping too takes the place of what stood there
    entry = replace(entry, afresh=True)
    for key in reversed(keys):
        entry = Entry({key: entry}, entry.place, entry.place)
    return entry


def _at_one_place(entry: Entry, place: Place) -> Entry:
    """The entry with ``place`` throughout: an override is short, its own text says more than a line and a column."""
    value = entry.value
    if isinstance(value, dict):
        value = {key: _at_one_place(each, place) for key, each in value.items()}
    elif isinstance(value, list):
        value = [_at_one_place(each, place) for each in value]
    return Entry(value, place, place, entry.written)


def _shown(path: Path) -> str:
    """The path as a reader here would type it."""
    resolved, here = path.resolve(), Path.cwd()
    return str(resolved.relative_to(here)) if resolved.is_relative_to(here) else str(path)
