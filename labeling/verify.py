"""Finds what is wrong with a label folder, and sets it aside so that the label job makes it again."""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.compute as pc

from labeling import DamagedFile, LabelingError
from labeling.judge import Judgment
from labeling.keys import teacher_hash
from labeling.label_lists import group, hashed_list_key, ranks
from labeling.lock import exclusive
from labeling.manifest import MANIFEST, load_manifest, write_manifest
from labeling.parts import BROKEN, COLUMNS, next_part_number, part_paths, read_table, write_table
from labeling.store import LISTS

# The place of a problem that is none of the folder's: a text has changed since it was judged.
COLLECTION = "collection"

# What is of the list and therefore the same in each of its rows.
_OF_THE_LIST = ("query_id", "query_hash", "tokens", "confidence", "note", "status", "seconds", "created", "teacher")
_OF_THE_DOCUMENT = (
    "doc_id", "doc_hash", "position", "score", "rank", "group", "missing", "evidence_start", "evidence_end", "error",
)  # fmt: skip


class TextHashes(Protocol):
    """The texts of today, to be compared with those that were judged; None for an unknown id."""

    def query_hash(self, query_id: str) -> str | None:
        """:func:`labeling.keys.text_hash` of the query."""
        ...

    def document_hash(self, doc_id: str) -> str | None:
        """:func:`labeling.keys.text_hash` of the document as it would be judged."""
        ...


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        place: name of the file.
        message: what is wrong with it, in one line that holds ids and no texts.
        row: in a part, the first row of the list that has to be made again.
        unreadable: the file as a whole has to go.
    """

    place: str
    message: str
    row: int = 0
    unreadable: bool = False


@dataclass
class Verification:
    """What was read and what is wrong with it."""

    lists: int = 0
    rows: int = 0
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def verify_labels(folder: Path, texts: TextHashes | None = None) -> Verification:
    """Reads every page of a label folder and says what is wrong with it.

    Checked are: every file is readable and its pages have the checksums they were written with; each list is whole
    (its key is the hash of the ids and text hashes of its rows), its ranks and groups follow from its scores, and it
    stands once; its teacher is in the manifest; the job's lists are all there, and as many as the manifest says; and,
    where ``texts`` are given, the texts are those that were judged.

    Raises:
        LabelingError: there is no such folder, or the system does not let us read a file of it.
    """
    if not folder.is_dir():
        raise LabelingError(f"{folder}: no such folder")
    found = Verification()
    manifest = _check_manifest(folder, found)
    held: dict[str, str] = {}
    live = _check_job_lists(folder, manifest, found)
    for path in part_paths(folder):
        _check_part(path, manifest, held, found)
    if manifest is not None:
        _check_presence(live, held, manifest, found)
    if texts is not None:
        _compare_texts(folder, live, texts, found)
    broken = sorted(path.name for path in folder.glob(f"*{BROKEN}"))
    if broken:
        found.notes.append(f"set aside earlier and not read: {', '.join(broken)}")
    return found


def _check_manifest(folder: Path, found: Verification) -> dict[str, Any] | None:
    try:
        manifest = load_manifest(folder)
    except LabelingError as error:
        found.problems.append(Problem(MANIFEST, _without(folder / MANIFEST, error)))
        return None
    for name, description in manifest["teachers"].items():
        if teacher_hash(description) != name:
            message = f"the description of teacher {name} is not the one that was written"
            found.problems.append(Problem(MANIFEST, message))
    if not manifest["complete"]:
        found.notes.append("the label job has not finished; run it again to resume it")
    return manifest


def _check_job_lists(folder: Path, manifest: Mapping[str, Any] | None, found: Verification) -> dict[str, str]:
    """List key -> query id of the lists that the last finished job was about."""
    if not os.path.lexists(folder / LISTS):
        if manifest is None or manifest["complete"]:
            found.problems.append(Problem(LISTS, "there is no such file; run the label job again"))
        return {}
    try:
        lists = read_table(folder / LISTS, ["query_id", "list_key"]).to_pydict()
    except DamagedFile as error:
        found.problems.append(Problem(LISTS, _without(folder / LISTS, error), unreadable=True))
        return {}
    for name in ("query_id", "list_key"):
        if len(set(lists[name])) < len(lists[name]):
            found.problems.append(Problem(LISTS, f"a {name} stands twice", unreadable=True))
    return dict(zip(lists["list_key"], lists["query_id"], strict=True))


def _check_part(path: Path, manifest: Mapping[str, Any] | None, held: dict[str, str], found: Verification) -> None:
    try:
        table = read_table(path).select(COLUMNS.names)
    except (DamagedFile, KeyError) as error:
        found.problems.append(Problem(path.name, _without(path, error), unreadable=True))
        return
    found.rows += table.num_rows
    checked = table.select(["list_key", *_OF_THE_LIST, *_OF_THE_DOCUMENT])
    for row, rows in _lists(checked):
        key, query_id = rows["list_key"][0], rows["query_id"][0]
        for message in _list_problems(rows, manifest, held.get(key)):
            found.problems.append(Problem(path.name, f"query {query_id!r}: {message}", row))
        held.setdefault(key, path.name)
    found.lists = len(held)


def _without(path: Path, error: Exception) -> str:
    """The error's message without the path, which a problem names by itself."""
    return str(error).removeprefix(f"{path}: ")


