"""A share of the queries, so that jobs that know nothing of each other label one log together."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from labeling import LabelingError


@dataclass(frozen=True, slots=True)
class Shard:
    """The ``index``-th of ``count`` shares, from 1; each query id is in exactly one, whatever else is in the log."""

    index: int
    count: int

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Read ``"3/8"`` as the third of eight.

        Raises:
            LabelingError: ``text`` is not I/N with 1 <= I <= N.
        """
        index, slash, count = text.partition("/")
        if not (slash and index.isdecimal() and count.isdecimal() and 1 <= int(index) <= int(count)):
            raise LabelingError(f"a share is written I/N with I from 1 to N, as in 3/8; got {text!r}")
        return cls(int(index), int(count))

    def holds(self, query_id: str) -> bool:
        """Whether the query is in this share."""
        digest = hashlib.sha256(query_id.encode("utf-8", "surrogatepass")).digest()
        return int.from_bytes(digest[:8], "big") % self.count == self.index - 1
