"""What a job must remember of every list, at a fraction of what dicts of strings take: it grows with the query log."""

from __future__ import annotations

from array import array
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

# Of one chunk of a column: Arrow's texts end at 2 GiB, which the keys of 33.5 million lists fill.
_CHUNK_LISTS = 1 << 22
_CHUNK_BYTES = 1 << 30


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
        ends = np.zeros(len(self) + 1, np.int64)
        ends[1:] = np.frombuffer(self._ends, np.uint64)
        ids, keys = [], []
        for first, last in self._chunks(ends):
            ids.append(_texts(ends[first : last + 1], self._ids[ends[first] : ends[last]]))
            digits = self._keys[32 * first : 32 * last].hex().encode("ascii")
            keys.append(_texts(np.arange(0, len(digits) + 1, 64), digits))
        return pa.table(
            {"query_id": pa.chunked_array(ids, pa.string()), "list_key": pa.chunked_array(keys, pa.string())}
        )

    def _chunks(self, ends: np.ndarray) -> Iterator[tuple[int, int]]:
        """First list and the one behind the last of each part of the table: few enough for 32-bit offsets."""
        first = 0
        while first < len(self):
            fitting = int(np.searchsorted(ends, ends[first] + _CHUNK_BYTES, side="right")) - 1
            last = max(first + 1, min(fitting, first + _CHUNK_LISTS))
            yield first, last
            first = last


def _texts(ends: np.ndarray, content: bytes | bytearray) -> pa.StringArray:
    """The texts that lie in ``content`` one behind the other, the first from ``ends[0]``, each up to the next end."""
    offsets = (ends - ends[0]).astype(np.int32)
    return pa.StringArray.from_buffers(len(ends) - 1, pa.py_buffer(offsets), pa.py_buffer(bytes(content)))
