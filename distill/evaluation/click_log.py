"""Reads a click log with positions: what was shown where, how often, and how often it was clicked."""

from __future__ import annotations

from collections.abc import Callable, Container, Hashable, Iterable
from dataclasses import dataclass, fields
from itertools import compress
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from distill.collections.collection import DataError
from labeling.tail.log_files import LogBatch, read_log_file
from labeling.tail.query_log import counts

# Distinct lines that stand in memory before they are summed again.
_PENDING = 2_000_000
_KEYS = ["query", "document", "position"]

Whole = NDArray[np.int64]
Figures = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ClickLogColumns:
    """Names of a log's columns. A log without ``impressions`` has one line for each result of each page."""

    query: str = "query"
    document: str = "document"
    position: str = "position"
    clicked: str = "clicked"
    impressions: str | None = None

    @classmethod
    def parse(cls, text: str) -> ClickLogColumns:
        """Read ``"query=q,document=doc_id,position=rank,clicked=c"``; what is left out keeps its own name.

        Raises:
            DataError: a part is not written so, or names something else.
        """
        known = [field.name for field in fields(cls)]
        mapped: dict[str, str] = {}
        for part in text.split(","):
            name, equals, column = (piece.strip() for piece in part.partition("="))
            if not equals or not column or name not in known or name in mapped:
                raise DataError(
                    f"column map: {part.strip()!r}; accepted is each of {', '.join(known)} once, as query=q"
                )
            mapped[name] = column
        return cls(**mapped)


@dataclass(frozen=True, slots=True)
class ClickLog:
    """Sums over a click log, one entry for each query, document and position.

    Attributes:
        query_ids: by entry.
        doc_ids: by entry.
        positions: rank at which the document was shown, from 1, (entries,).
        impressions: how often it was shown there, (entries,).
        clicks: how many of these were clicked, (entries,).
        lines: lines that were read.
    """

    query_ids: list[str]
    doc_ids: list[str]
    positions: Whole
    impressions: Whole
    clicks: Whole
    lines: int

    def only(self, query_ids: Container[str]) -> ClickLog:
        """The entries of these queries; ``lines`` stays."""
        kept = np.array([query_id in query_ids for query_id in self.query_ids], dtype=bool)
        return ClickLog(
            query_ids=list(compress(self.query_ids, kept)),
            doc_ids=list(compress(self.doc_ids, kept)),
            positions=self.positions[kept],
            impressions=self.impressions[kept],
            clicks=self.clicks[kept],
            lines=self.lines,
        )

    def query_numbers(self) -> Whole:
        """A number for each query from 0 in the order of their first entries, (entries,)."""
        return _numbered(self.query_ids)

    def result_numbers(self) -> Whole:
        """A number for each query and document together, likewise, (entries,)."""
        return _numbered(zip(self.query_ids, self.doc_ids, strict=True))

    def pages(self) -> Figures:
        """Pages shown by query number: its impressions at the position that has most, as a page fills each but once."""
        queries = self.query_numbers()
        places = _numbered(zip(queries.tolist(), self.positions.tolist(), strict=True))
        most = np.zeros(queries.max(initial=-1) + 1)
        np.maximum.at(most, queries, sums_by(places, self.impressions)[places])
        return most


