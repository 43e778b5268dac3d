"""Stage folders: what a stage was made from is written beside what it made, so that nothing is done twice."""

from __future__ import annotations

import hashlib
import json
import platform
import resource
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from distill.collections.files import replace_folder

MANIFEST = "manifest.json"
_PARTIAL = ".partial"
# 4 MiB of a file: no changed stretch longer than a 255th of it is missed, and a fine-tuned model has many such
_SAMPLES = 256
_SAMPLE_BYTES = 16_384
_LIBRARIES = (
    "distill", "torch", "transformers", "sentence-transformers", "peft", "accelerate", "datasets",
    "bm25s", "pytrec-eval-terrier", "numpy",
)  # fmt: skip


def fingerprint(*parts: Any) -> str:
    """Hash of JSON values, the same in every process."""
    text = json.dumps(parts, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def finished(folder: Path, expected: str) -> bool:
    """Whether ``folder`` holds a whole stage with this fingerprint."""
    return read_manifest(folder).get("fingerprint") == expected


def read_manifest(folder: Path) -> dict[str, Any]:
    """The stage's manifest, empty where there is no whole stage."""
    try:
        content = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError):
        return {}
    return content if isinstance(content, dict) else {}


@contextmanager
def stage_folder(folder: Path, expected: str, keep: bool = False) -> Iterator[tuple[Path, dict[str, Any]]]:
    """A folder to work in that becomes ``folder``, with its manifest, when the block ends well.

    Until then it stands beside as ``NAME.partial`` and is never taken for whole. After an interruption the next call
    with the same fingerprint goes on in it. What was started from and is left before a file of it has changed stands
    as it stood, such as where a model cannot be had.

    Args:
        folder: the stage's place; what stands there under another fingerprint is replaced.
        expected: the stage's fingerprint.
        keep: start from what stands there under another fingerprint: right for stages whose files carry keys of their
            own content, so that what still fits is found again.

    Yields:
        The folder to work in, and a mapping that goes into the manifest: fill it.
    """
    partial = folder.with_name(folder.name + _PARTIAL)
    note = partial / "fingerprint"
    if partial.exists() and not keep and (not note.exists() or note.read_text() != expected):
        shutil.rmtree(partial)
    taken = keep and folder.exists() and not partial.exists()
    if taken:
        folder.rename(partial)
    partial.mkdir(parents=True, exist_ok=True)
    note.write_text(expected)
    before = file_stamps(partial)
    details: dict[str, Any] = {}
    started = time.perf_counter()
    try:
        yield partial, details
    except BaseException:
        if taken and file_stamps(partial) == before:
            note.unlink()
            partial.rename(folder)
        raise
    content = {
        "stage": folder.name,
        "fingerprint": expected,
        **details,
        "seconds": round(time.perf_counter() - started, 2),
        "peak_memory_mib": _peak_memory_mib(),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {"python": platform.python_version(), **{name: version(name) for name in _LIBRARIES}},
    }
    note.unlink()
    (partial / MANIFEST).write_text(json.dumps(content, indent=2, default=str) + "\n", encoding="utf-8")
    replace_folder(folder, partial)


def file_stamps(path: Path) -> list[str]:
    """Name, size and time of a file, or of every file of a folder: enough to notice that one was replaced."""
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    return [f"{file.name} {file.stat().st_size} {file.stat().st_mtime_ns}" for file in files if file.is_file()]


def content_hash(path: Path) -> str:
    """Hash of a file, or of every file of a folder with its place there: the same for a copy on another machine.

    Of a long file evenly spaced samples count, so that 70 GB take seconds. Hidden files are left out: download tools
    keep their own times in them.
    """
    files = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
    placed = [(file.relative_to(path).as_posix() if path.is_dir() else file.name, file) for file in files]
    counted = [(name, file) for name, file in placed if not any(part.startswith(".") for part in name.split("/"))]
    return fingerprint([(name, _sampled(file, file.stat().st_size, file.stat().st_mtime_ns)) for name, file in counted])


# a model is asked for its version many times in a run; the time of change is there for the cache alone
@lru_cache(maxsize=1024)
def _sampled(file: Path, size: int, changed: int) -> str:
    """Hash of a file's size and of its samples; the whole of it where these would cover it."""
    digest = hashlib.sha256(str(size).encode())
    with file.open("rb") as opened:
        if size <= _SAMPLES * _SAMPLE_BYTES:
            digest.update(opened.read())
        else:
            for number in range(_SAMPLES):
                opened.seek(number * (size - _SAMPLE_BYTES) // (_SAMPLES - 1))
                digest.update(opened.read(_SAMPLE_BYTES))
    return digest.hexdigest()


def _peak_memory_mib() -> int:
    """Most resident memory of this process so far; Linux counts it in KiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
