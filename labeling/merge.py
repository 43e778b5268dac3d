"""Joins label folders of one teacher, such as those of a job that ran in shards on several machines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from labeling import LabelingError
from labeling.label_lists import check_rows
from labeling.manifest import changed_entries
from labeling.parts import COLUMNS
from labeling.reading import LabelReader
from labeling.store import open_store

_PART_LISTS = 256


@dataclass(frozen=True)
class MergeReport:
    """What a merge did.

    Attributes:
        lists: lists of the new folder, of which ``failed`` failed.
        documents: their documents.
        repeated: lists that stood in more than one folder and were taken once.
    """

    lists: int
    failed: int
    documents: int
    repeated: int


@dataclass(frozen=True)
class _Choice:
    """Which folder a query's list is taken from."""

    folder: int
    key: str
    status: str


def merge_labels(folders: Sequence[Path], out: Path, unfinished: bool = False) -> MergeReport:
    """Write one finished label folder that holds the lists of several; they are only read.

    Lists stand in the order of the folders and, within one, of its job. A list that stands in several is taken once,
    from the first folder where it did not fail. Memory holds the lists' keys and a part of each folder.

    Args:
        folders: label folders made by the same teacher.
        out: an empty or missing folder. It is a label folder once it has a finished manifest, which comes last.
        unfinished: also take folders whose job has not finished, with all lists that stand in their parts.

    Raises:
        LabelingError: a folder cannot be read or is not finished, the teachers differ, two lists of one query do, or
            something stands in ``out``.
    """
    if out.exists() and not (out.is_dir() and next(out.iterdir(), None) is None):
        raise LabelingError(f"{out}: there is something already; give an empty or missing folder")
    readers = [LabelReader(folder, unfinished) for folder in folders]
    if not readers:
        raise LabelingError("no label folder to merge; give at least one")
    _check_teachers(readers)
    choices, repeated = _choose(readers)
    first = readers[0].manifest
    wanted: dict[str, str] = {}
    with open_store(out, first["teachers"][first["teacher"]], _PART_LISTS, float("inf")) as store:
        for number, reader in enumerate(readers):
            for table in reader.lists(COLUMNS.names):
                rows = table.to_pylist()
                query_id, key = rows[0]["query_id"], rows[0]["list_key"]
                if choices[query_id].folder == number:
                    if choices[query_id].status == "ok":
                        check_rows(reader.folder, rows)
                    store.add(rows)
                    wanted[query_id] = key
        origin = [{"counts": _count(reader), "versions": reader.manifest.get("versions", {})} for reader in readers]
        counts = store.finish(wanted, {"merged": origin})
    return MergeReport(counts["lists"], counts["failed"], counts["documents"], repeated)


def _check_teachers(readers: Sequence[LabelReader]) -> None:
    first = readers[0]
    for other in readers[1:]:
        if other.manifest["teacher"] != first.manifest["teacher"]:
            mine, theirs = (reader.manifest["teachers"][reader.manifest["teacher"]] for reader in (first, other))
            names = ", ".join(changed_entries(mine, theirs))
            raise LabelingError(
                f"{other.folder}: made by another teacher than {first.folder} (they differ in {names}); "
                "labels of one teacher can be merged"
            )


def _choose(readers: Sequence[LabelReader]) -> tuple[dict[str, _Choice], int]:
    choices: dict[str, _Choice] = {}
    repeated = 0
    for number, reader in enumerate(readers):
        for table in reader.lists(["query_id", "list_key", "status"]):
            query_id, key, status = table.slice(0, 1).to_pylist()[0].values()
            before = choices.get(query_id)
            if before is not None and before.key != key:
                raise LabelingError(
                    f"query {query_id!r} has two different lists, in {readers[before.folder].folder} and in "
                    f"{reader.folder}: its text, its candidates or their order differ; leave one of them out"
                )
            repeated += before is not None
            if before is None or (before.status == "failed" and status == "ok"):
                choices[query_id] = _Choice(number, key, status)
    return choices, repeated


def _count(reader: LabelReader) -> dict[str, int]:
    counts: dict[str, int] = reader.manifest.get("counts", {}) if reader.finished else {}
    return {"lists": len(reader.keys)} | counts
