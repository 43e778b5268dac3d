"""Files out of rows that come one by one: memory does not grow with the file."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

_BATCH_ROWS = 1000


def write_lines(path: Path, lines: Iterable[str]) -> None:
    """A text file, UTF-8, a line each."""
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(f"{line}\n" for line in lines)


def write_jsonl(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    """JSON lines in ASCII: no reader can split a line at a character it takes for a line's end, such as U+2028."""
    write_lines(path, (json.dumps(row, ensure_ascii=True, allow_nan=False) for row in rows))


def write_csv(path: Path, rows: Iterable[Sequence[Any]], header: Sequence[str]) -> None:
    """A CSV file, UTF-8, lines ended by a newline alone, fields quoted where they must be."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def write_parquet(path: Path, rows: Iterable[dict[str, Any]], schema: pa.Schema) -> None:
    """A Parquet file with the schema's columns in the schema's order."""
    source = iter(rows)
    with pq.ParquetWriter(path, schema, compression="zstd", write_page_checksum=True) as writer:
        while batch := list(islice(source, _BATCH_ROWS)):
            writer.write_batch(pa.RecordBatch.from_pylist(batch, schema=schema))