def _lists(table: pa.Table) -> Iterator[tuple[int, dict[str, list[Any]]]]:
    """First row and columns of each run of rows with one list key."""
    keys = table["list_key"].to_pylist()
    starts = [0, *(row for row, (before, key) in enumerate(pairwise(keys), start=1) if key != before), len(keys)]
    for start, end in pairwise(starts if keys else [0]):
        yield start, table.slice(start, end - start).to_pydict()


def _list_problems(
    rows: Mapping[str, list[Any]], manifest: Mapping[str, Any] | None, elsewhere: str | None
) -> Iterator[str]:
    """What is wrong with one list; the first thing of each kind."""
    if elsewhere is not None:
        yield f"the list stands twice, first in {elsewhere}"
    for name in _OF_THE_LIST:
        if rows[name].count(rows[name][0]) != len(rows[name]):
            yield f"the rows of the list differ in {name}"
    if manifest is not None and rows["teacher"][0] not in manifest["teachers"]:
        yield f"teacher {rows['teacher'][0]} is not in {MANIFEST}"
    if rows["status"][0] == "failed":
        if len(rows["status"]) != 1 or not rows["error"][0]:
            yield "a failed list must have one row and an error"
    else:
        yield from _document_problems(rows)


def _document_problems(rows: Mapping[str, list[Any]]) -> Iterator[str]:
    if rows["position"] != list(range(len(rows["position"]))):
        yield f"positions are not 0 to {len(rows['position']) - 1}; rows are absent, added or moved"
    if None in rows["doc_id"] or None in rows["doc_hash"] or not all(map(_finite, rows["score"])):
        yield "a document has no id, no text hash or no finite score"
        return
    identity = (rows["query_id"][0], rows["query_hash"][0], rows["doc_id"], rows["doc_hash"], rows["teacher"][0])
    if hashed_list_key(*identity) != rows["list_key"][0]:
        yield "ids and text hashes are not those that its key was made of; rows are absent, added or altered"
    yield from _order_problems(rows)
    yield from _evidence_problems(rows)


def _order_problems(rows: Mapping[str, list[Any]]) -> Iterator[str]:
    judgments = [
        Judgment(score=score, missing=missing) for score, missing in zip(rows["score"], rows["missing"], strict=True)
    ]
    for doc_id, rank, expected in zip(rows["doc_id"], rows["rank"], ranks(judgments), strict=True):
        if rank != expected:
            yield f"document {doc_id!r} has rank {rank}, by the scores {expected}"
            break
    for doc_id, name, judgment in zip(rows["doc_id"], rows["group"], judgments, strict=True):
        if name != group(judgment):
            yield f"document {doc_id!r} is in group {name!r}, by its judgment {group(judgment)!r}"
            break


def _evidence_problems(rows: Mapping[str, list[Any]]) -> Iterator[str]:
    for doc_id, start, end in zip(rows["doc_id"], rows["evidence_start"], rows["evidence_end"], strict=True):
        if (start, end) != (None, None) and (None in (start, end) or not 0 <= start < end):
            yield f"document {doc_id!r} has evidence {start}:{end}, which is no span"
            break


