"""The choice of tail queries: those with too little traffic for click feedback to rank them."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from labeling import LabelingError
from labeling.tail.cuts import cut_to_tail
from labeling.tail.database import open_database
from labeling.tail.query_text import merge_key
from labeling.tail.report import TailReport
from labeling.tail.settings import MAX_COUNT, TailSettings


class LoggedQuery(NamedTuple):
    """One query of a log whose duplicates are merged, and how often it was asked."""

    query_id: str
    text: str
    frequency: int
    clicks: int | None = None
    impressions: int | None = None


@dataclass(frozen=True)
class TailChoice:
    """The chosen query ids, in the order of the log, and why the others are not among them."""

    query_ids: list[str]
    report: TailReport


def choose_tail_queries(log: Iterable[LoggedQuery], settings: TailSettings) -> TailChoice:
    """The tail of a log that fits into memory; the order of the log does not change which queries are tail.

    Queries of one frequency are all head or all tail, so the rarest ones are always tail.

    Args:
        log: one entry a query; frequencies are at least 1.
        settings: where the head ends, and what else is left out.

    Raises:
        LabelingError: the log is empty, a query id comes twice, a count is not a whole number, or a setting asks for
            clicks or impressions that an entry lacks.
    """
    entries = list(log)
    _check(entries, settings)
    columns = {
        "query_id": pa.array([entry.query_id for entry in entries], pa.string()),
        "text": pa.nulls(len(entries), pa.string()),
        "key": pa.array([merge_key(entry.text) for entry in entries], pa.string()),
        "frequency": pa.array([entry.frequency for entry in entries], pa.int64()),
        "clicks": pa.array([entry.clicks for entry in entries], pa.int64()),
        "impressions": pa.array([entry.impressions for entry in entries], pa.int64()),
    }
    with tempfile.TemporaryDirectory() as folder, open_database(Path(folder)) as database:
        database.register("entries", pa.table(columns))
        database.execute("CREATE TABLE queries AS SELECT * FROM entries")
        report = cut_to_tail(database, settings)
        chosen = {query_id for (query_id,) in database.execute("SELECT query_id FROM tail").fetchall()}
    return TailChoice([entry.query_id for entry in entries if entry.query_id in chosen], report)


def _check(entries: Sequence[LoggedQuery], settings: TailSettings) -> None:
    needed = settings.needed_columns()
    seen: set[str] = set()
    for entry in entries:
        if entry.query_id in seen:
            raise LabelingError(f"query id {entry.query_id!r} comes twice in the query log")
        for column, least in (("frequency", 1), ("clicks", 0), ("impressions", 0)):
            count = getattr(entry, column)
            if count is None and column not in needed:
                continue
            if not isinstance(count, int) or not least <= count <= MAX_COUNT:
                accepted = f"a whole number of at least {least}"
                raise LabelingError(f"query {entry.query_id!r}: {column} {count!r} is not {accepted}")
        seen.add(entry.query_id)
