"""How long a ranker's calls last, measured on itself and followed since, so that a deadline can be planned for."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

FIRST_CHUNK = 8  # about one batch of a processor, at a hundred tokens a pair
# How much longer than estimated a call is taken to last; on a busy machine few calls last longer.
SLACK = 1.25
REPEATS = 3
FOLLOWING = 0.3  # how far an estimate moves towards the last call
_SENTENCE = "a ranking of documents by how well they answer what was asked for in the query "


class Ranker(Protocol):
    """What scores under a deadline."""

    def score_pairs(self, query: str, documents: Sequence[str]) -> Sequence[float]:
        """One score per document."""
        ...

    def count_tokens(self, query: str, documents: Sequence[str]) -> int:
        """Tokens that scoring these pairs sends through the model."""
        ...


@dataclass(slots=True)
class Duration:
    """Seconds of a call: a fixed part, and a part for each unit of its work. It follows how busy the machine is.

    Both parts are scaled together: calls of little work, which are all fixed part, say nothing of a unit's own time.
    """

    fixed: float
    per_unit: float

    @classmethod
    def through(cls, short: tuple[int, float], long: tuple[int, float]) -> Duration:
        """By two calls, each the units of its work and its seconds."""
        per_unit = max(0.0, long[1] - short[1]) / max(1, long[0] - short[0])
        return cls(max(0.0, short[1] - per_unit * short[0]), per_unit)

    def of(self, units: int) -> float:
        """How long a call of so many units will take, rather too long than too short."""
        return SLACK * (self.fixed + self.per_unit * units)

    def follow(self, units: int, seconds: float) -> None:
        """Take a call into account; the last ones count most, as a machine is busy in spells."""
        expected = self.fixed + self.per_unit * units
        if expected > 0:
            self._scale(1 + FOLLOWING * (min(seconds / expected, 10) - 1))

    def doubt(self) -> None:
        """Lower the estimate because it let nothing run, and so could not be corrected by what runs."""
        self._scale(1 - FOLLOWING)

    def _scale(self, factor: float) -> None:
        self.fixed *= factor
        self.per_unit *= factor


@dataclass(frozen=True, slots=True)
class Pace:
    """How long a ranker's calls last.

    Attributes:
        scoring: of a call, by the tokens that go through the model.
        reading: of cutting texts into tokens, by their characters; a text of which the model reads the head alone is
            cut as a whole all the same.
    """

    scoring: Duration
    reading: Duration

    @classmethod
    def measured(cls, ranker: Ranker, clock: Callable[[], float] = time.perf_counter) -> Pace:
        """From short calls and long ones, the median of each, so that the first query is estimated too."""
        query, short, long = _SENTENCE[:20], [_SENTENCE], [_SENTENCE * 6] * FIRST_CHUNK
        ranker.score_pairs(query, long)  # warms up
        scored, read = [], []
        for documents in (short, long):
            tokens = ranker.count_tokens(query, documents)
            scored.append((tokens, _seconds(ranker.score_pairs, query, documents, clock)))
            read.append((characters(query, documents), _seconds(ranker.count_tokens, query, documents, clock)))
        return cls(Duration.through(*scored), Duration.through(*read))


def characters(query: str, documents: Sequence[str]) -> int:
    """What is cut into tokens, the query once for each document."""
    return len(documents) * len(query) + sum(map(len, documents))


def _seconds(
    call: Callable[[str, Sequence[str]], object], query: str, documents: Sequence[str], clock: Callable[[], float]
) -> float:
    def one() -> float:
        begun = clock()
        call(query, documents)
        return clock() - begun

    return statistics.median(one() for _ in range(REPEATS))
