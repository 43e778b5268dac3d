"""Where the command line starts: the allocator and the settings that must stand before torch is loaded."""

from __future__ import annotations

import os
import sys
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

# Commands that compute for long. What measures serving runs as a server would, with the system's allocator.
_LONG = frozenset({"run", "train", "teacher", "label"})
# where Python has rights of its own, the linker takes LD_PRELOAD out of the environment: it would start again for ever
_AGAIN = "DISTILL_STARTED_AGAIN"
_ALLOCATOR = ("libtbbmalloc.so.2", "libtbbmalloc_proxy.so.2")


def main() -> None:
    """Run the command line."""
    if _LONG.intersection(sys.argv[1:2]):
        _exchange_the_allocator()
    _share_the_processor()
    # not before: what it imports may load torch
    from distill.cli import main as command_line

    command_line()


def _exchange_the_allocator() -> None:
    """Begin again under oneTBB's allocator, unless it is not installed or LD_PRELOAD is set, be it empty.

    glibc's is left with ever more fragments of free memory by tensors of ever other sizes, and searches them at each
    allocation: forward and backward over one and the same batch took a decoder of 8 layers 1.2 seconds after 10 steps
    of training and 1.8 after 70; under oneTBB's, as under tcmalloc and jemalloc, 1.0 throughout (two cores). A process
    cannot change its allocator, so it starts again as it was called.
    """
    libraries = _installed()
    if not libraries or {"LD_PRELOAD", _AGAIN} & os.environ.keys():
        return
    environment = {**os.environ, "LD_PRELOAD": ":".join(map(str, libraries)), _AGAIN: "1"}
    os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], environment)


def _installed() -> list[Path]:
    """The allocator's libraries; none where one is missing or the linker would take a part of its path for the end."""
    try:
        listed = {path.name: path.locate() for path in files("tbb") or ()}
    except PackageNotFoundError:
        return []
    found = [Path(str(listed[name])).resolve() for name in _ALLOCATOR if name in listed]
    readable = [path for path in found if path.exists() and not {" ", ":"} & set(str(path))]
    return readable if len(readable) == len(_ALLOCATOR) else []


def _share_the_processor() -> None:
    """Bound how long torch's waiting threads spin.

    Unbounded, a process that shares its cores stalls: beside two busy processes on two cores the teacher took 10 to 40
    seconds a list, bounded 3.4. Alone, the difference is within the noise of a few lists.
    """
    os.environ.setdefault("GOMP_SPINCOUNT", "20000")
