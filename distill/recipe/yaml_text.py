"""YAML as recipes have it: every value knows the file and line it stands in, and YAML's traps are refused or closed."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

import yaml

from distill.errors import RecipeError, RecipeProblem

MAX_CHARACTERS = 200_000
MAX_DEPTH = 30
# a file of a few lines can name a list of lists of lists ... by aliases: what counts is the number of values meant
MAX_VALUES = 10_000
_MAX_DIGITS = 30
_PREFIX = "tag:yaml.org,2002:"
_ODD_BREAKS = re.compile("[\x85\u2028\u2029]")
_HALF_CHARACTER = re.compile("[\ud800-\udfff]")
_TRUE, _FALSE = ("true", "yes", "on"), ("false", "no", "off")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value stands: a file with line and column from 1, or the text of an override, which has no line."""

    source: str
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        return self.source if self.line is None else f"{self.source}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Entry:
    """One value of a recipe.

    Args:
        value: a scalar, a list of entries, or a mapping of entries.
        place: of the value.
        key_place: of the key that holds it; for an item of a list and a whole file, that of the value.
        written: a scalar as it is written, if that reads otherwise: ``no`` for False.
        afresh: it takes the place of what it is laid over, see `overlay`.
    """

    value: Any
    place: Place
    key_place: Place
    written: str | None = None
    afresh: bool = False

    def plain(self) -> Any:
        """The value without places."""
        if isinstance(self.value, dict):
            return {key: entry.plain() for key, entry in self.value.items()}
        if isinstance(self.value, list):
            return [entry.plain() for entry in self.value]
        return self.value


class _Loader(yaml.SafeLoader):
    """Reads plain scalars as an editor does, with both YAML 1.1's booleans and numbers such as 1e-4.

    YAML 1.1 also has dates, numbers to the base 60 (``1:30`` is 90) and octal numbers (``010`` is 8): they stay
    text, or are decimal.
    """

    yaml_implicit_resolvers: dict[str, Any] = {}


class _Dumper(yaml.SafeDumper):
    """Puts a text in quotes where `_Loader` or YAML 1.1 would take it for something else: 08, 1e-4, 1:30."""


