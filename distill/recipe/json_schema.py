"""The JSON schema of recipes, with which editors complete and check them while they are written."""

from __future__ import annotations

import copy
from typing import Any

from distill.recipe.settings import Recipe

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_PART = "Part"
_EXTENDS = {
    "type": "string",
    "description": "a packaged recipe's name, or a path relative to this file: what is not said here is as there",
}


def recipe_schema() -> dict[str, Any]:
    """The schema of a recipe's file. One that extends another may leave out any key, a whole one only those with
    defaults."""
    schema = Recipe.model_json_schema()
    sections = schema.pop("$defs")
    sections["Recipe"] = schema
    for section in sections.values():
        _allow_null_sections(section, sections)
    parts = {f"{name}{_PART}": _part(section) for name, section in sections.items()}
    parts[f"Recipe{_PART}"]["properties"]["extends"] = _EXTENDS
    return {
        "$schema": DIALECT,
        "title": "A recipe of distill",
        "$defs": {**sections, **parts},
        "type": "object",
        "if": {"required": ["extends"]},
        "then": {"$ref": f"#/$defs/Recipe{_PART}"},
        "else": {"$ref": "#/$defs/Recipe"},
    }


def _allow_null_sections(section: dict[str, Any], sections: dict[str, Any]) -> None:
    """A section that is null, as one whose keys are all commented out, has its defaults."""
    needed = section.get("required", ())
    for name, value in section.get("properties", {}).items():
        reference = value.get("$ref", "").rpartition("/")[2]
        is_section = sections.get(reference, {}).get("type") == "object"
        if name not in needed and (is_section or value.get("type") == "object"):
            described = {key: value.pop(key) for key in ("default", "description", "title") if key in value}
            inner = dict(value)
            value.clear()
            value.update({"anyOf": [inner, {"type": "null"}], **described})


def _part(section: dict[str, Any]) -> dict[str, Any]:
    """The section as it may stand in a recipe that extends another: no key is required, any section may be null."""
    part = copy.deepcopy(section)
    part.pop("required", None)
    _refer_to_parts(part)
    for name, value in part.get("properties", {}).items():
        if "$ref" in value or "oneOf" in value:
            part["properties"][name] = {"anyOf": [value, {"type": "null"}]}
    return part


def _refer_to_parts(value: Any) -> None:
    if isinstance(value, list):
        for each in value:
            _refer_to_parts(each)
    if not isinstance(value, dict):
        return
    if isinstance(value.get("$ref"), str):
        value["$ref"] += _PART
    # a collection that only changes a path does not say again of which kind it is
    value.pop("discriminator", None)
    if "oneOf" in value:
        value["anyOf"] = value.pop("oneOf")
    for each in value.values():
        _refer_to_parts(each)
