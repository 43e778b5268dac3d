"""What commands share in how they meet their users: tables of their full width, texts as data, refusals in one line."""

from __future__ import annotations

from rich.console import Console

from distill.collections.collection import DataError


def table_console(width: int = 160) -> Console:
    """A console for tables: a file or a pipe has no width of its own, so that a table may take up to this one."""
    console = Console()
    return console if console.is_terminal else Console(width=width)


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
