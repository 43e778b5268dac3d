"""Reads a recipe from a YAML file, and writes one: the only reader of recipes' YAML."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError

from distill.errors import RecipeError
from distill.recipe import COLLECTIONS, Recipe


def load_recipe(place: str, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe from a file, or by its name from those that come with the package.

    Args:
        place: path of a YAML file, or a name such as ``quickstart``.
        overrides: settings as ``a.b=value`` with the value in YAML, over those of the file.

    Raises:
        RecipeError: no such recipe, broken YAML, an unknown key or a value that is not accepted.
    """
    path = find_recipe(place)
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path}: cannot be read: {error}") from None
    except yaml.MarkedYAMLError as error:
        line = f":{error.problem_mark.line + 1}" if error.problem_mark else ""
        raise RecipeError(f"{path}{line}: not valid YAML: {error.problem}") from None
    if not isinstance(content, dict):
        raise RecipeError(f"{path}: a recipe is a mapping of sections; got {type(content).__name__}")
    for override in overrides:
        _set(content, override)
    try:
        return Recipe.model_validate(content)
    except ValidationError as error:
        raise RecipeError(f"{path}: {_first_problem(error)}") from None


def find_recipe(place: str) -> Path:
    """The file of a recipe.

    Raises:
        RecipeError: neither a file nor the name of a packaged recipe.
    """
    path = Path(place)
    if path.is_file():
        return path
    packaged = Path(str(resources.files("recipes")))
    named = packaged / f"{path.stem}.yaml"
    # a path such as recipes/quickstart.yaml also works where the package is installed without its source tree
    if path.suffix in ("", ".yaml") and path.parent.name in ("", "recipes") and named.is_file():
        return named
    names = ", ".join(sorted(entry.stem for entry in packaged.glob("*.yaml")))
    raise RecipeError(f"{place}: no such recipe file; packaged recipes are {names}")


def write_resolved(recipe: Recipe, path: Path) -> None:
    """Write the recipe with every default filled in, so that a run's folder says what it did."""
    content = recipe.model_dump(mode="json")
    path.write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True), encoding="utf-8")


def _set(content: dict[str, Any], override: str) -> None:
    name, equals, text = override.partition("=")
    keys = name.strip().split(".")
    if not equals or not all(keys):
        raise RecipeError(f"--set {override}: a setting is written section.key=value")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        raise RecipeError(f"--set {override}: {text!r} is not a YAML value") from None
    place = content
    for key in keys[:-1]:
        place = place.setdefault(key, {})
        if not isinstance(place, dict):
            raise RecipeError(f"--set {override}: {key} holds a value, not a section")
    place[keys[-1]] = value


def _first_problem(error: ValidationError) -> str:
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"] if part not in COLLECTIONS)
    if first["type"] == "extra_forbidden":
        accepted = ", ".join(_accepted_keys(first["loc"][:-1]))
        return f"{key}: unknown key; accepted here are {accepted}"
    if first["type"] == "missing":
        return f"{key}: this key is required"
    message = first["msg"].removeprefix("Value error, ")
    message = f"{key}: {message[:1].lower()}{message[1:]}" if key else message
    # a rule over several keys names their values itself; the whole section would bury it
    return message if isinstance(first["input"], dict) else f"{message}; got {first['input']!r}"


def _accepted_keys(section: Sequence[int | str]) -> list[str]:
    """Keys of the section that a validation error points to."""
    model: type[BaseModel] = Recipe
    for part in section:
        if part in COLLECTIONS:
            model = COLLECTIONS[str(part)]
            continue
        field = model.model_fields.get(str(part))
        model = next((kind for kind in _models_in(field.annotation if field else None)), model)
    return list(model.model_fields)


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    kinds = get_args(annotation) or (annotation,)
    return [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)]