def _finite(score: float | None) -> bool:
    return score is not None and math.isfinite(score)


def _check_presence(
    live: Mapping[str, str], held: Mapping[str, str], manifest: Mapping[str, Any], found: Verification
) -> None:
    for key in (key for key in live if manifest["complete"] and key not in held):
        found.problems.append(Problem(LISTS, f"query {live[key]!r}: its list is in no readable part"))
    counted = manifest.get("counts", {}).get("lists")
    if manifest["complete"] and live and counted != len(live):
        found.problems.append(Problem(MANIFEST, f"counts {counted} lists where {LISTS} has {len(live)}"))


def _compare_texts(folder: Path, live: Mapping[str, str], texts: TextHashes, found: Verification) -> None:
    """Adds a problem for each text that has changed, with the number of lists that the label job will make again."""
    lists: Counter[tuple[str, str, str]] = Counter()
    for path in part_paths(folder):
        try:
            rows = read_table(path, ["list_key", "query_id", "query_hash", "doc_id", "doc_hash"])
        except DamagedFile:
            continue  # named before
        if live:
            rows = rows.filter(pc.is_in(rows["list_key"], value_set=pa.array(list(live), pa.string())))
        for kind, prefix in (("query", "query"), ("document", "doc")):
            judged = rows.group_by([f"{prefix}_id", f"{prefix}_hash", "list_key"]).aggregate([]).to_pydict()
            lists.update((kind, *pair) for pair in zip(judged[f"{prefix}_id"], judged[f"{prefix}_hash"], strict=True))
    for (kind, identifier, judged_hash), count in sorted(entry for entry in lists.items() if entry[0][1] is not None):
        now = texts.query_hash(identifier) if kind == "query" else texts.document_hash(identifier)
        if now != judged_hash:
            state = "is not in the collection" if now is None else "has another text than when it was judged"
            found.problems.append(Problem(COLLECTION, f"{kind} {identifier!r} {state}; lists that hold it: {count}"))


def repair_labels(folder: Path, texts: TextHashes | None = None) -> tuple[Verification, list[str]]:
    """Takes what is wrong out of the parts, and marks the folder unfinished, so that the label job makes it again.

    A part that cannot be read is renamed to end in ``.broken``. Of a part with broken lists a new one is written with
    the others, and then it is renamed likewise, so nothing is deleted. What has changed in a collection needs no
    repair: the label job makes those lists again by itself.

    Returns:
        What was wrong before, and a line for each thing that was done: the files that were set aside, and that the
        folder is marked unfinished.

    Raises:
        LabelingError: there is no such folder, the manifest cannot be read, which is beyond repair, or a job is at work
            in the folder.
    """
    if not folder.is_dir():
        raise LabelingError(f"{folder}: no such folder")
    manifest = load_manifest(folder)
    done: list[str] = []
    with exclusive(folder):
        found = verify_labels(folder, texts)
        wrong = [problem for problem in found.problems if problem.place != COLLECTION]
        if wrong:
            # First, so that a killed repair leaves a folder that no one takes for whole.
            write_manifest(folder, manifest | {"complete": False})
        for name in sorted({problem.place for problem in wrong}):
            mine = [problem for problem in wrong if problem.place == name]
            if any(problem.unreadable for problem in mine):
                done.append(_set_aside(folder / name))
            elif name not in (LISTS, MANIFEST):
                done.append(_rewrite_without(folder, name, {problem.row for problem in mine}))
        if wrong:
            done.append("marked unfinished: run the label job again, it makes what is absent and no more")
    return found, done


def _rewrite_without(folder: Path, name: str, first_rows: Set[int]) -> str:
    table = read_table(folder / name)
    kept = [table.slice(0, 0)]
    lists = 0
    for start, rows in _lists(table.select(["list_key"])):
        if start not in first_rows:
            kept.append(table.slice(start, len(rows["list_key"])))
            lists += 1
    if lists:
        write_table(pa.concat_tables(kept), folder / f"part-{next_part_number(folder):05d}.parquet")
    return f"{_set_aside(folder / name)}; {lists} good lists of it kept"


def _set_aside(path: Path) -> str:
    aside = path.replace(path.with_suffix(BROKEN))
    return f"{path.name} set aside as {aside.name}"
