"""Reads a label folder one list at a time, so that memory does not grow with the documents that were judged."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from labeling import LabelingError
from labeling.manifest import load_manifest
from labeling.parts import COLUMNS, REPAIR, part_paths, read_table
from labeling.store import LISTS

# Parts whose columns are held while lists are read in the order of the job, which is mostly that of the parts.
_PARTS_HELD = 4


class LabelReader:
    """The lists of a label folder; what is held of each is its key, its query id and its place.

    Args:
        folder: the label folder.
        unfinished: also take a folder whose job has not finished. Its lists are then those of the last job's teacher,
            of each query the one judged last, in the order in which they were written.

    Attributes:
        manifest: the folder's manifest.
        finished: whether the job has finished.
        query_ids: the lists' query ids, in the order of the job.
        keys: the lists' keys, in the same order.

    Raises:
        LabelingError: the folder holds no labels, or unfinished ones, or a file of it cannot be read.
    """

    def __init__(self, folder: Path, unfinished: bool = False) -> None:
        self.folder = folder
        self.manifest = load_manifest(folder)
        self.finished = bool(self.manifest["complete"])
        if not (self.finished or unfinished):
            raise LabelingError(f"{folder}: the label job has not finished; run it again to resume it")
        lists = read_table(folder / LISTS, ["query_id", "list_key"]) if self.finished else self._written()
        self.query_ids: pa.ChunkedArray = lists["query_id"]
        self.keys: pa.ChunkedArray = lists["list_key"]

    def _written(self) -> pa.Table:
        columns = ["query_id", "list_key"]
        schema = pa.schema([*((name, pa.string()) for name in columns), ("created", COLUMNS.field("created").type)])
        tables = [schema.empty_table()]
        for path in part_paths(self.folder):
            table = read_table(path, [*schema.names, "teacher"])
            mine = table.filter(pc.equal(table["teacher"], self.manifest["teacher"])).select(schema.names)
            heads = mine.group_by(columns, use_threads=False).aggregate([("created", "max")])
            tables.append(heads.rename_columns({"created_max": "created"}).select(schema.names))
        return _newest(pa.concat_tables(tables)).select(columns)

    def tables(self, columns: Sequence[str]) -> Iterator[pa.Table]:
        """The lists' rows, part by part: the whole folder in the order in which it was written.

        Raises:
            LabelingError: a part cannot be read.
        """
        for table in self._keyed(columns):
            yield table.filter(pc.is_in(table["list_key"], value_set=self.keys)).select(list(columns))

    def _keyed(self, columns: Sequence[str]) -> Iterator[pa.Table]:
        for path in part_paths(self.folder):
            yield read_table(path, sorted({*columns, "list_key"}))

    def lists(self, columns: Sequence[str]) -> Iterator[pa.Table]:
        """Each list's rows, in the order of the job; within a list in that of its candidates.

        A list that failed has one row, whose ``status`` is "failed".

        Raises:
            LabelingError: a part cannot be read, or a list of the job is in no part or in two.
        """
        paths = part_paths(self.folder)
        part, start, length = self._places(paths)
        held: OrderedDict[int, pa.Table] = OrderedDict()
        for number, first, count in zip(part.tolist(), start.tolist(), length.tolist(), strict=True):
            if number not in held:
                held[number] = read_table(paths[number], columns)
                if len(held) > _PARTS_HELD:
                    held.popitem(last=False)
            held.move_to_end(number)
            yield held[number].slice(first, count)

    def list_of(self, query_id: str, columns: Sequence[str]) -> pa.Table:
        """The rows of one query's list.

        Raises:
            LabelingError: the folder has no list of this query, or a part cannot be read.
        """
        wanted = self.keys.filter(pc.equal(self.query_ids, query_id))
        if not len(wanted):
            example = f", such as {self.query_ids[0].as_py()!r}" if len(self.query_ids) else ""
            raise LabelingError(f"{self.folder}: no list of query {query_id!r}; it has {len(self.keys)} lists{example}")
        found = [table.filter(pc.is_in(table["list_key"], value_set=wanted)) for table in self._keyed(columns)]
        if not any(table.num_rows for table in found):
            self._refuse("is in no part", self.keys.index(wanted[0]).as_py())
        return pa.concat_tables(found).select(list(columns))

    def _places(self, paths: Sequence[Path]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """For each list of the job: number of its part, its first row there, and how many rows it has."""
        part, start, length = (np.full(len(self.keys), -1, dtype=np.int64) for _ in range(3))
        for number, path in enumerate(paths):
            rows = read_table(path, ["list_key"])["list_key"].combine_chunks()
            if not len(rows):
                continue
            runs = pc.run_end_encode(rows)
            ends = runs.run_ends.to_numpy()
            starts = np.concatenate([[0], ends[:-1]])
            wanted = pc.index_in(runs.values, value_set=self.keys)
            mine = wanted.is_valid().to_numpy(zero_copy_only=False)
            places = wanted.drop_null().to_numpy()
            twice = np.concatenate([places[part[places] >= 0], places[_repeated(places)]])
            if len(twice):
                self._refuse("stands twice in the parts", int(twice[0]))
            part[places], start[places], length[places] = number, starts[mine], (ends - starts)[mine]
        absent = np.flatnonzero(part < 0)
        if len(absent):
            self._refuse(f"is in no part, with {len(absent) - 1} others", int(absent[0]))
        return part, start, length

    def _refuse(self, what: str, place: int) -> None:
        raise LabelingError(f"{self.folder}: the list of query {self.query_ids[place].as_py()!r} {what}; {REPAIR}")


def _newest(lists: pa.Table) -> pa.Table:
    """The list of each query that was judged last, in the order given.

    Asked is the time, and the order where it does not tell: a repair writes the good lists of an old part anew, as the
    newest part.
    """
    known = pc.fill_null(lists["created"], pa.scalar(0, lists["created"].type))
    places = lists.append_column("place", pa.array(np.arange(lists.num_rows))).take(pc.sort_indices(known))
    last = places.group_by("query_id", use_threads=False).aggregate([("place", "last")])["place_last"]
    return lists.take(np.sort(last.to_numpy()))


def _repeated(places: np.ndarray) -> np.ndarray:
    """True where a value has been seen before in the array."""
    seen = np.ones(len(places), dtype=bool)
    seen[np.unique(places, return_index=True)[1]] = False
    return seen
