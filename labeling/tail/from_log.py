"""From a query log to its tail as files: the queries in BEIR's form, and a report of what was left out."""

from __future__ import annotations

import json
import tempfile
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

import duckdb

from labeling import LabelingError
from labeling.tail.cuts import OnStep, cut_to_tail
from labeling.tail.database import MEMORY_MIB, open_database
from labeling.tail.query_log import LogColumns, LogReport, OnLines, read_query_log
from labeling.tail.report import TailReport
from labeling.tail.settings import TailSettings

QUERIES, REPORT = "queries.jsonl", "report.json"


def write_tail_queries(
    log: Path, columns: LogColumns, settings: TailSettings, folder: Path, memory_mib: int = MEMORY_MIB,
    with_texts: bool = False, on_step: OnStep = lambda _: None, on_lines: OnLines = lambda _: None,
) -> tuple[LogReport, TailReport]:  # fmt: skip
    """Write the tail of a log into ``folder``: ``queries.jsonl``, most frequent first, and ``report.json``.

    A query is ``{"_id", "text", "metadata": {"frequency", "clicks", "impressions"}}``, without counts that the log
    lacks. The files depend on the lines of the log, not on their order.

    Args:
        log: CSV, TSV, JSON lines or Parquet.
        columns: which column is what.
        settings: what is tail.
        folder: an existing folder; what does not fit into memory stands in it until the end.
        memory_mib: MiB that the database may take; Python and its libraries take some 300 more.
        with_texts: whether the report's examples bear their texts; without, it holds no query.
        on_step: told each step.
        on_lines: told the lines read so far.

    Raises:
        LabelingError: the log cannot be read or lacks what the settings need, or memory or disk did not suffice.
    """
    missing = settings.needed_columns() - columns.mapped().keys() - {"frequency"}
    if missing:
        raise LabelingError(f"{log}: the settings need the column of {min(missing)}; name it, or leave the setting out")
    with tempfile.TemporaryDirectory(prefix=".work.", dir=folder) as work:
        try:
            with open_database(Path(work), memory_mib) as database:
                read = read_query_log(database, log, columns, on_step, on_lines)
                report = cut_to_tail(database, settings, with_texts, on_step)
                on_step("writing")
                _write_queries(database, folder / QUERIES, columns)
        except (duckdb.OutOfMemoryException, duckdb.IOException, duckdb.TransactionException) as error:
            reason = str(error).strip().splitlines()[0]
            raise LabelingError(f"{log}: {memory_mib} MiB of memory, or the disk, do not suffice ({reason})") from error
    _write_report(folder / REPORT, log, columns, settings, read, report)
    return read, report


def _write_queries(database: duckdb.DuckDBPyConnection, path: Path, columns: LogColumns) -> None:
    counts = ["frequency", *(name for name in ("clicks", "impressions") if name in columns.mapped())]
    metadata = ", ".join(f"'{name}': {name}" for name in counts)
    database.execute(
        f"COPY (SELECT query_id AS _id, text, {{{metadata}}} AS metadata FROM tail ORDER BY frequency DESC, query_id)"
        f" TO '{str(path).replace(chr(39), chr(39) * 2)}' (FORMAT json)"
    )


def _write_report(
    path: Path, log: Path, columns: LogColumns, settings: TailSettings, read: LogReport, report: TailReport
) -> None:
    written = {
        "log": log.name,
        "columns": columns.mapped(),
        "settings": settings.model_dump(),
        "read": asdict(read),
        "tail": asdict(report) | {"chosen": report.chosen, "chosen_traffic": report.chosen_traffic},
        "versions": {name: version(name) for name in ("distill", "duckdb", "pyarrow")},
    }
    path.write_text(json.dumps(written, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
