"""Reads a query log into the database, with what is one query merged into one row and its counts summed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from duckdb import DuckDBPyConnection

from labeling import LabelingError
from labeling.tail.cuts import OnStep
from labeling.tail.log_files import LogBatch, read_log_file
from labeling.tail.settings import MAX_COUNT

_COUNTS = ("frequency", "clicks", "impressions", "lines")

OnLines = Callable[[int], None]
"""Told now and then how many lines have been read."""


@dataclass(frozen=True, slots=True)
class LogColumns:
    """Names of a log's columns; a log without frequencies has one line for each time that a query was asked."""

    query: str
    frequency: str | None = None
    clicks: str | None = None
    impressions: str | None = None

    def mapped(self) -> dict[str, str]:
        """Name in the log by meaning, of those that the log has; the query first."""
        names = {name: getattr(self, name) for name in ("query", "frequency", "clicks", "impressions")}
        return {name: column for name, column in names.items() if column is not None}


@dataclass(frozen=True, slots=True)
class LogReport:
    """What was read of a log.

    Attributes:
        lines: lines that hold a query, or an empty one.
        empty: of those, lines whose query is empty, or shows nothing; they are passed over.
        spellings: different texts, white space apart.
        queries: different queries, once spellings of one query are merged.
    """

    lines: int
    empty: int
    spellings: int
    queries: int


def read_query_log(
    database: DuckDBPyConnection, path: Path, columns: LogColumns, on_step: OnStep = lambda _: None,
    on_lines: OnLines = lambda _: None,
) -> LogReport:  # fmt: skip
    """Make the table ``queries``: query_id, text, key, frequency, clicks and impressions (null where the log has none).

    Lines are one query if `merge_key` makes their queries equal; counts are summed. ``text`` is the spelling asked most
    often (of equals the smallest), ``query_id`` the first 32 hexadecimal digits of the key's SHA-256.

    Args:
        database: an open one, without these tables.
        path: CSV, TSV, JSON lines or Parquet, as `read_log_file` takes them.
        columns: which column is what. An empty cell is 0 among clicks and impressions, and no frequency.
        on_step: told each step.
        on_lines: told the lines read so far.

    Raises:
        LabelingError: the file cannot be read, a column is not there, a count is not a whole number of at least 0 (a
            frequency: 1), or no line holds a query.
    """
    on_step("reading the log")
    database.execute(
        "CREATE TABLE lines (text VARCHAR, frequency BIGINT, clicks BIGINT, impressions BIGINT, lines BIGINT)"
    )
    read = 0
    for batch in read_log_file(path, list(columns.mapped().values())):
        _store(database, batch, columns)
        read += len(batch.lines)
        on_lines(read)
    on_step("merging duplicates")
    _merge(database)
    found = database.execute(
        "SELECT count(*) FILTER (key <> ''), coalesce(sum(spellings) FILTER (key <> ''), 0)::BIGINT,"
        " coalesce(sum(lines) FILTER (key = ''), 0)::BIGINT FROM queries"
    ).fetchone()
    assert found is not None  # an aggregate without groups has one row
    queries, spellings, empty = found
    if not queries:
        raise LabelingError(f"{path}: no line holds a query" + (f" ({empty} are empty)" if empty else ""))
    database.execute("DELETE FROM queries WHERE key = ''")
    return LogReport(lines=read, empty=empty, spellings=spellings, queries=queries)


def _store(database: DuckDBPyConnection, batch: LogBatch, columns: LogColumns) -> None:
    """Add a batch, its equal lines already one: in a log of single events this saves most of the room."""
    mapped = dict(zip(columns.mapped(), batch.columns, strict=True))
    rows = {"query": _texts(batch, mapped["query"], columns.query)}
    for name in ("frequency", "clicks", "impressions"):
        if name in mapped:
            rows[name] = counts(batch, mapped[name], getattr(columns, name), least=1 if name == "frequency" else 0)
        elif name == "frequency":
            rows[name] = pa.repeat(pa.scalar(1, pa.int64()), len(batch.lines))
        else:
            rows[name] = pa.nulls(len(batch.lines), pa.int64())
    database.register("batch", pa.table(rows))
    database.execute(
        "INSERT INTO lines SELECT shown_text(query), frequency, clicks, impressions, lines FROM"
        " (SELECT query, sum(frequency)::BIGINT AS frequency, sum(clicks)::BIGINT AS clicks,"
        " sum(impressions)::BIGINT AS impressions, count(*) AS lines FROM batch GROUP BY query)"
    )
    database.unregister("batch")


