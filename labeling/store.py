"""The label store: a folder of Parquet parts and a manifest that a killed job leaves whole.

A list's rows stand in one part. The manifest tells whether the last job has finished, and ``lists.parquet`` which lists
it was about: rows of other lists (of an older teacher or an older text) stay in the parts and are not read.
"""

from __future__ import annotations

import logging
import os
import platform
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from labeling import DamagedFile, LabelingError
from labeling.compact import FinishedLists, JobLists
from labeling.keys import canonical_json, teacher_hash
from labeling.label_lists import Row
from labeling.lock import LOCK_FILE, exclusive
from labeling.manifest import FORMAT, MANIFEST, changed_entries, load_manifest, write_manifest
from labeling.parts import (
    BROKEN,
    COLUMNS,
    UNFINISHED,
    next_part_number,
    part_paths,
    read_table,
    remove_unfinished,
    write_table,
)
from labeling.texts import well_formed

logger = logging.getLogger(__name__)

LISTS = "lists.parquet"


class LabelStore:
    """The one writer of a label folder; :func:`open_store` makes it, under the folder's lock.

    Attributes:
        finished: the lists that stood in parts when the store was opened.
        teacher_change: names of the description's entries that differ from the last job's, sorted.
    """

    def __init__(self, folder: Path, description: Mapping[str, Any], part_lists: int, part_seconds: float) -> None:
        self._folder = folder
        self._part_lists, self._part_seconds = part_lists, part_seconds
        self._pending: list[Sequence[Row]] = []
        self._last_flush = time.monotonic()
        self.teacher = teacher_hash(description)
        self._teacher_columns = {"teacher": self.teacher} | {
            f"teacher_{key}": well_formed(value) if isinstance(value, str) else canonical_json(value)
            for key, value in description.items()
        }
        before = load_manifest(folder) if (folder / MANIFEST).exists() else {"teachers": {}, "teacher": None}
        self.teacher_change = changed_entries(before["teachers"].get(before["teacher"]), description)
        self._manifest = {
            "format": FORMAT,
            "complete": False,
            "teacher": self.teacher,
            "teachers": before["teachers"] | {self.teacher: dict(description)},
            "versions": {
                "python": platform.python_version(),
                "pyarrow": version("pyarrow"),
                "distill": version("distill"),
            },
        }
        self._write_manifest()
        remove_unfinished(folder)
        self.finished = self._scan()
        self._next_part = next_part_number(folder)

    def _scan(self) -> FinishedLists:
        """What stands in parts. Every page is read: an altered part is found now, and its lists are made again."""
        finished = FinishedLists()
        for path in part_paths(self._folder):
            try:
                table = read_table(path, COLUMNS.names)
            except DamagedFile as error:
                aside = path.replace(path.with_suffix(BROKEN))
                logger.warning("%s; set aside as %s, its lists are labelled again", error, aside.name)
                continue
            finished.add_part(table)
        if repeated := finished.added - len(finished):
            raise LabelingError(
                f"{self._folder}: {repeated} lists stand twice in its parts, such as in a copy of one; "
                "`distill labels verify --repair` sets copies aside"
            )
        return finished

    def forget_failed(self) -> None:
        """Takes the failed lists out of the parts, so that they are unfinished again."""
        for path in part_paths(self._folder) if self.finished.failed else ():
            table = read_table(path)
            kept = table.filter(pc.equal(table["status"], "ok"))
            if kept.num_rows < table.num_rows:
                write_table(kept, path)
        self.finished.forget_failed()

    def add(self, rows: Sequence[Row]) -> None:
        """Takes the rows of one whole list, and flushes when ``part_lists`` or ``part_seconds`` are reached."""
        self._pending.append([_storable(row) for row in rows])
        if len(self._pending) >= self._part_lists or time.monotonic() - self._last_flush >= self._part_seconds:
            self.flush()

    def flush(self) -> None:
        """Puts every list taken so far on disk, as one part.

        Raises:
            LabelingError: the part cannot be written, as on a full disk; earlier parts are untouched.
        """
        # Emptied first: lists whose writing is interrupted are judged again, and never written twice.
        pending, self._pending = self._pending, []
        self._last_flush = time.monotonic()
        if not pending:
            return
        number, self._next_part = self._next_part, self._next_part + 1
        schema = pa.schema([*COLUMNS, *((name, pa.string()) for name in self._teacher_columns if name != "teacher")])
        table = pa.Table.from_pylist([row | self._teacher_columns for rows in pending for row in rows], schema=schema)
        write_table(table, self._folder / f"part-{number:05d}.parquet")

    def finish(self, lists: Mapping[str, str] | JobLists, origin: Mapping[str, Any] | None = None) -> dict[str, int]:
        """Declares these lists (query id -> list key) to be what the folder holds.

        Args:
            lists: in the order in which they are to be read.
            origin: further entries of the manifest, as JSON values: where the lists come from if not from a judge.

        Returns:
            Counts of ``lists``, ``failed`` lists, and ``documents``, of which ``missing`` and ``truncated``.
        """
        self.flush()
        if isinstance(lists, JobLists):
            table = lists.table()
        else:
            table = pa.table({"query_id": list(lists), "list_key": list(lists.values())}, schema=_LISTS_SCHEMA)
        write_table(table, self._folder / LISTS)
        counts = {"lists": len(lists)} | _counts(self._folder, table["list_key"])
        self._manifest |= dict(origin or {}) | {"complete": True, "counts": counts}
        self._write_manifest()
        return counts

    def _write_manifest(self) -> None:
        write_manifest(self._folder, self._manifest)