def _text_node(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    # PyYAML would fold these three, which are line breaks to YAML 1.1 alone, into spaces
    return dumper.represent_scalar(_PREFIX + "str", text, style='"' if _ODD_BREAKS.search(text) else None)


_Dumper.add_representer(str, _text_node)


for _name, _pattern, _first in (
    ("bool", "|".join(form for word in _TRUE + _FALSE for form in (word, word.title(), word.upper())), "yYnNtTfFoO"),
    ("int", r"[-+]?[0-9][0-9_]*|0x[0-9a-fA-F]+", "-+0123456789"),
    (
        "float",
        r"[-+]?(?:[0-9][0-9_]*\.?[0-9_]*|\.[0-9][0-9_]*)[eE][-+]?[0-9]+|[-+]?(?:[0-9][0-9_]*\.[0-9_]*|\.[0-9][0-9_]*)",
        "-+0123456789.",
    ),
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("merge", r"<<", ["<"]),
):
    for _class in (_Loader, _Dumper):
        _class.add_implicit_resolver(_PREFIX + _name, re.compile(f"(?:{_pattern})\\Z"), list(_first))


def read_yaml(text: str, source: str) -> Entry:
    """The one value of a YAML text, an entry of value None where it is empty.

    Args:
        text: of a file or of an override.
        source: how errors name it.

    Raises:
        RecipeError: not YAML, a key that stands twice, a tag, or more than a recipe can mean.
    """
    if len(text) > MAX_CHARACTERS:
        raise RecipeError.at(source, f"{len(text):,} characters; a recipe has at most {MAX_CHARACTERS:,}")
    try:
        _refuse_depth(text, source)
        node = _Loader(text).get_single_node()
    except yaml.MarkedYAMLError as error:
        raise RecipeError.at(_at(source, error.problem_mark), _explained(error)) from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        column = error.position - text.rfind("\n", 0, error.position)
        message = f"not valid YAML: the character U+{int(error.character):04X} cannot stand in it"
        raise RecipeError.at(Place(source, line, column), message) from None
    builder = _Builder(source)
    whole = Place(source, 1, 1)
    entry = Entry(None, whole, whole) if node is None else builder.entry(node, None, 0)
    if builder.problems:
        raise RecipeError.of(builder.problems)
    return entry


def write_yaml(content: Any) -> str:
    """Plain values as a YAML text, which `read_yaml` and any reader of YAML 1.1 read as they were."""
    text: str = yaml.dump(content, Dumper=_Dumper, sort_keys=False, allow_unicode=True)
    return text


def _refuse_depth(text: str, source: str) -> None:
    # the parser keeps its own stack, but the composer recurses: count before it does
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise RecipeError.at(_at(source, event.start_mark), f"nested more than {MAX_DEPTH} deep; no recipe is")


def _at(source: str, mark: Any) -> str:
    return source if mark is None else str(Place(source, mark.line + 1, mark.column + 1))


def _explained(error: yaml.MarkedYAMLError) -> str:
    problem = str(error.problem)
    if "'\\t'" in problem:
        return "not valid YAML: a tab stands where a line is indented; indent by spaces"
    context = f"{error.context}, " if error.context else ""
    return f"not valid YAML: {context}{problem}"


class _Builder:
    """Turns YAML nodes into entries and gathers what is wrong with them."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.problems: list[RecipeProblem] = []
        self._values = 0

    def entry(self, node: yaml.Node, key_place: Place | None, depth: int) -> Entry:
        place = self._place(node)
        self._values += 1
        if depth > MAX_DEPTH or self._values > MAX_VALUES:
            message = f"aliases repeat or hold themselves; a recipe has at most {MAX_VALUES:,} values"
            raise RecipeError.at(place, message)
        value: Any
        written = None
        if isinstance(node, yaml.MappingNode):
            self._refuse_tag(node, "map")
            value = self._mapping(node, depth)
        elif isinstance(node, yaml.SequenceNode):
            self._refuse_tag(node, "seq")
            value = [self.entry(item, None, depth + 1) for item in node.value]
        else:
            value = self._scalar(node)
            written = node.value if isinstance(value, bool) and node.value not in ("true", "false") else None
        return Entry(value, place, key_place or place, written)

    def _mapping(self, node: yaml.MappingNode, depth: int) -> dict[str, Entry]:
        own: dict[str, Entry] = {}
        merged: dict[str, Entry] = {}
        for key, value in node.value:
            place = self._place(key)
            if key.tag == _PREFIX + "merge":
                merged = {**self._merged(value, depth), **merged}
            elif not isinstance(key, yaml.ScalarNode):
                self._report(place, "a key is a word; got a list or a mapping")
            elif key.value in own:
                # a key is taken as written: YAML 1.1 would read `on` as a boolean and 1 as a number
                first = own[key.value].key_place.line
                self._report(place, f"{key.value}: this key stands twice, first in line {first}; keep one of them")
            else:
                own[key.value] = self.entry(value, place, depth + 1)
        return {**merged, **own}

    def _merged(self, node: yaml.Node, depth: int) -> dict[str, Entry]:
        """What ``<<: *name`` or ``<<: [*name, *other]`` brings, the earlier first."""
        nodes = node.value if isinstance(node, yaml.SequenceNode) else [node]
        found: dict[str, Entry] = {}
        for each in nodes:
            entry = self.entry(each, None, depth + 1)
            if isinstance(entry.value, dict):
                found = {**entry.value, **found}
            else:
                self._report(entry.place, "<<: takes a mapping, or a list of mappings")
        return found

    def _scalar(self, node: yaml.Node) -> Any:
        text, kind = str(node.value), node.tag.removeprefix(_PREFIX)
        if kind == "null":
            return None
        if kind == "bool" and text.lower() in _TRUE + _FALSE:
            return text.lower() in _TRUE
        if kind in ("int", "float"):
            return self._number(text, kind, self._place(node))
        if kind == "merge":
            return text
        self._refuse_tag(node, "str")
        if _HALF_CHARACTER.search(text):
            self._report(self._place(node), "holds half a character (a lone surrogate), which no file can keep")
        return text

    def _number(self, text: str, kind: str, place: Place) -> float | int | None:
        digits = text.replace("_", "")
        if len(digits) > _MAX_DIGITS:
            self._report(place, f"a number of {len(digits)} characters; at most {_MAX_DIGITS} are accepted")
            return None
        try:
            if kind == "int":
                return int(digits, 16) if digits.startswith("0x") else int(digits)
            number = float(digits)
        except ValueError:
            self._report(place, f"{text!r} is no number")
            return None
        if not math.isfinite(number):
            self._report(place, f"{text} is too large for a number")
        return number

    def _refuse_tag(self, node: yaml.Node, expected: str) -> None:
        if node.tag not in (_PREFIX + expected, "!"):
            self._report(self._place(node), f"the tag {node.tag.removeprefix(_PREFIX)!r} is not accepted in a recipe")

    def _place(self, node: yaml.Node) -> Place:
        return Place(self.source, node.start_mark.line + 1, node.start_mark.column + 1)

    def _report(self, place: Place, message: str) -> None:
        self.problems.append(RecipeProblem(str(place), message))


def overlay(under: Entry, over: Entry) -> Entry:
    """``over`` laid on ``under``: mappings are merged key by key, everything else takes the place of what stood there.

    Two mappings that both name a ``kind``, and not the same, are alternatives: the upper one replaces the lower. A null
    takes away what it lies on, so what is laid on a null starts afresh.
    """
    if not isinstance(over.value, dict) or over.afresh:
        return over
    if under.value is None:
        return Entry(over.value, over.place, over.key_place, afresh=True)
    if not isinstance(under.value, dict) or _another_kind(under.value, over.value):
        return over
    merged = dict(under.value)
    for key, entry in over.value.items():
        merged[key] = overlay(merged[key], entry) if key in merged else entry
    return Entry(merged, under.place, under.key_place, afresh=under.afresh)


def _another_kind(under: dict[str, Entry], over: dict[str, Entry]) -> bool:
    return "kind" in under and "kind" in over and under["kind"].value != over["kind"].value
