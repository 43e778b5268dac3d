"""Reads the files in which query logs come, a bounded number of lines at a time, and knows every line's number."""

from __future__ import annotations

import csv
import gzip
import json
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from io import TextIOWrapper
from pathlib import Path
from typing import Any, TextIO

import pyarrow as pa
import pyarrow.parquet as pq

from labeling import LabelingError
from labeling.tail.query_text import storable

# A batch ends at whichever comes first, so that a log of very long lines takes no more memory than another.
_BATCH_LINES = 262_144
_BATCH_CHARACTERS = 32_000_000
_LONGEST_FIELD = 16_000_000
_SHOWN_COLUMNS = 20


@dataclass(frozen=True)
class LogBatch:
    """Some lines of a log: the columns that were asked for, in that order, and where each line stands.

    Attributes:
        columns: texts, or what a Parquet file holds.
        lines: the number of each line; of a line that spans several, the first one's. Rows count from 1 in Parquet.
        place: names a line, or row, in an error message.
    """

    columns: Sequence[pa.Array]
    lines: Sequence[int]
    place: Callable[[int], str]


def read_log_file(path: Path, names: Sequence[str]) -> Iterator[LogBatch]:
    """Yield the named columns of a query log in CSV, TSV, JSON lines (any of these may be packed, ``.gz``) or Parquet.

    CSV may quote its fields, which may then hold commas, quotes and line ends; TSV has no quotes. Both begin with a
    line of column names.

    Raises:
        LabelingError: the file's name has none of these endings, it is missing, empty or damaged, a column is not
            there, or a line is malformed; the message names the line.
    """
    plain = path.name.removesuffix(".gz")
    reader = _READERS.get(Path(plain).suffix.lower())
    if reader is None or (path.name != plain and reader is _read_parquet):
        accepted = f"{', '.join(_READERS)}, all but Parquet also as .gz"
        raise LabelingError(f"{path}: not a query log by its name; accepted are {accepted}")
    if not path.is_file():
        raise LabelingError(f"{path}: no such file")
    yield from reader(path, names)


def _read_delimited(path: Path, names: Sequence[str], delimiter: str, quotes: bool) -> Iterator[LogBatch]:
    with _lines_of(path) as file, _long_fields():
        reader = csv.reader(
            file, delimiter=delimiter, quoting=csv.QUOTE_MINIMAL if quotes else csv.QUOTE_NONE, strict=True
        )
        begun = 0
        try:
            header = next(reader, [])
            if not header:
                raise LabelingError(f"{path}: begins with no line of column names")
            if not _is_unicode("".join(header)):
                raise LabelingError(f"{path}:1: not UTF-8; the file must be UTF-8 text")
            places = _find(path, names, header)
            batch = _Batch(path, len(names))
            begun, width = reader.line_num, len(header)
            for row in reader:
                if len(row) == width:
                    if batch.fills(begun + 1, [row[place] for place in places]):
                        yield batch.emptied()
                elif row:
                    raise LabelingError(f"{path}:{begun + 1}: {len(row)} columns; the header has {width}")
                begun = reader.line_num
        except csv.Error as error:
            raise LabelingError(f"{path}:{begun + 1}: {error}; a quote may be missing here") from None
    if batch:
        yield batch.emptied()


def _read_json_lines(path: Path, names: Sequence[str]) -> Iterator[LogBatch]:
    never_seen = set(names)
    batch = _Batch(path, len(names))
    with _lines_of(path) as file:
        for number, line in enumerate(file, start=1):
            if line.isspace():
                continue
            row = _json_object(path, number, line)
            never_seen.difference_update(row)
            _find(f"{path}:{number}", names[:1], list(row))
            if batch.fills(number, [_json_text(path, number, row, name) for name in names]):
                yield batch.emptied()
    if never_seen:
        raise LabelingError(f"{path}: no line has a key {min(never_seen)!r}")
    if batch:
        yield batch.emptied()


def _read_parquet(path: Path, names: Sequence[str]) -> Iterator[LogBatch]:
    begun = 1
    try:
        with pq.ParquetFile(path, buffer_size=1 << 20) as file:
            _find(path, names, file.schema_arrow.names)
            for rows in file.iter_batches(batch_size=_BATCH_LINES, columns=list(dict.fromkeys(names))):
                columns = [rows.column(name) for name in names]
                yield LogBatch(columns, range(begun, begun + len(rows)), lambda row: f"{path}, row {row}")
                begun += len(rows)
    except (pa.ArrowException, OSError) as error:
        reason = str(error).strip().splitlines()[0]
        raise LabelingError(f"{path}: not a readable Parquet file ({reason})") from None


