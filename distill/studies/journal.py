"""What a long study has measured so far, line by line, so that an interrupted one goes on where it stopped."""

from __future__ import annotations

import hashlib
import json
import logging
from pathlib import Path
from typing import Any

logger = logging.getLogger(__name__)


class Journal:
    """A JSON-lines file of figures, each under the hash of all that it depends on.

    A line that cannot be read, such as one that an interruption cut, counts as not measured.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._values: dict[str, Any] = {}
        path.parent.mkdir(parents=True, exist_ok=True)
        self._whole = True
        if path.exists():
            text = path.read_text(encoding="utf-8", errors="replace")
            self._whole = not text or text.endswith("\n")
            for number, line in enumerate(text.splitlines(), start=1):
                try:
                    entry = json.loads(line)
                    self._values[entry["key"]] = entry["value"]
                except (ValueError, KeyError, TypeError):
                    logger.warning("%s line %d cannot be read; it is measured again", path, number)

    def get(self, key: str) -> Any:
        """The figure, None where it is not measured yet."""
        return self._values.get(key)

    def put(self, key: str, value: Any) -> None:
        """Keep a figure, as JSON values."""
        line = json.dumps({"key": key, "value": value}) + "\n"
        with self._path.open("a", encoding="utf-8") as file:
            file.write(line if self._whole else "\n" + line)
        self._whole = True
        self._values[key] = value


def journal_key(*parts: Any) -> str:
    """Hash of JSON values that a figure depends on."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
