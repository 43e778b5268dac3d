"""What a label job will take, from a few of its lists judged and timed."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labeling import LabelingError
from labeling.engines.judging import judge_batch
from labeling.judge import Judge
from labeling.keys import teacher_hash
from labeling.label_lists import CandidateList, Row, list_key
from labeling.parts import part_paths
from labeling.store import open_store


@dataclass(frozen=True, slots=True)
class ListCost:
    """Means over a timed sample.

    Attributes:
        sample: lists judged, of which ``failed`` failed.
        seconds: of judging one list, in one process.
        tokens: of one list; None where the judge does not say.
        list_bytes: on disk, for one more list in a part.
        part_bytes: on disk, for one more part.
    """

    sample: int
    failed: int
    seconds: float
    tokens: float | None
    list_bytes: float
    part_bytes: float

    def disk_bytes(self, lists: int, part_lists: int) -> float:
        """Of a folder of so many lists."""
        return lists * self.list_bytes + -(-lists // part_lists) * self.part_bytes


def spread_sample(lists: Sequence[CandidateList], count: int) -> list[CandidateList]:
    """``count`` lists from the middles of as many equal parts of all lists ordered by length in characters.

    Their mean is then close to the mean over all lists, however cost grows with length.
    """
    ordered = sorted(lists, key=lambda candidates: sum(map(len, candidates.documents)))
    count = min(count, len(ordered))
    return [ordered[(2 * place + 1) * len(ordered) // (2 * count)] for place in range(count)]


def time_lists(sample: Sequence[CandidateList], judge: Judge) -> ListCost:
    """Judges the sample, after one list for warming up, and writes it to a temporary folder.

    Raises:
        LabelingError: the sample is empty.
    """
    if not sample:
        raise LabelingError("there is no list to time")
    description = judge.describe()
    teacher = teacher_hash(description)
    work = [(list_key(candidates, teacher), candidates) for candidates in sample]
    judge_batch(work[:1], judge)
    started = time.perf_counter()
    judged = [judge_batch([entry], judge)[0] for entry in work]
    seconds = (time.perf_counter() - started) / len(sample)
    tokens = [rows[0]["tokens"] for rows in judged if rows[0].get("tokens") is not None]
    one, all_of_them = _part_size(judged[:1], description), _part_size(judged, description)
    list_bytes = (all_of_them - one) / (len(judged) - 1) if len(judged) > 1 else one
    return ListCost(
        sample=len(sample),
        failed=sum(rows[0]["status"] == "failed" for rows in judged),
        seconds=seconds,
        tokens=sum(tokens) / len(tokens) if tokens else None,
        list_bytes=list_bytes,
        part_bytes=max(0.0, one - list_bytes),
    )


def _part_size(judged: Sequence[list[Row]], description: Mapping[str, Any]) -> int:
    with tempfile.TemporaryDirectory() as folder:
        with open_store(Path(folder), description, part_lists=len(judged), part_seconds=float("inf")) as store:
            for rows in judged:
                store.add(rows)
        return sum(path.stat().st_size for path in part_paths(Path(folder)))
