"""Text files as collections need them: read with line numbers, and written whole or not at all."""

from __future__ import annotations

import gzip
import io
import secrets
import shutil
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, TextIO, cast

from distill.collections.collection import DataError

_UTF8 = "utf-8-sig"  # spreadsheets and Windows editors begin a file with a byte order mark


def numbered_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield (line number from 1, line without its end) of a UTF-8 file, packed where it ends in ``.gz``.

    Blank lines are passed over, but counted; a byte order mark is no part of the first line.

    Raises:
        DataError: there is no such file, or it is not UTF-8, or not gzip in spite of its name.
        OSError: the system does not let us read it.
    """
    number = 0
    try:
        with gzip.open(path, "rt", encoding=_UTF8) if path.suffix == ".gz" else path.open(encoding=_UTF8) as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    yield number, line.rstrip("\r\n")
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except IsADirectoryError:
        raise DataError(f"{path}: a folder, where a file is accepted") from None
    except UnicodeDecodeError as error:
        raise DataError.at(path, number + 1, f"not UTF-8 ({error.reason}); the file must be UTF-8 text") from None
    except (gzip.BadGzipFile, EOFError, zlib.error):
        raise DataError(f"{path}: not a whole gzip file; pack it again, or drop .gz from its name") from None


def refuse_existing(path: Path, overwrite: bool | None) -> None:
    """Stop before work whose result would take the place of something.

    Args:
        path: of the result.
        overwrite: whether the user asked for that; None where there is no such option.

    Raises:
        DataError: ``path`` is there, is no empty folder, and ``overwrite`` is not set, or it is no file or folder.
    """
    if path.exists() and not path.is_file() and not path.is_dir():
        raise DataError(f"{path}: neither a file nor a folder, and is not replaced; choose another place")
    if overwrite or not path.exists() or (path.is_dir() and not any(path.iterdir())):
        return
    option = "" if overwrite is None else ", or pass --overwrite"
    raise DataError(f"{path}: exists already; choose another place{option}")


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Give a temporary path beside ``path``, which takes its place only when the block ends without an error.

    Raises:
        DataError: ``path`` is something else than a file, such as a device.
    """
    path = path.resolve()  # a link goes on to point there
    if path.exists() and not path.is_file():
        raise DataError(f"{path}: no file, and is not replaced by one; choose another place")
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = _beside(path)
    beside.touch(exist_ok=False)
    try:
        yield beside
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


@contextmanager
def whole_text(path: Path) -> Iterator[TextIO]:
    """A text file to write that takes the place of ``path`` as `whole_file` does, packed where it ends in ``.gz``."""
    with ExitStack() as stack:
        file: IO[bytes] = stack.enter_context(stack.enter_context(whole_file(path)).open("wb"))
        if path.suffix == ".gz":
            # without the time of packing, so that equal content is equal bytes
            file = cast("IO[bytes]", stack.enter_context(gzip.GzipFile("", "wb", fileobj=file, mtime=0)))
        yield stack.enter_context(io.TextIOWrapper(file, encoding="utf-8"))


@contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """Give a temporary folder beside ``folder``, which takes its place, with all it held, when the block ends well.

    Raises:
        DataError: ``folder`` is the one that we work in.
    """
    folder = folder.resolve()
    if folder == Path.cwd():
        raise DataError(f"{folder}: the working directory cannot be replaced; name a folder inside it")
    folder.parent.mkdir(parents=True, exist_ok=True)
    beside = _beside(folder)
    beside.mkdir()
    try:
        yield beside
        replace_folder(folder, beside)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def replace_folder(folder: Path, new: Path) -> None:
    """Put ``new`` in the place of ``folder``; at no moment is neither of them there."""
    old = _beside(folder)
    if folder.exists():
        folder.rename(old)
    new.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def _beside(path: Path) -> Path:
    """A hidden name beside ``path``; unlike tempfile's, what is made there may be read by whom the umask lets."""
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}")
