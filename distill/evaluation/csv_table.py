"""Small tables that analysts keep in CSV files: read whole, with every fault named by its line."""

from __future__ import annotations

import csv
from pathlib import Path

from distill.collections.collection import DataError


def read_table(path: Path) -> tuple[list[str], list[tuple[int, dict[str, str]]]]:
    """The names of a CSV file's columns (TSV by its suffix), and each row's line and cells by column.

    Raises:
        DataError: there is no such file, it is not UTF-8 or no CSV, a column has no name or another's, or a row has
            another number of cells.
    """
    names, rows = _cells(path)
    for place, name in enumerate(names, start=1):
        if not name or name in names[: place - 1]:
            problem = "has no name" if not name else f"is called {name!r} like another"
            raise DataError.at(path, 1, f"column {place} {problem}; each column needs a name of its own")
    for line, row in rows:
        if len(row) != len(names):
            raise DataError.at(path, line, f"cells: {len(row)}; the first line has {len(names)}")
    return names, [(line, dict(zip(names, row, strict=True))) for line, row in rows]


def _cells(path: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """The first row, and the others with their lines; blank lines are passed over."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.reader(file, delimiter="\t" if path.suffix == ".tsv" else ",", strict=True)
            try:
                return next(rows, []), [(rows.line_num, row) for row in rows if row]
            except csv.Error as error:
                raise DataError.at(path, rows.line_num, f"not CSV ({error})") from None
    except (FileNotFoundError, IsADirectoryError):
        raise DataError(f"{path}: no such file") from None
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 ({error.reason}); the file must be UTF-8 text") from None