def _merge(database: DuckDBPyConnection) -> None:
    """Spellings into queries, in steps that each can go on in files where memory ends.

    The window is for that as well: an aggregate that keeps a text for each query, as arg_min does, holds all these in
    memory.
    """
    counts = ", ".join(f"sum({name})::BIGINT AS {name}" for name in _COUNTS)
    database.execute(f"CREATE TABLE spelt AS SELECT text, {counts} FROM lines GROUP BY text")
    database.execute("DROP TABLE lines")
    sums = ", ".join(f"(sum({name}) OVER spellings)::BIGINT AS {name}" for name in _COUNTS)
    database.execute(
        f"""CREATE TABLE queries AS
        SELECT sha256(key)[:32] AS query_id, text, key, {sums}, count(*) OVER spellings AS spellings
        FROM (SELECT merge_key(text) AS key, * FROM spelt)
        WINDOW spellings AS (
            PARTITION BY key ORDER BY frequency DESC, text
            ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING
        )
        QUALIFY row_number() OVER spellings = 1"""
    )
    database.execute("DROP TABLE spelt")


def _texts(batch: LogBatch, column: pa.Array, name: str) -> pa.Array:
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)):
        raise LabelingError(f"{batch.place(batch.lines[0])}: column {name!r} holds {column.type}; text is accepted")
    return pc.fill_null(column.cast(pa.string()), "")


def counts(batch: LogBatch, column: pa.Array, name: str, least: int) -> pa.Array:
    """The column as whole numbers; an empty cell is 0 where 0 is accepted.

    Args:
        batch: where the column is from; names the line in a message.
        column: texts, or what a Parquet file holds.
        name: what the message calls it.
        least: the smallest number that is accepted.

    Raises:
        LabelingError: a cell is not a whole number from ``least`` to `MAX_COUNT`.
    """
    numbers = _whole_numbers(column)
    if numbers is None:
        place = batch.place(batch.lines[0])
        raise LabelingError(f"{place}: column {name!r} holds {column.type}; whole numbers are accepted")
    good = pc.and_(pc.greater_equal(numbers, least), pc.less_equal(numbers, MAX_COUNT))
    good = pc.fill_null(good, False)
    if least == 0:
        good = pc.or_(good, _is_empty(column))
    if not pc.all(good, min_count=0).as_py():
        bad = pc.index(good, False).as_py()
        found = f"{batch.place(batch.lines[bad])}: {name} {column[bad].as_py()!r:.60}"
        raise LabelingError(f"{found}; whole numbers from {least} to {MAX_COUNT} are accepted")
    return pc.fill_null(numbers, 0)


def _whole_numbers(column: pa.Array) -> pa.Array | None:
    """The column as 64-bit numbers, null where a value is not one; None if the column's type has no numbers."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        return _whole_numbers(column.dictionary_decode())
    if pa.types.is_null(kind):
        return pa.nulls(len(column), pa.int64())
    if pa.types.is_integer(kind):
        return column.cast(pa.int64(), safe=False)  # what is too large becomes negative, and is refused as that
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        column = column.cast(pa.float64())
        whole = pc.and_(pc.equal(pc.floor(column), column), pc.less_equal(pc.abs(column), float(2**53)))
        return pc.if_else(whole, column, None).cast(pa.int64())
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        trimmed = pc.replace_substring_regex(pc.utf8_trim_whitespace(column), r"^(\d{1,13})\.0+$", r"\1")
        return pc.if_else(pc.match_substring_regex(trimmed, r"^\d{1,13}$"), trimmed, None).cast(pa.int64())
    return None


def _is_empty(column: pa.Array) -> pa.Array:
    if pa.types.is_dictionary(column.type):
        return _is_empty(column.dictionary_decode())
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        return pc.fill_null(pc.equal(pc.utf8_trim_whitespace(column), ""), True)
    return pc.is_null(column)