def _storable(row: Row) -> Row:
    """The row with texts that Parquet can hold: a reason quotes a document, and must not cost the lists beside it."""
    texts = {name: well_formed(row[name]) for name in ("reason", "note") if row.get(name)}
    return row | texts if texts else row


_LISTS_SCHEMA = pa.schema([("query_id", pa.string()), ("list_key", pa.string())])


@contextmanager
def open_store(
    folder: Path, description: Mapping[str, Any], part_lists: int = 256, part_seconds: float = 30.0
) -> Iterator[LabelStore]:
    """The store of a folder, which is made if it is missing, and locked until the end of the ``with`` block.

    Lists that were taken are flushed at the end of the block, also when an error ends it.

    Args:
        folder: the label folder; missing, empty or a label store.
        description: the judge's description, which goes into the manifest and, entry by entry, into every row.
        part_lists: most lists in a part.
        part_seconds: most seconds between two parts, while lists come.

    Raises:
        LabelingError: the folder cannot be made or read, holds something else or another version's labels, or another
            job is at work in it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LabelingError(f"{folder}: no folder can be made there ({error.strerror})") from error
    refuse_other_content(folder)
    with exclusive(folder):
        store = LabelStore(folder, description, part_lists, part_seconds)
        try:
            yield store
        finally:
            store.flush()


def refuse_other_content(folder: Path) -> None:
    """Stops somebody who would label into a place that holds something else; one that does not exist passes.

    Raises:
        LabelingError: it is no folder, or one with files and without a manifest.
    """
    if not os.path.lexists(folder):
        return
    try:
        names = [path.name for path in folder.iterdir() if path.name != LOCK_FILE and path.suffix != UNFINISHED]
    except OSError as error:
        raise LabelingError(f"{folder}: not a folder that can be read ({error.strerror})") from error
    if names and MANIFEST not in names:
        raise LabelingError(f"{folder}: holds {min(names)} but no {MANIFEST}; give an empty folder or a label folder")


def _counts(folder: Path, keys: pa.ChunkedArray) -> dict[str, int]:
    counts = {"failed": 0, "documents": 0, "missing": 0, "truncated": 0}
    for path in part_paths(folder):
        table = read_table(path, ["list_key", "status", "group", "truncated"])
        # chunk by chunk: a set of texts ends at 2 GiB too
        for some in keys.chunks:
            mine = table.filter(pc.is_in(table["list_key"], value_set=some))
            labelled = mine.filter(pc.equal(mine["status"], "ok"))
            counts["failed"] += mine.num_rows - labelled.num_rows
            counts["documents"] += labelled.num_rows
            counts["missing"] += pc.sum(pc.equal(labelled["group"], "missing"), min_count=0).as_py()
            counts["truncated"] += pc.sum(pc.greater(labelled["truncated"], 0), min_count=0).as_py()
    return counts
