"""Questions that a study has measured, in a JSON-lines file, so that an interrupted run goes on."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from distill.artifacts import fingerprint
from distill.collections.collection import DataError
from teachers.studies.answers import Measured


class MeasuredLines:
    """Rows by question; each question is one line, written as soon as it is measured.

    Args:
        path: of the file; it is made where there is none.
        settings: JSON values that the rows depend on.
        overwrite: begin anew, whatever the file holds.

    Raises:
        DataError: the file holds rows of other settings, or a line within it is none of a study's.
    """

    def __init__(self, path: Path, settings: Mapping[str, Any], overwrite: bool = False) -> None:
        self._path = path
        self._key = fingerprint(settings)
        self.rows: dict[str, list[Measured]] = {}
        if overwrite:
            path.unlink(missing_ok=True)
        if path.exists():
            self._read()

    def add(self, query_id: str, rows: Sequence[Measured]) -> None:
        """Keep one question's rows."""
        self.rows[query_id] = list(rows)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        # ASCII: a model may write what no file can hold
        line = json.dumps({"settings": self._key, "query_id": query_id, "rows": [asdict(row) for row in rows]})
        with self._path.open("a", encoding="ascii") as file:
            file.write(line + "\n")

    def _read(self) -> None:
        content = self._path.read_bytes()
        # a line without its end is what an interruption left of one
        whole = content[: content.rfind(b"\n") + 1]
        for number, line in enumerate(whole.splitlines(), start=1):
            try:
                row = json.loads(line)
                key, query_id, rows = row["settings"], row["query_id"], [Measured(**entry) for entry in row["rows"]]
            except (ValueError, KeyError, TypeError):
                raise DataError.at(
                    self._path, number, "no line of this study; pass --overwrite to begin anew"
                ) from None
            if key != self._key:
                raise DataError(
                    f"{self._path}: holds questions measured with other settings; choose another --out, or pass "
                    "--overwrite to begin anew"
                )
            self.rows[query_id] = rows
        if len(whole) < len(content):
            self._path.write_bytes(whole)
