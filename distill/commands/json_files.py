"""The figures of a command as a JSON file, for whatever reads them next."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from distill.collections.files import whole_file


def write_json(content: Mapping[str, Any], path: Path) -> None:
    """Write one JSON object, whole or not at all; texts in ASCII, so that no character of theirs can break the file."""
    with whole_file(path) as beside:
        beside.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n", encoding="utf-8")
