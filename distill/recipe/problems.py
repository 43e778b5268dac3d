"""What is wrong with a recipe, all of it at once: each problem at the place where its value stands."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import NoneType
from typing import Any, NamedTuple, get_args

from pydantic import BaseModel, ValidationError

from distill.errors import RecipeError, RecipeProblem
from distill.recipe.settings import Recipe
from distill.recipe.yaml_text import Entry, Place

Keys = tuple[int | str, ...]

# What a broken key may keep from view is looked for again without it; each round takes away at least one key.
_ROUNDS = 8
_WORD = re.compile(r"[a-z_][a-z_0-9]*(?:\.[a-z_][a-z_0-9]*)*")
_LONGEST_SHOWN = 100
_TAKES = {
    "model_type": "takes a mapping of keys",
    "dict_type": "takes a mapping of keys",
    "model_attributes_type": "takes a mapping of keys",
    "list_type": "takes a list",
    "tuple_type": "takes a list",
    "string_type": "takes text",
    "path_type": "takes a path",
    "int_type": "takes a whole number",
    "int_from_float": "takes a whole number",
    "float_type": "takes a number",
    "bool_type": "takes true or false",
}


class Validated(NamedTuple):
    """What a recipe's content means.

    Args:
        recipe: None where something is wrong.
        problems: everything that is wrong.
        readable: the recipe without its broken keys, by which the rest can be judged; None where too much is broken.
    """

    recipe: Recipe | None
    problems: list[RecipeProblem]
    readable: Recipe | None


def validated(content: Entry) -> Validated:
    """The recipe that ``content`` means, or everything that is wrong with it.

    A section that cannot be null and is null has its defaults. Types are strict: a number in quotes is no number, and
    ``yes`` is no number either.
    """
    content = without_null_sections(content, Recipe)
    recipe, errors = _validate(content)
    if recipe is not None:
        return Validated(recipe, [], recipe)
    found = dict.fromkeys(_first_of_each(errors, content))
    # pydantic asks for rules over several keys only where each key alone is right: ask again without the broken ones
    taken: set[str] = set()
    rest = content
    for _ in range(_ROUNDS):
        for error in errors:
            keys = _faulty(error, rest)
            taken.update(str(key[-1]) for key in keys if key)
            rest = _mended(rest, error, keys)
        recipe, errors = _validate(rest)
        if recipe is not None:
            break
        rules = [error for error in errors if error["type"] == "value_error"]
        hidden = [error for error in rules if not taken & set(re.findall(r"[a-z_0-9]+", error["msg"]))]
        found |= {_problem(error, content): None for error in hidden}
    return Validated(None, sorted(found, key=_in_order), recipe)


def validated_section(name: str, content: Entry) -> BaseModel:
    """One section on its own, without the rules over several.

    Args:
        name: of the section in a recipe.
        content: the section's keys.

    Raises:
        RecipeError: something is wrong with it; its problems are all that were found.
    """
    (model,) = models_in(Recipe.model_fields[name].annotation)
    whole = without_null_sections(Entry({name: content}, content.place, content.key_place), Recipe)
    try:
        return model.model_validate_json(json.dumps(whole.plain().get(name, {})), strict=True)
    except ValidationError as error:
        # named as in a recipe, where the section is one of several
        found = [{**each, "loc": (name, *each["loc"])} for each in error.errors(include_url=False)]
        raise RecipeError.of(list(dict.fromkeys(_first_of_each(found, whole)))) from None


def _first_of_each(errors: Iterable[Any], content: Entry) -> Iterator[RecipeProblem]:
    """The problems, one a value: where a key takes one of several types, pydantic tells of each."""
    seen: set[Keys] = set()
    for error in errors:
        keys, _ = _found(error, content)
        if error["type"] in ("value_error", "extra_forbidden") or keys not in seen:
            yield _problem(error, content)
        seen.add(keys)


def without_null_sections(content: Entry, model: type[BaseModel]) -> Entry:
    """The content without the sections that are null but may not be: they have their defaults."""
    if not isinstance(content.value, dict):
        return content
    kept: dict[str, Entry] = {}
    for key, entry in content.value.items():
        field = model.model_fields.get(key)
        models = models_in(field.annotation) if field else []
        is_section = bool(models) or (field is not None and _is_mapping(field.annotation))
        if (
            entry.value is None
            and field
            and is_section
            and not field.is_required()
            and not _takes_null(field.annotation)
        ):
            continue
        kept[key] = without_null_sections(entry, models[0]) if len(models) == 1 else entry
    return Entry(kept, content.place, content.key_place)


def _validate(content: Entry) -> tuple[Recipe | None, list[Any]]:
    try:
        # as JSON, which has no paths and tuples of its own: so types can be strict
        return Recipe.model_validate_json(json.dumps(content.plain()), strict=True), []
    except ValidationError as error:
        return None, error.errors(include_url=False)


def _in_order(problem: RecipeProblem) -> tuple[str, int, int]:
    source, *numbers = problem.place.rsplit(":", 2)
    if len(numbers) == 2 and all(number.isdecimal() for number in numbers):
        return source, int(numbers[0]), int(numbers[1])
    return problem.place, 0, 0


def _problem(error: Mapping[str, Any], content: Entry) -> RecipeProblem:
    keys, entry = _found(error, content)
    name = ".".join(map(str, keys))
    place, message = _said(error, keys, entry, content)
    return RecipeProblem(str(place), f"{name}: {message}" if name else message)


def _found(error: Mapping[str, Any], content: Entry) -> tuple[Keys, Entry]:
    """The keys that lead to what an error is about, and the deepest entry on the way.

    Pydantic also names the alternative that it took, which is no key.
    """
    keys: list[int | str] = []
    entry = content
    parts, _ = _followed(error["loc"])
    for number, part in enumerate(parts, start=1):
        inside = entry.value
        if isinstance(inside, dict) and part in inside or isinstance(inside, list) and isinstance(part, int):
            held: Any = inside
            entry = held[part]
            keys.append(part)
        elif error["type"] == "missing" and number == len(parts):
            keys.append(part)
    if error["type"].startswith("union_tag"):
        keys.append("kind")
        entry = entry.value.get("kind", entry) if isinstance(entry.value, dict) else entry
    return tuple(keys), entry


def _said(error: Mapping[str, Any], keys: Keys, entry: Entry, content: Entry) -> tuple[Place, str]:
    """Where an error is, and what is said of it."""
    kind, given = error["type"], error["input"]
    if kind == "extra_forbidden":
        return entry.key_place, _unknown_key(str(keys[-1]), _model_at(error["loc"][:-1]))
    if kind == "missing":
        return entry.key_place, "this key is required"
    if kind == "union_tag_not_found":
        return entry.key_place, f"this key is required; accepted are {', '.join(_kinds(error['loc']))}"
    if kind == "union_tag_invalid":
        return entry.place, f"accepted are {error['ctx']['expected_tags']}; got {error['ctx']['tag']!r}"
    message = _TAKES.get(kind) or _sentence(error["msg"].removeprefix("Value error, "))
    if kind == "value_error" and isinstance(given, dict):
        # a rule over several keys names their values itself; the whole section would bury it
        return _place_of_rule(message, entry), message
    if given is None:
        return entry.place, f"{message}; it is null here: give a value"
    return entry.place, f"{message}; got {_shown(given)}{_hint(kind, given, entry)}"


def _sentence(message: str) -> str:
    """The message as it goes on behind a colon; a name such as CrossEncoder keeps its capitals."""
    first = message.partition(" ")[0]
    return message[:1].lower() + message[1:] if first[1:].islower() else message


def _shown(given: Any) -> str:
    text = "a mapping" if isinstance(given, dict) else repr(given)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]} ..."


def _hint(kind: str, given: Any, entry: Entry) -> str:
    """What may have been meant, where a type is not what it looks like."""
    if isinstance(given, bool) and entry.written:
        quotes = "; put it in quotes if you mean the word" if kind in ("string_type", "literal_error") else ""
        return f", which is how YAML reads the word {entry.written}{quotes}"
    if kind == "string_type" and isinstance(given, int | float):
        return "; put it in quotes if you mean the text"
    if isinstance(given, str) and kind in ("int_type", "float_type", "bool_type"):
        bare = given.replace(".", "", 1).lstrip("+-").isdecimal() or given in ("true", "false")
        return "; leave the quotes away" if bare else ""
    if kind in ("int_type", "int_from_float") and isinstance(given, float) and given.is_integer():
        return f"; write {int(given)}"
    return ""


def _unknown_key(key: str, model: type[BaseModel]) -> str:
    accepted = list(model.model_fields)
    near = difflib.get_close_matches(key, accepted, 1)
    elsewhere = [] if near else [name for name in _all_keys(Recipe) if name.rpartition(".")[2] == key]
    meant = f"did you mean {near[0]}? " if near else f"did you mean {' or '.join(elsewhere[:2])}? " if elsewhere else ""
    return f"unknown key; {meant}accepted here are {', '.join(accepted)}"


def _place_of_rule(message: str, section: Entry) -> Place:
    """Where the first of the keys stands that a rule's message names."""
    named = [entry for entry in (inside(section, word.split(".")) for word in _WORD.findall(message)) if entry]
    return named[0].key_place if named else section.key_place


