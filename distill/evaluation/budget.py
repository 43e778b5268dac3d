"""How many labels each student was trained on, so that a comparison can show what more of them buy."""

from __future__ import annotations

import csv
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from distill.collections.collection import DataError

_COLUMNS = {"run", "lists", "student"}


@dataclass(frozen=True, slots=True)
class Budget:
    """What a run's student learned from.

    Args:
        lists: labelled lists, one a query.
        student: what it is; runs of one student under several budgets make a line.
    """

    lists: int
    student: str


def read_budgets(path: Path, runs: Collection[str]) -> dict[str, Budget]:
    """The budgets of a CSV file with the columns ``run``, ``lists`` and, where there are several, ``student``.

    Args:
        path: a row a run; runs that were not trained on labels have none.
        runs: names of the runs that are compared.

    Raises:
        DataError: a column is missing or unknown, a run is unknown or stands twice, or a count is no positive number.
    """
    budgets: dict[str, Budget] = {}
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = csv.DictReader(file)
        columns = set(rows.fieldnames or ())
        if not {"run", "lists"} <= columns or columns - _COLUMNS:
            given = ", ".join(rows.fieldnames or ()) or "none"
            raise DataError(f"{path}:1: columns {given}; accepted are run, lists and, if you like, student")
        for row in rows:
            # csv files a row's surplus cells under None
            if None in row or None in row.values():
                raise DataError.at(path, rows.line_num, f"another number of cells than the {len(columns)} columns")
            name, lists = row["run"], row["lists"].strip()
            if name not in runs or name in budgets:
                problem = "stands here a second time" if name in budgets else f"is none of {', '.join(runs)}"
                raise DataError.at(path, rows.line_num, f"run {name!r} {problem}")
            if not (lists.isascii() and lists.isdecimal() and int(lists) > 0):
                raise DataError.at(path, rows.line_num, f"lists {lists!r}; a whole number above 0 is accepted")
            budgets[name] = Budget(int(lists), row.get("student") or "student")
    return budgets
