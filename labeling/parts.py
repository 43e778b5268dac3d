"""The files of a label folder: Parquet parts that are either whole or absent, and known to be unaltered when read."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from labeling import DamagedFile, LabelingError

UNFINISHED = ".tmp"
BROKEN = ".broken"

EARLIER_IS_SAFE = "; what was written before is safe, resume from it"
"""What the writer of a label folder is told when the disk is full."""

REPAIR = "`distill labels verify --repair` sets aside what is broken, and the label job makes it again"
"""What the reader of a label folder is told where a list cannot be used."""

COLUMNS = pa.schema(
    [
        ("query_id", pa.string()),
        ("doc_id", pa.string()),  # null in the one row of a failed list
        ("position", pa.int32()),  # place among the candidates as given, from 0
        ("score", pa.float64()),
        ("rank", pa.int32()),  # from 1; equal scores share a rank
        ("group", pa.string()),  # ranked or missing
        ("missing", pa.bool_()),  # null where the judge cannot tell
        ("evidence_start", pa.int32()),  # characters of the document, half-open
        ("evidence_end", pa.int32()),
        ("reason", pa.string()),
        ("truncated", pa.int32()),  # tokens or words cut off
        ("tokens", pa.int32()),  # of the whole list; null where the judge cannot tell
        ("confidence", pa.float64()),  # of the whole list, in [-1, 1]; null where the judge cannot tell
        ("note", pa.string()),  # of the whole list: what was odd about the judge's answer
        ("status", pa.string()),  # ok or failed
        ("error", pa.string()),
        ("list_key", pa.string()),
        ("query_hash", pa.string()),
        ("doc_hash", pa.string()),
        ("seconds", pa.float64()),  # that the judge took for the whole list
        ("created", pa.timestamp("us", tz="UTC")),
        ("teacher", pa.string()),  # hash of the description, whose entries follow as teacher_NAME
    ]
)


def part_paths(folder: Path) -> list[Path]:
    """The parts of a folder, oldest first."""
    return sorted(folder.glob("part-*.parquet"), key=_part_number)


def _part_number(path: Path) -> tuple[int, str]:
    """The number in a part's name, which by name alone would misplace part-100000, and the name, for copies of one."""
    digits = re.match(r"part-(\d+)", path.name)
    return int(digits[1]) if digits else -1, path.name


def next_part_number(folder: Path) -> int:
    """One more than the highest number in use, parts that were set aside included."""
    names = [path.stem.removeprefix("part-") for path in folder.glob("part-*") if path.suffix != UNFINISHED]
    # A copy that somebody made has a name of its own, such as part-00000 (1).parquet.
    return max((int(name) for name in names if name.isdecimal()), default=-1) + 1


def remove_unfinished(folder: Path) -> None:
    """Clears away what a killed writer left beside the parts."""
    for path in folder.glob(f"*{UNFINISHED}"):
        path.unlink()


def read_table(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """The named columns of a Parquet file, or all, with the checksum of every page that is read compared.

    Raises:
        DamagedFile: the file is truncated, altered, or lacks a column, or one is of another type than it was written.
        LabelingError: the system does not let us read it, whatever it holds.
    """
    names = None if columns is None else list(columns)
    try:
        with pa.OSFile(str(path)) as file:
            table = pq.read_table(file, columns=names, page_checksum_verification=True)
        _check_types(table.schema)
        return table if names is None else table.select(names)
    except (pa.ArrowException, OSError, KeyError) as error:
        # a wrong checksum is an OSError too, one without a number of the system's
        if isinstance(error, OSError) and error.errno is not None:
            raise LabelingError(f"{path}: cannot be read ({os.strerror(error.errno)}); it is left as it is") from error
        reason = str(error).strip().splitlines()[0]
        raise DamagedFile(f"{path}: not a readable label file ({reason}); run the label job again") from error


def _check_types(schema: pa.Schema) -> None:
    """Raises pa.ArrowTypeError where a column that we wrote has become another's: every reader relies on the types."""
    for name in schema.names:
        known = COLUMNS.get_field_index(name)
        if known >= 0 and schema.field(name).type != COLUMNS.field(known).type:
            raise pa.ArrowTypeError(f"column {name} is {schema.field(name).type}, not {COLUMNS.field(known).type}")


def write_table(table: pa.Table, path: Path) -> None:
    """Puts a table in its place in a label folder, whole or not at all.

    Raises:
        LabelingError: it cannot be written; what stood in the folder still stands.
    """

    def write(unfinished: Path) -> None:
        pq.write_table(table, unfinished, compression="zstd", write_page_checksum=True)

    write_beside(path, write, EARLIER_IS_SAFE)


def write_beside(path: Path, write: Callable[[Path], Any], advice: str = "") -> None:
    """Lets ``write`` fill a file beside ``path``, synchronises it to disk and renames it into place.

    Args:
        path: the file to be.
        write: called with the path of the file beside it.
        advice: the end of the error's message.

    Raises:
        LabelingError: the file cannot be written, as on a full disk; what stood at ``path`` still stands.
    """
    unfinished = path.with_name(path.name + UNFINISHED)
    try:
        write(unfinished)
        _synchronise(unfinished)
        unfinished.replace(path)
        _synchronise(path.parent)
    except OSError as error:
        raise LabelingError(f"{path}: cannot be written ({error.strerror or error}){advice}") from error
    finally:
        unfinished.unlink(missing_ok=True)


def _synchronise(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
