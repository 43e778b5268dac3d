"""What a packaged recipe's comment at its head says of it, for those who choose one."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass
from pathlib import Path

from distill.recipe.places import packaged_recipes

FIELDS = ("Models", "Hardware", "Labels", "Time", "Cost", "Run")
_FIELD = re.compile(r"([A-Z][a-z]+): (.*)")


@dataclass(frozen=True, slots=True)
class RecipeHeader:
    """The comment at a recipe's head: one line of what it is, then lines such as ``# Hardware: one GPU``."""

    name: str
    what: str
    fields: dict[str, str]


def packaged_headers() -> list[RecipeHeader]:
    """The heads of all packaged recipes, by name."""
    return [read_header(path) for path in packaged_recipes().values()]


def read_header(path: Path) -> RecipeHeader:
    """The head of a recipe's file; a line that is indented goes on from the one above."""
    lines = path.read_text(encoding="utf-8").splitlines()
    comment = [line[1:] for line in itertools.takewhile(lambda line: line.startswith("#"), lines)]
    what: list[str] = []
    fields: dict[str, list[str]] = {}
    open_field = what
    for line in comment:
        found = _FIELD.match(line.strip())
        if found and found[1] in FIELDS:
            open_field = fields.setdefault(found[1], [])
            open_field.append(found[2])
        else:
            open_field.append(line.strip())
    return RecipeHeader(path.stem, " ".join(what), {name: " ".join(parts) for name, parts in fields.items()})