def inside(entry: Entry, keys: Iterable[str]) -> Entry | None:
    """The entry that the keys lead to, if there is one."""
    for key in keys:
        if not isinstance(entry.value, dict) or key not in entry.value:
            return None
        entry = entry.value[key]
    return entry


def _faulty(error: Mapping[str, Any], content: Entry) -> list[Keys]:
    """The keys without which an error would not be: those of its value, or of all that a rule names."""
    keys, entry = _found(error, content)
    if error["type"] != "value_error" or not isinstance(error["input"], dict):
        return [keys]
    named = [tuple(word.split(".")) for word in _WORD.findall(error["msg"])]
    return [(*keys, *name) for name in named if inside(entry, name)] or [keys]


def _mended(content: Entry, error: Mapping[str, Any], faulty: Iterable[Keys]) -> Entry:
    """The content without the faulty keys, or with something in the place of what is missing or still to be given."""
    if error["type"] == "missing":
        keys, _ = _found(error, content)
        return _replaced(content, keys, _stand_in(error["loc"], content.place))
    if error["input"] is None and error["type"] in ("path_type", "string_type"):
        keys, entry = _found(error, content)
        return _replaced(content, keys, Entry(".", entry.place, entry.key_place))
    for keys in faulty:
        content = _replaced(content, keys, None)
    return content


