"""The manifest of a label folder: whose labels it holds, whether the job has finished, and what it counted."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from labeling import LabelingError
from labeling.keys import canonical_json
from labeling.parts import EARLIER_IS_SAFE, write_beside

FORMAT = 2
MANIFEST = "manifest.json"


class _Manifest(BaseModel):
    """What readers rely on; further entries, such as where merged lists come from, pass."""

    model_config = ConfigDict(strict=True)

    complete: bool
    teacher: str
    teachers: dict[str, dict[str, Any]]
    counts: dict[str, int] = {}
    versions: dict[str, str] = {}


def write_manifest(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Puts a manifest in its place, with the time of this writing.

    Raises:
        LabelingError: it cannot be written.
    """
    stamped = {**manifest, "updated": datetime.now(UTC).isoformat(timespec="seconds")}
    text = json.dumps(stamped, indent=2, sort_keys=True) + "\n"
    write_beside(folder / MANIFEST, lambda path: path.write_text(text, encoding="utf-8"), EARLIER_IS_SAFE)


def load_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a label folder, finished or not.

    Raises:
        LabelingError: there is none, or it is unreadable, of another version, or an entry is not what we write.
    """
    path = folder / MANIFEST
    if not path.exists():
        raise LabelingError(f"{folder}: no {MANIFEST}, so no label folder{_inner(folder)}")
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        found = manifest["format"]
    except OSError as error:
        raise LabelingError(f"{path}: cannot be read ({os.strerror(error.errno or 0)})") from error
    except KeyError as error:
        raise LabelingError(f"{path}: not a manifest of labels (no entry {error}){_inner(folder)}") from error
    except (ValueError, TypeError, RecursionError) as error:
        raise LabelingError(f"{path}: not a manifest of labels ({error})") from error
    if found != FORMAT:
        raise LabelingError(f"{path}: labels of format {found!r}; this version reads format {FORMAT}")
    try:
        _Manifest.model_validate(manifest)
    except ValidationError as error:
        place = ".".join(map(str, error.errors()[0]["loc"]))
        raise LabelingError(f"{path}: not a manifest of labels (entry {place!r})") from error
    if manifest["teacher"] not in manifest["teachers"]:
        raise LabelingError(f"{path}: its teacher {manifest['teacher']!r} is not among its teachers")
    return dict(manifest)


def _inner(folder: Path) -> str:
    """Where the labels are if the folder is a recipe's run, or a stage of one: these hold them further down."""
    for place in (folder / "lists", folder / "labels" / "lists"):
        if (place / MANIFEST).is_file():
            return f"; a recipe's run keeps its labels in {place}"
    return ""


def changed_entries(before: Mapping[str, Any] | None, now: Mapping[str, Any]) -> list[str]:
    """Names of the entries in which two descriptions of judges differ, sorted; none where there is no first one."""
    if before is None:
        return []
    return sorted(
        key
        for key in before.keys() | now.keys()
        if key not in before or key not in now or canonical_json(before[key]) != canonical_json(now[key])
    )
