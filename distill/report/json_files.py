"""The figures of a command as a JSON file, for whatever reads them next."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from distill.collections.files import whole_file


def write_json(content: Mapping[str, Any], path: Path) -> None:
    """Write one JSON object, whole or not at all.

    Texts are in ASCII, so that no character of theirs can break the file; null stands for a figure that is not defined.
    """
    with whole_file(path) as beside:
        beside.write_text(json.dumps(_plain(content), indent=2, allow_nan=False) + "\n", encoding="utf-8")


def _plain(value: Any) -> Any:
    """The same without the numbers that JSON does not know."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