def _stand_in(loc: Sequence[int | str], place: Place) -> Entry:
    section = models_in(_model_at(loc[:-1]).model_fields[str(loc[-1])].annotation)
    return Entry({} if section else ".", place, place)


def _replaced(content: Entry, keys: Keys, entry: Entry | None) -> Entry:
    """The content with ``entry`` at the keys; None takes the key away."""
    if not keys:
        return content
    if isinstance(content.value, list):
        # an item has no default: the list goes as a whole
        return content
    first, *rest = keys
    inside = dict(content.value)
    if rest and isinstance(inside.get(str(first)), Entry) and isinstance(inside[str(first)].value, dict):
        inside[str(first)] = _replaced(inside[str(first)], tuple(rest), entry)
    elif entry is None:
        inside.pop(str(first), None)
    else:
        inside[str(first)] = entry
    return Entry(inside, content.place, content.key_place, content.written)


def _model_at(loc: Iterable[int | str]) -> type[BaseModel]:
    """The section that an error's location leads to."""
    return _followed(loc)[1]


def _followed(loc: Iterable[int | str]) -> tuple[list[int | str], type[BaseModel]]:
    """The keys of an error's location, without the kind that pydantic names behind a section of several, and the last
    section on the way."""
    keys: list[int | str] = []
    last: type[BaseModel] = Recipe
    models: list[type[BaseModel]] = [Recipe]
    for part in loc:
        if len(models) > 1:
            models = [model for model in models if part in get_args(model.model_fields["kind"].annotation)]
        else:
            keys.append(part)
            field = models[0].model_fields.get(str(part)) if models else None
            models = models_in(field.annotation) if field else []
        last = models[0] if len(models) == 1 else last
    return keys, last


def _kinds(loc: Iterable[int | str]) -> list[str]:
    """The words that ``kind`` takes in a section of several forms."""
    *section, last = loc
    models = models_in(_model_at(section).model_fields[str(last)].annotation)
    return [str(kind) for model in models for kind in get_args(model.model_fields["kind"].annotation)]


def _all_keys(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    for name, field in model.model_fields.items():
        yield prefix + name
        for section in models_in(field.annotation):
            yield from _all_keys(section, f"{prefix}{name}.")


def models_in(annotation: Any) -> list[type[BaseModel]]:
    """The sections that a key may hold."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in models_in(part)]


def _takes_null(annotation: Any) -> bool:
    return annotation is NoneType or any(part is NoneType for part in get_args(annotation))


def _is_mapping(annotation: Any) -> bool:
    return getattr(annotation, "__origin__", None) is dict
