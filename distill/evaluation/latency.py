"""How long re-rankers take for a query, timed query by query in turns, so that a busy machine is busy for all alike."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from distill.collections.collection import DataError
from distill.progress import Advance

# Measurements that a percentile takes, so that one lies beyond it.
LEAST = {50: 1, 95: 20, 99: 100}


class Ranker(Protocol):
    """What can be timed."""

    def score_pairs(self, query: str, documents: Sequence[str]) -> Sequence[float]:
        """One score per document."""
        ...

    def count_tokens(self, query: str, documents: Sequence[str]) -> int:
        """Tokens that scoring these pairs sends through the model."""
        ...


@dataclass(frozen=True, slots=True)
class TimedList:
    """A query with the documents that are scored for it; from ``own`` on they are other queries' candidates."""

    query: str
    documents: tuple[str, ...]
    own: int


@dataclass(frozen=True, slots=True)
class LatencyFigure:
    """One model on lists of one length.

    Args:
        model: what the model is called.
        documents: of each list.
        seconds: of each query, in the order of the lists.
        tokens: that a query sends through the model, padding left out, as a mean.
        filled: queries with fewer candidates, whose lists were filled up with those of other queries.
    """

    model: str
    documents: int
    seconds: tuple[float, ...]
    tokens: float
    filled: int

    @property
    def queries(self) -> int:
        """Measurements; each query is timed once."""
        return len(self.seconds)

    @property
    def pairs_per_second(self) -> float:
        """Documents scored in a second, one query after the other."""
        return self.documents * len(self.seconds) / sum(self.seconds)

    def milliseconds(self, percentile: int) -> float | None:
        """The 50th, 95th or 99th percentile of a query's time; None below its `LEAST` measurements.

        Between two measurements it is interpolated, as numpy does by default.
        """
        if len(self.seconds) < LEAST[percentile]:
            return None
        return float(np.percentile(self.seconds, percentile)) * 1000


@dataclass(frozen=True, slots=True)
class MemoryUse:
    """What a process takes that holds one model alone and has scored a list.

    Args:
        resident_mib: resident memory of the process, libraries included.
        device_mib: most memory of an accelerator that was taken; None where the model runs on the processor.
    """

    resident_mib: float
    device_mib: float | None


@dataclass(frozen=True, slots=True)
class LatencyReport:
    """What `distill latency` measured.

    Args:
        figures: model by model, and for each from short to long lists.
        memory: by model; empty where it was not measured.
        machine: what the figures depend on: processor, threads, device, versions, and how busy the machine was.
    """

    figures: tuple[LatencyFigure, ...]
    memory: Mapping[str, MemoryUse] = field(default_factory=dict)
    machine: Mapping[str, Any] = field(default_factory=dict)

    def figure(self, model: str, documents: int) -> LatencyFigure:
        """The figure of one model and length of list.

        Raises:
            KeyError: it was not measured.
        """
        for found in self.figures:
            if (found.model, found.documents) == (model, documents):
                return found
        raise KeyError(f"no latency of {model!r} at {documents} documents")

    def as_json(self) -> dict[str, Any]:
        """Everything, as JSON holds it, with the percentiles beside the seconds that they are of."""
        return {
            "machine": dict(self.machine),
            "memory": {model: asdict(use) for model, use in self.memory.items()},
            "figures": [
                {
                    "model": figure.model, "documents": figure.documents, "queries": figure.queries,
                    **{f"p{percentile}_ms": figure.milliseconds(percentile) for percentile in LEAST},
                    "pairs_per_second": figure.pairs_per_second, "tokens": figure.tokens, "filled": figure.filled,
                    "seconds": list(figure.seconds),
                }
                for figure in self.figures
            ],
        }  # fmt: skip


def read_latency(path: Path) -> LatencyReport:
    """A report out of the file that `distill latency --json` wrote.

    Raises:
        DataError: there is no such file, it is not one of these, it has no figure, or a time in it is none.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        figures = tuple(
            LatencyFigure(
                str(row["model"]), int(row["documents"]), tuple(map(float, row["seconds"])),
                float(row["tokens"]), int(row["filled"]),
            )
            for row in content["figures"]
        )  # fmt: skip
        memory = {model: MemoryUse(**use) for model, use in content["memory"].items()}
        report = LatencyReport(figures, memory, content["machine"])
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or error}") from None
    except (ValueError, OverflowError, RecursionError, KeyError, TypeError, AttributeError):
        raise DataError(f"{path}: not a file of latencies; what `distill latency --json` writes is accepted") from None
    if not figures:
        raise DataError(f"{path}: figures is empty; the times of one model at least are accepted")
    for number, figure in enumerate(figures):
        wrong = [found for found in figure.seconds if not (math.isfinite(found) and found > 0)]
        if wrong or not figure.seconds:
            came = f"{wrong[0]} among them" if wrong else "none"
            raise DataError(f"{path}: figures.{number}.seconds: {came}; finite numbers above 0 are accepted")
    return report


def measure_latency(
    rankers: Mapping[str, Ranker],
    lists: Mapping[int, Sequence[TimedList]],
    warmup: int = 3,
    clock: Callable[[], float] = time.perf_counter,
    on_progress: Advance | None = None,
) -> tuple[LatencyFigure, ...]:
    """Time every ranker on every list.

    The rankers take turns at each query, and at going first, so that what else the machine does meets all of them.

    Args:
        rankers: by name.
        lists: by their length; each length has the same queries.
        warmup: queries of each ranker and length that are scored before and do not count.
        clock: gives seconds.
        on_progress: is told the queries done.

    Returns:
        Ranker by ranker, and for each in the order of ``lists``.

    Raises:
        ValueError: there is nothing to time, or a ranker gives another number of scores than of documents.
    """
    counts = {len(of_length) for of_length in lists.values()}
    if not rankers or len(counts) != 1 or 0 in counts:
        raise ValueError("needs a ranker, and the same queries, at least one, at each length")
    queries = counts.pop()
    for of_length in lists.values():
        for ranker in rankers.values():
            for timed in of_length[:warmup]:
                ranker.score_pairs(timed.query, timed.documents)
    seconds: dict[tuple[str, int], list[float]] = {(name, length): [] for name in rankers for length in lists}
    names = list(rankers)
    for number in range(queries):
        turn = number % len(names)
        for length, of_length in lists.items():
            for name in (*names[turn:], *names[:turn]):
                seconds[name, length].append(_seconds(rankers[name], of_length[number], clock))
        if on_progress is not None:
            on_progress(number + 1, queries)
    return tuple(
        LatencyFigure(
            model=name,
            documents=length,
            seconds=tuple(seconds[name, length]),
            tokens=sum(ranker.count_tokens(timed.query, timed.documents) for timed in lists[length]) / queries,
            filled=sum(timed.own < length for timed in lists[length]),
        )
        for name, ranker in rankers.items()
        for length in lists
    )


def _seconds(ranker: Ranker, timed: TimedList, clock: Callable[[], float]) -> float:
    started = clock()
    # scores are plain numbers when they come back, so an accelerator has finished its work
    scores = ranker.score_pairs(timed.query, timed.documents)
    elapsed = clock() - started
    if len(scores) != len(timed.documents):
        raise ValueError(f"{len(scores)} scores for {len(timed.documents)} documents")
    return elapsed
