"""The database that holds a query log while its tail is chosen, so that a log may be larger than memory."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pyarrow as pa
from duckdb import DuckDBPyConnection
from duckdb.func import PythonUDFType

from labeling.tail.query_text import content_words_in, merge_key, shown_text

MEMORY_MIB = 512
"""Memory that the database may take, unless told otherwise, before it goes on in files."""


@contextmanager
def open_database(folder: Path, memory_mib: int = MEMORY_MIB) -> Iterator[DuckDBPyConnection]:
    """A new database in ``folder``, with `query_text`'s ``merge_key`` and ``shown_text`` as SQL functions.

    Args:
        folder: an existing folder for the database and for what does not fit into memory.
        memory_mib: MiB that the database's tables and steps may take; Python and its libraries come on top.

    Raises:
        KeyboardInterrupt: Ctrl-C while the database was at work.
    """
    settings: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": f"{memory_mib}MiB",
        # each thread needs room of its own, and the functions on texts run one at a time anyhow
        "threads": max(1, min(os.cpu_count() or 1, memory_mib // 256)),
        "temp_directory": str(folder / "spilled"),
        "preserve_insertion_order": "false",  # where nothing is asked to be ordered; else whole results stay in memory
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
    }
    with duckdb.connect(str(folder / "log.duckdb"), config=settings) as database:
        database.execute("SET enable_progress_bar = false")  # it would write into pipes and files as well
        _add_function(database, "merge_key", merge_key)
        _add_function(database, "shown_text", shown_text)
        try:
            yield database
        except duckdb.Error as error:
            # how it names a Ctrl-C: by the first while it works itself, by the second in a function of ours
            if isinstance(error, duckdb.InterruptException) or "KeyboardInterrupt" in str(error):
                raise KeyboardInterrupt from None
            raise


def add_signature(database: DuckDBPyConnection, language: str) -> None:
    """Add the SQL function ``signature(key)``: the key's content words in ``language``, in one string."""
    content_words = content_words_in(language)
    _add_function(database, "signature", lambda key: " ".join(content_words(key)))


def _add_function(database: DuckDBPyConnection, name: str, function: Callable[[str], str]) -> None:
    def by_column(texts: pa.Array) -> pa.Array:
        return pa.array([function(text) for text in texts.to_pylist()], pa.string())

    database.create_function(name, by_column, ["VARCHAR"], "VARCHAR", type=PythonUDFType.ARROW)
