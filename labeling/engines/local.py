"""Lists judged in this process, one after another: what a laptop or one device needs."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from typing import Any

from labeling.engines import Work
from labeling.engines.judging import batches, judge_batch
from labeling.judge import Judge
from labeling.label_lists import Row


class LocalEngine:
    """The engine around a judge that is already open.

    Args:
        judge: the judge.
        batch_lists: lists that are judged together where the judge can: where it has ``judge_many``.
    """

    def __init__(self, judge: Judge, batch_lists: int = 1) -> None:
        self._judge = judge
        self._batch_lists = batch_lists

    def describe(self) -> Mapping[str, Any]:
        """The judge's own description."""
        return self._judge.describe()

    def judge_all(self, work: Iterator[Work], stopping: Callable[[], bool]) -> Generator[list[Row], None, None]:
        """The rows of each list, in the order of ``work``."""
        for batch in batches(work, self._batch_lists):
            yield from judge_batch(batch, self._judge)
