"""What a rule about an exported folder is: one thing that servers' loaders look for, and the way to repair it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from distill.export.model_folder import ModelFolder

EXPORT = "export.json"
AGAIN = "export the model again with `distill export`"


@dataclass(frozen=True, slots=True)
class Problem:
    """What a rule found wrong."""

    came: str
    warning: bool = False


Check = Callable[[ModelFolder], Problem | None]


@dataclass(frozen=True)
class Rule:
    """One rule.

    Args:
        name: for messages and tests.
        accepted: what every loader takes.
        repair: how to get there.
        check: the problem, if there is one.
    """

    name: str
    accepted: str
    repair: str
    check: Check


def export_facts(folder: ModelFolder) -> dict[str, Any]:
    """What ``export.json`` says; empty where there is none or it cannot be read."""
    try:
        facts = json.loads((folder.path / EXPORT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return facts if isinstance(facts, dict) else {}


def shown(value: Any) -> str:
    """A value as it stands in a JSON file."""
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "replace").decode("utf-8")
