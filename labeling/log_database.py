"""The database that holds a query log while its tail is chosen, so that a log may be larger than memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pyarrow as pa
from duckdb import DuckDBPyConnection
from duckdb.func import PythonUDFType

from labeling.query_text import content_words_in, merge_key, shown_text

MEMORY_MIB = 1024
"""Memory that the database may take, unless told otherwise, before it goes on in files."""


@contextmanager
def open_database(folder: Path, memory_mib: int = MEMORY_MIB) -> Iterator[DuckDBPyConnection]:
    """A new database in ``folder``, with the SQL functions ``merge_key`` and ``shown_text`` of `labeling.query_text`.

    Args:
        folder: an existing folder for the database and for what does not fit into memory.
        memory_mib: MiB that the database's tables and steps may take; Python and its libraries come on top.
    """
    settings: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": f"{memory_mib}MiB",
        "temp_directory": str(folder / "spilled"),
        "preserve_insertion_order": "false",  # or whole results are kept in memory to be put in order
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
    }
    with duckdb.connect(str(folder / "log.duckdb"), config=settings) as database:
        _add_function(database, "merge_key", merge_key)
        _add_function(database, "shown_text", shown_text)
        yield database


def add_signature(database: DuckDBPyConnection, language: str) -> None:
    """Add the SQL function ``signature(key)``: the key's content words in ``language``, in one string."""
    content_words = content_words_in(language)
    _add_function(database, "signature", lambda key: " ".join(content_words(key)))


def _add_function(database: DuckDBPyConnection, name: str, function: Callable[[str], str]) -> None:
    def by_column(texts: pa.Array) -> pa.Array:
        return pa.array([function(text) for text in texts.to_pylist()], pa.string())

    database.create_function(name, by_column, ["VARCHAR"], "VARCHAR", type=PythonUDFType.ARROW)
