"""What a job must remember of every list, at a fraction of what dicts of strings take: it grows with the query log."""

from __future__ import annotations

from array import array
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


class FinishedLists:
    """Keys of the lists that stand in a folder's parts; filled once, then asked.

    Attributes:
        failed: keys of those among them that failed; mostly few.
        added: lists of all parts together; more than there are keys where parts repeat one.
    """

    def __init__(self) -> None:
        self._keys: np.ndarray = np.empty(0, "S64")
        self._unsorted: list[np.ndarray] = []
        self.failed: set[str] = set()
        self.added = 0

    def add_part(self, part: pa.Table) -> None:
        """Takes the lists of one part, which has the columns ``list_key`` and ``status``."""
        keys = part["list_key"].unique().to_pylist()
        self.added += len(keys)
        self._unsorted.append(np.array(keys, "S64"))
        failed = part.filter(pc.equal(part["status"], "failed"))["list_key"]
        self.failed.update(failed.unique().to_pylist())

    def __len__(self) -> int:
        return len(self._sorted())

    def __contains__(self, key: str) -> bool:
        keys = self._sorted()
        wanted = np.bytes_(key.encode("ascii"))
        place = int(np.searchsorted(keys, wanted))
        return place < len(keys) and bool(keys[place] == wanted)

    def forget_failed(self) -> None:
        """Counts the failed lists as unfinished from now on."""
        self._keys = self._sorted()[~np.isin(self._sorted(), np.array(sorted(self.failed), "S64"))]
        self.failed = set()

    def _sorted(self) -> np.ndarray:
        if self._unsorted:
            self._keys = np.unique(np.concatenate([self._keys, *self._unsorted]))
            self._unsorted = []
        return self._keys


class JobLists:
    """Query ids and keys of a job's lists, in its order; no id comes twice."""

    def __init__(self) -> None:
        self._ids = bytearray()
        self._ends = array("Q")
        self._keys = bytearray()
        self._hashes: set[int] = set()

    def add(self, query_id: str, key: str) -> None:
        """Puts one list at the end.

        Raises:
            KeyError: the query id is there already.
        """
        before = len(self._hashes)
        self._hashes.add(hash(query_id))
        if len(self._hashes) == before and query_id in iter(self):  # two ids with one hash are not yet a repetition
            raise KeyError(query_id)
        self._ids += query_id.encode("utf-8")
        self._ends.append(len(self._ids))
        self._keys += bytes.fromhex(key)

    def __len__(self) -> int:
        return len(self._ends)

    def __iter__(self) -> Iterator[str]:
        start = 0
        for end in self._ends:
            yield self._ids[start:end].decode("utf-8")
            start = end

    def table(self) -> pa.Table:
        """The columns ``query_id`` and ``list_key``, a row a list."""
        # From the bytes as they stand: a list of Python strings would be the largest thing that the job ever holds.
        ends = np.concatenate([[0], np.frombuffer(self._ends, np.uint64)]).astype(np.int32)
        key_ends = np.arange(0, 64 * len(self) + 1, 64, dtype=np.int32)
        ids = pa.StringArray.from_buffers(len(self), pa.py_buffer(ends), pa.py_buffer(bytes(self._ids)))
        keys = self._keys.hex().encode("ascii")
        listed = pa.StringArray.from_buffers(len(self), pa.py_buffer(key_ends), pa.py_buffer(keys))
        return pa.table({"query_id": ids, "list_key": listed})
