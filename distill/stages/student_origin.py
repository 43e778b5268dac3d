"""What a student's model card says of where it comes from: collection, label folder, teacher and start model.

Of a first training: the light ranker in the teacher's place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Sized
from pathlib import Path
from typing import Any

from distill.artifacts import MANIFEST
from distill.models import ModelReference, told_licence
from labeling.keys import canonical_json
from labeling.manifest import load_manifest
from students.model_card import Origin

# The card names what a teacher is; a long entry, such as every weight of a router, is in the label folder.
_LONGEST = 300


def student_origin(start: str, collection: str, folders: Sequence[Path]) -> Origin:
    """The card's facts.

    Args:
        start: the student's start model, as a recipe names it.
        collection: name of the collection.
        folders: the label folders.

    Raises:
        LabelingError: one of them is no label folder.
        ModelError: the start model cannot be found.
    """
    data: dict[str, Any] = {"collection": collection}
    teachers: dict[str, dict[str, Any]] = {}
    for number, manifest in enumerate(map(load_manifest, folders), 1):
        counts = manifest.get("counts")
        if isinstance(counts, Mapping):
            data[_numbered("label folder", number, folders)] = _counted(counts)
        teachers.setdefault(manifest["teacher"], manifest["teachers"].get(manifest["teacher"], {}))
    teacher = {
        _numbered(name, number, teachers): value
        for number, (digest, description) in enumerate(teachers.items(), 1)
        for name, value in _told_teacher(digest, description).items()
    }
    return _origin(start, data, teacher)


def warm_start_origin(start: str, collection: str, ranker: str) -> Origin:
    """The card's facts of a first training on the scores of the model ``ranker``.

    Raises:
        ModelError: one of the models cannot be found.
    """
    told = {"light ranker": _name(ranker), "version of the light ranker": ModelReference.parse(ranker).version}
    return _origin(start, {"collection": collection}, told)


def _origin(start: str, data: Mapping[str, Any], teacher: Mapping[str, Any]) -> Origin:
    reference = ModelReference.parse(start)
    hub_id = reference.location if reference.on_hub else None
    version = reference.revision if reference.on_hub else reference.version
    return Origin(_name(start), told_licence(reference), data, teacher, hub_id=hub_id, version=version)


def _name(reference: str) -> str:
    """A model as a card names it: of a folder the last part, as its path is nobody else's business."""
    folder = Path(reference).expanduser().absolute()
    if not folder.exists():
        return reference
    of_a_run = (folder.parent / MANIFEST).is_file()  # where every model's folder has the same name
    return "/".join(folder.parts[-3:]) if of_a_run else folder.name


def _numbered(name: str, number: int, of: Sized) -> str:
    return name if len(of) == 1 else f"{name} ({number} of {len(of)})"


def _counted(counts: Mapping[str, Any]) -> str:
    return ", ".join(f"{value} {name}" for name, value in counts.items())


def _told_teacher(digest: str, description: Mapping[str, Any]) -> dict[str, str]:
    return {"hash of the teacher's description": digest} | {name: _short(description[name]) for name in description}


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else canonical_json(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]} ..."
