"""How many labels each student was trained on, so that a comparison can show what more of them buy."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from distill.collections.collection import DataError
from distill.evaluation.csv_table import read_table

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
        DataError: the file is no such table, a column is missing or unknown, a run is unknown or stands twice, or a
            count is no positive number.
    """
    budgets: dict[str, Budget] = {}
    columns, rows = read_table(path)
    if not {"run", "lists"} <= set(columns) <= _COLUMNS:
        given = ", ".join(columns) or "none"
        raise DataError(f"{path}:1: columns {given}; accepted are run, lists and, if you like, student")
    for line, row in rows:
        name, lists = row["run"], row["lists"].strip()
        if name not in runs or name in budgets:
            problem = "stands here a second time" if name in budgets else f"is none of {', '.join(runs)}"
            raise DataError.at(path, line, f"run {name!r} {problem}")
        if not re.fullmatch(r"0*[1-9][0-9]{0,11}", lists):
            accepted = "a whole number above 0 is accepted, of 12 digits at most"
            raise DataError.at(path, line, f"lists {lists[:20]!r}; {accepted}")
        budgets[name] = Budget(int(lists), row.get("student") or "student")
    return budgets