def read_click_log(
    path: Path, columns: ClickLogColumns | None = None, on_lines: Callable[[int], None] = lambda _: None
) -> ClickLog:
    """Sum up a click log in CSV, TSV, JSON lines (any of these may be packed, ``.gz``) or Parquet.

    The log must hold every result that was shown, clicked or not. Memory grows with the distinct entries, not with the
    lines.

    Args:
        path: the log; its first line names the columns.
        columns: which column is what; None for the names of `ClickLogColumns`. Positions count from 1. ``clicked`` is 0
            or 1, false or true, and where there is a column of impressions the number of clicks among them.
        on_lines: told the lines read so far.

    Raises:
        DataError: a line lacks an id, has more clicks than impressions, or the log no line or nothing unclicked.
        LabelingError: the file cannot be read, a column is not there, or a number is none.
    """
    columns = columns or ClickLogColumns()
    names = {name: column for name in ClickLogColumns.__slots__ if (column := getattr(columns, name)) is not None}
    parts: list[pa.Table] = []
    lines = 0
    for batch in read_log_file(path, list(names.values())):
        parts.append(_summed(_checked(batch, names)))
        # what has been summed already is summed again only when as much has come behind it
        if sum(map(len, parts[1:])) > max(_PENDING, len(parts[0])):
            parts = [_summed(pa.concat_tables(parts))]
        lines += len(batch.lines)
        on_lines(lines)
    if not parts:
        raise DataError(f"{path}: no line after the column names; a click log has one for each result that was shown")
    # summed in one order whatever the lines' order, so that a seed draws the same queries
    table = _summed(pa.concat_tables(parts)).sort_by([(key, "ascending") for key in _KEYS])
    positions, impressions, clicks = (
        table.column(name).to_numpy().astype(np.int64) for name in ("position", "impressions", "clicks")
    )
    if (impressions == clicks).all():
        raise DataError(
            f"{path}: all {impressions.sum():,} results are clicked; the log must hold every result that was shown"
        )
    query_ids, doc_ids = (table.column(name).to_pylist() for name in ("query", "document"))
    return ClickLog(query_ids, doc_ids, positions, impressions, clicks, lines)


def sums_by(numbers: Whole, values: NDArray[Any], least: int = 0) -> Figures:
    """The sum of ``values`` for each number from 0, and at least for the first ``least`` of them."""
    return np.bincount(numbers, weights=values, minlength=least).astype(float)


def _numbered(keys: Iterable[Hashable]) -> Whole:
    numbers: dict[Hashable, int] = {}
    return np.array([numbers.setdefault(key, len(numbers)) for key in keys], dtype=np.int64)


def _checked(batch: LogBatch, names: dict[str, str]) -> pa.Table:
    found = dict(zip(names, batch.columns, strict=True))
    clicks = counts(batch, _as_number(found["clicked"]), names["clicked"], least=0)
    one = pa.repeat(pa.scalar(1, pa.int64()), len(batch.lines))
    shown = counts(batch, found["impressions"], names["impressions"], least=1) if "impressions" in found else one
    over = pc.greater(clicks, shown)
    if pc.any(over, min_count=0).as_py():
        row = pc.index(over, True).as_py()
        came = f"{batch.place(batch.lines[row])}: {names['clicked']} {clicks[row].as_py()}"
        accepted = f"at most the {shown[row].as_py()} impressions are" if "impressions" in found else "0 or 1 is"
        raise DataError(f"{came}; {accepted} accepted")
    return pa.table(
        {
            "query": _ids(batch, found["query"], names["query"]),
            "document": _ids(batch, found["document"], names["document"]),
            "position": counts(batch, found["position"], names["position"], least=1),
            "impressions": shown,
            "clicks": clicks,
        }
    )


def _summed(table: pa.Table) -> pa.Table:
    sums = table.group_by(_KEYS).aggregate([("impressions", "sum"), ("clicks", "sum")])
    return sums.rename_columns({"impressions_sum": "impressions", "clicks_sum": "clicks"})


def _as_number(column: pa.Array) -> pa.Array:
    """True and false as 1 and 0, in a column of their type or of text."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_boolean(column.type):
        return column.cast(pa.int64())
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        return column
    word = pc.utf8_lower(pc.utf8_trim_whitespace(column))
    one, zero = pa.scalar("1", column.type), pa.scalar("0", column.type)
    return pc.if_else(pc.equal(word, "true"), one, pc.if_else(pc.equal(word, "false"), zero, column))


def _ids(batch: LogBatch, column: pa.Array, name: str) -> pa.Array:
    kind: Any = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if not (pa.types.is_integer(kind) or pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        raise DataError(f"{batch.place(batch.lines[0])}: column {name!r} holds {column.type}; text is accepted")
    ids = pc.fill_null(column.cast(pa.string()), "")
    empty = pc.equal(ids, "")
    if pc.any(empty, min_count=0).as_py():
        raise DataError(f"{batch.place(batch.lines[pc.index(empty, True).as_py()])}: {name} is empty; an id is needed")
    return ids
