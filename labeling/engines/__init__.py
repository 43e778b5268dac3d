"""How lists reach a judge: in this process, in one process a device, or over a cluster. The job knows no difference."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from typing import Any, Protocol

from labeling.judge import Judge
from labeling.label_lists import CandidateList, Row

Work = tuple[str, CandidateList]
"""A list's key and the list."""


class JudgeSource(Protocol):
    """Makes the judge in the process where it works; it is pickled and sent there, so it holds paths, not weights."""

    def describe(self) -> Mapping[str, Any]:
        """What the judge's ``describe`` will say, without its weights loaded.

        Keys need it before the first list is judged, and a model of many gigabytes is not loaded for that alone. It is
        asked where the judges work: the number type, for one, may depend on the device.
        """
        ...

    def open(self) -> Judge:
        """The judge, ready to work; called once a process."""
        ...


class Engine(Protocol):
    """Judges lists somewhere and hands their rows back, in any order."""

    def describe(self) -> Mapping[str, Any]:
        """The judge's description, see :meth:`labeling.judge.Judge.describe`."""
        ...

    def judge_all(self, work: Iterator[Work], stopping: Callable[[], bool]) -> Generator[list[Row], None, None]:
        """The rows of each list of ``work``, those of a failed one included.

        Args:
            work: taken as lists are needed, so that only few of them are in memory; it ends early when the job stops.
            stopping: whether the job has been asked to stop; what is far from done need not be finished then.

        Raises:
            LabelingError: no judge can be made.
        """
        ...
