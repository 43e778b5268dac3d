"""What commands share in how they meet their users: tables of their full width, texts as data, refusals in one line."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

from distill.collections.collection import DataError

_TEXT_WIDTH = 40


class _Unbounded(Console):
    """A file or a pipe, which has no width of its own: it grows where figures of a table would be cut."""

    def print(self, *objects: Any, **options: Any) -> None:
        """Print the objects, at the width that the widest table among them takes."""
        self.width = max(self.width, *(_least_width(found) for found in objects if isinstance(found, Table)), 0)
        super().print(*objects, **options)


def table_console(width: int = 160) -> Console:
    """A console for tables: in a file or a pipe a table may take up to this width, and more where its figures do."""
    console = Console()
    return console if console.is_terminal else _Unbounded(width=width)


def _least_width(table: Table) -> int:
    """What a table takes whose figures, the columns set to the right, stay whole; texts can go on in the next line."""
    ruler, width = Console(width=10_000), 1
    for column in table.columns:
        cells = [Measurement.get(ruler, ruler.options, cell).maximum for cell in (column.header, *column.cells)]
        width += 3 + (max(cells) if column.justify == "right" else min(max(cells), _TEXT_WIDTH))
    return width


def visible(text: str) -> str:
    """The text in one line: what a terminal would act on (controls, marks of direction, surrogates) as escapes."""
    spaced = text.replace("\n", " ").replace("\t", " ")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in spaced)


def refuse(wrong: bool, message: str) -> None:
    """Stop with this message where what was asked is wrong.

    Raises:
        DataError: it is.
    """
    if wrong:
        raise DataError(message)
