import os
import subprocess
import sys
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from types import SimpleNamespace

import pytest

from distill import start

# says at its end which allocator it ran under and how often it began
PROBE = """
import atexit, os, pathlib
atexit.register(lambda: print("allocator:", "libtbbmalloc_proxy" in pathlib.Path("/proc/self/maps").read_text()))
print("began", flush=True)
from distill.start import main
main()
"""

wheel = pytest.mark.skipif(not start._installed(), reason="oneTBB has a wheel for Linux on x86_64 alone")


def began(*arguments: str, probe: str = PROBE, **variables: str) -> tuple[int, str]:
    """How often the command line began, and the allocator that it ended under."""
    environment = {
        name: value for name, value in os.environ.items() if name not in ("LD_PRELOAD", start._AGAIN)
    } | variables
    command = [sys.executable, "-c", probe, *arguments]
    shown = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert not shown.stderr, shown.stderr
    lines = shown.stdout.splitlines()
    return lines.count("began"), lines[-1]


@wheel
@pytest.mark.parametrize("command", ["run", "train", "teacher", "label"])
def test_a_long_command_starts_again_under_its_allocator(command):
    assert began(command, "--help") == (2, "allocator: True")


@pytest.mark.parametrize("command", [["latency", "--help"], ["rank", "--help"], ["--help"]])
def test_what_measures_serving_keeps_the_systems(command):
    assert began(*command) == (1, "allocator: False")


def test_an_allocator_that_the_user_chose_stays():
    assert began("train", "--help", LD_PRELOAD="") == (1, "allocator: False")


@wheel
def test_it_starts_again_once_where_the_linker_removes_the_choice():
    # as the linker does for a Python with capabilities of its own
    probe = "import os; os.environ.pop('LD_PRELOAD', None)\n" + PROBE
    assert began("train", "--help", probe=probe) == (2, "allocator: True")


@wheel
def test_the_same_program_starts_again_with_the_same_words(monkeypatch):
    called = []
    for name in ("LD_PRELOAD", start._AGAIN):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "execve", lambda *words: called.append(words))
    start._exchange_the_allocator()
    [(program, words, environment)] = called
    assert program == sys.executable
    assert words == [sys.executable, *sys.orig_argv[1:]]
    assert [Path(name).name for name in environment["LD_PRELOAD"].split(":")] == [
        "libtbbmalloc.so.2", "libtbbmalloc_proxy.so.2",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("folder", "there"), [("plain", True), ("with space", False), ("with:colon", False), ("absent", False)]
)
def test_a_place_that_the_linker_cannot_read_is_left_alone(tmp_path, monkeypatch, folder, there):
    libraries = [tmp_path / folder / name for name in start._ALLOCATOR]
    if folder != "absent":
        libraries[0].parent.mkdir()
        for library in libraries:
            library.touch()
    listed = [SimpleNamespace(name=path.name, locate=lambda path=path: path) for path in libraries]
    monkeypatch.setattr(start, "files", lambda name: listed)
    assert start._installed() == (libraries if there else [])


def test_without_the_wheel_there_is_none(monkeypatch):
    def absent(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr(start, "files", absent)
    assert start._installed() == []
