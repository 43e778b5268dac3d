"""What every study of heads ends in: a question, an answer computed from figures, tables, a picture, a JSON file."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distill.collections.files import refuse_existing, whole_file
from distill.report.json_files import write_json
from distill.report.page import cleaned

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.console import Console

Cell = str | int | float | None

COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#999999", "#000000")
"""For lines and points, told apart by colour-blind readers too (Okabe and Ito, Color Universal Design, 2008)."""

_DPI = 150
# What Markdown would act on within a cell.
_MARKDOWN = str.maketrans({mark: f"\\{mark}" for mark in "\\`*_[]|"} | {"<": "&lt;", ">": "&gt;", "&": "&amp;"})


@dataclass(frozen=True, slots=True)
class StudyTable:
    """Figures under named columns; None is a figure that is not defined."""

    title: str
    columns: tuple[str, ...]
    rows: list[tuple[Cell, ...]]


@dataclass(frozen=True, slots=True)
class StudyResult:
    """What a study found.

    Args:
        name: of the study and of its files.
        question: the one it asks.
        answer: a few plain sentences, computed from the figures.
        tables: what is shown.
        facts: JSON values: every figure with n, and the settings, model, depth, collections and population.
        draw: draws the picture onto an empty figure, whose size it may set.
    """

    name: str
    question: str
    answer: list[str]
    tables: list[StudyTable]
    facts: dict[str, Any]
    draw: Callable[[Figure], None]


def study_files(name: str, folder: Path) -> tuple[Path, Path, Path]:
    """The files of a study in its folder: JSON, picture, tables."""
    return folder / f"{name}.json", folder / f"{name}.png", folder / f"{name}.md"


def refuse_existing_study(name: str, folder: Path, overwrite: bool) -> None:
    """Stop before the work of a study whose files would take the place of others.

    Raises:
        DataError: one of them is there, and ``overwrite`` is not set.
    """
    for path in study_files(name, folder):
        refuse_existing(path, overwrite)


def write_study(result: StudyResult, folder: Path, overwrite: bool = False) -> tuple[Path, Path, Path]:
    """Write NAME.json, NAME.png and NAME.md, each beside and renamed; the paths.

    Raises:
        DataError: one of them is there, and ``overwrite`` is not set.
    """
    from matplotlib.figure import Figure

    refuse_existing_study(result.name, folder, overwrite)
    facts, picture, page = study_files(result.name, folder)
    figure = Figure(figsize=(10, 5.5), layout="constrained")
    result.draw(figure)
    with whole_file(picture) as beside:
        figure.savefig(beside, dpi=_DPI, format="png")
    with whole_file(page) as beside:
        beside.write_text(study_markdown(result), encoding="utf-8", newline="\n")
    # last: who waits for the figures finds all three
    tables = [{"title": t.title, "columns": t.columns, "rows": t.rows} for t in result.tables]
    content = {"study": result.name, "question": result.question, "answer": result.answer, "tables": tables}
    write_json({**content, "facts": result.facts}, facts)
    return facts, picture, page


def show_study(console: Console, result: StudyResult) -> None:
    """Print question, tables and answer; no text of theirs is taken for markup."""
    from rich.table import Table
    from rich.text import Text

    console.print(Text(_line(result.question), style="bold"))
    for table in result.tables:
        shown = Table(title=Text(_line(table.title)), title_justify="left")
        for place, column in enumerate(table.columns):
            numbers = all(not isinstance(row[place], str) for row in table.rows)
            shown.add_column(Text(_line(column)), justify="right" if numbers else "left", overflow="fold")
        for row in table.rows:
            shown.add_row(*(Text(_shown(cell)) for cell in row))
        console.print(shown)
    for sentence in result.answer:
        console.print(Text(_line(sentence)), soft_wrap=True)


def study_markdown(result: StudyResult) -> str:
    """Question, answer and tables as Markdown; what texts hold of its signs is escaped."""
    lines = [f"# {_escaped(result.name)}", "", f"**{_escaped(result.question)}**", ""]
    for sentence in result.answer:
        lines += [_escaped(sentence), ""]
    for table in result.tables:
        lines += [f"{_escaped(table.title)}:", "", _row(table.columns), _row(["---"] * len(table.columns), raw=True)]
        lines += [_row([_shown(cell) for cell in row]) for row in table.rows]
        lines.append("")
    lines += [f"![{_escaped(result.name)}]({result.name}.png)", ""]
    return "\n".join(lines)


def label(text: str) -> str:
    """The text as a picture may hold it: in one line, without formulas, and with what cannot be drawn replaced."""
    return _line(text).replace("$", r"\$")


def _row(cells: list[str] | tuple[str, ...], raw: bool = False) -> str:
    return f"| {' | '.join(cells if raw else [_escaped(cell) for cell in cells])} |"


def _shown(cell: Cell) -> str:
    """Three places of a fraction, two digits of one that would show as nothing; whole numbers and texts as they are."""
    if cell is None or (isinstance(cell, float) and not math.isfinite(cell)):
        return ""
    if isinstance(cell, float):
        return f"{cell:.2g}" if 0 < abs(cell) < 0.01 else f"{cell:.3f}"
    return _line(str(cell))


def _line(text: str) -> str:
    return cleaned(" ".join(text.split()))


def _escaped(text: str) -> str:
    return _line(text).translate(_MARKDOWN)