_READERS: dict[str, Callable[[Path, Sequence[str]], Iterator[LogBatch]]] = {
    ".csv": partial(_read_delimited, delimiter=",", quotes=True),
    ".tsv": partial(_read_delimited, delimiter="\t", quotes=False),
    ".jsonl": _read_json_lines,
    ".parquet": _read_parquet,
}


class _Batch:
    """Lines of text files until they are enough for a batch."""

    def __init__(self, path: Path, width: int) -> None:
        self._path, self._width = path, width
        # row after row in one list: a list for each row would be walked over and over by the garbage collector
        self._cells: list[str | None] = []
        self._lines: list[int] = []
        self._characters = 0

    def __bool__(self) -> bool:
        return bool(self._lines)

    def fills(self, line: int, row: Sequence[str | None]) -> bool:
        """Take a line; whether the batch is full with it."""
        self._cells.extend(row)
        self._lines.append(line)
        self._characters += len(row[0] or "")
        return len(self._lines) >= _BATCH_LINES or self._characters >= _BATCH_CHARACTERS

    def emptied(self) -> LogBatch:
        """What has been taken, which is given up."""
        cells, lines = self._cells, self._lines
        self._cells, self._lines, self._characters = [], [], 0
        try:
            columns = [pa.array(cells[place :: self._width], pa.string()) for place in range(self._width)]
        except UnicodeEncodeError:
            line = lines[next(place for place, cell in enumerate(cells) if not _is_unicode(cell)) // self._width]
            raise LabelingError(f"{self._path}:{line}: not UTF-8; the file must be UTF-8 text") from None
        return LogBatch(columns, lines, lambda line: f"{self._path}:{line}")


@contextmanager
def _lines_of(path: Path) -> Iterator[TextIO]:
    """The file's text, unpacked; bytes that are not UTF-8 become lone surrogates, so that their line can be named."""
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as packed:
            yield TextIOWrapper(packed, encoding="utf-8-sig", errors="surrogateescape", newline="")
    except (gzip.BadGzipFile, EOFError, zlib.error):
        raise LabelingError(f"{path}: not a whole gzip file; pack it again, or drop .gz from its name") from None


@contextmanager
def _long_fields() -> Iterator[None]:
    """Let `csv` read fields of more than its 128 KiB; it knows no limit of one reader alone."""
    before = csv.field_size_limit(_LONGEST_FIELD)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def _find(place: Path | str, names: Sequence[str], there: Sequence[str]) -> list[int]:
    """Where each name stands among the columns.

    Raises:
        LabelingError: it is not there, or twice.
    """
    for name in names:
        if there.count(name) != 1:
            shown = ", ".join(repr(column[:40]) for column in there[:_SHOWN_COLUMNS])
            more = f" and {len(there) - _SHOWN_COLUMNS} more" if len(there) > _SHOWN_COLUMNS else ""
            found = "no column" if name not in there else "more than one column"
            raise LabelingError(f"{place}: {found} {name!r}; there are {shown or 'none'}{more}")
    return [there.index(name) for name in names]


def _json_object(path: Path, number: int, line: str) -> dict[str, Any]:
    if not _is_unicode(line):
        raise LabelingError(f"{path}:{number}: not UTF-8; the file must be UTF-8 text")
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        reason = error.msg if isinstance(error, json.JSONDecodeError) else "too deep, or too long a number"
        raise LabelingError(f"{path}:{number}: not JSON ({reason}); one object a line is accepted") from None
    if not isinstance(row, dict):
        raise LabelingError(f"{path}:{number}: a JSON {type(row).__name__}; an object is accepted")
    return row


def _json_text(path: Path, number: int, row: dict[str, Any], name: str) -> str | None:
    value = row.get(name)
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | dict):
        raise LabelingError(f"{path}:{number}: {name} is a JSON {type(value).__name__}; text or a number is accepted")
    return None if value is None else str(value)


def _is_unicode(text: str | None) -> bool:
    return not text or text.isascii() or text == storable(text)
