"""Texts as files can hold them: a query or a document is data, and nothing in it may break a file."""

from __future__ import annotations


def well_formed(text: str) -> str:
    """The text, with U+FFFD for each surrogate that stands alone; everything else is as it was, NUL included.

    Python reads half of a character out of JSON (``"\\ud83d"``), but neither UTF-8 nor Parquet can hold it.
    """
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text
