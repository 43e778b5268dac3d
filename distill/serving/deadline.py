"""Scores as many of a query's documents as a deadline allows, the first stage's best first.

What is reached must be the head of the first stage's ranking: what is not reached goes below it, which is only fair to
documents that the first stage put lower already. A ranker sorts its pairs by length, so lists are handed over in
chunks: within a chunk pairs of like length share a forward pass, and no document is passed over for its length.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

FIRST_CHUNK = 8  # about one batch of a processor, at a hundred tokens a pair
# Of the time that is left, the part that one call may be expected to take: it cannot be interrupted, and estimates err.
SHARE = 0.5
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


class Pace:
    """How long a call of a ranker lasts: a fixed part, and a part for each token. It follows how busy the machine is.

    Args:
        fixed: seconds of a call without a token.
        per_token: seconds of a token that goes through the model.
        per_character: seconds to cut a character into tokens; a text of which the model reads the head alone is cut
            as a whole all the same.
    """

    def __init__(self, fixed: float, per_token: float, per_character: float = 0.0) -> None:
        self.fixed = fixed
        self.per_token = per_token
        self.per_character = per_character

    @classmethod
    def measured(cls, ranker: Ranker, clock: Callable[[], float] = time.perf_counter) -> Pace:
        """From short calls and long ones, the median of each, so that the first query is estimated too."""
        query, short, long = _SENTENCE[:20], [_SENTENCE], [_SENTENCE * 6] * FIRST_CHUNK
        ranker.score_pairs(query, long)  # warms up
        seconds, tokens, reading = [], [], 0.0
        for documents in (short, long):
            seconds.append(statistics.median(_seconds(ranker, query, documents, clock) for _ in range(REPEATS)))
            begun = clock()
            tokens.append(max(1, ranker.count_tokens(query, documents)))
            reading = clock() - begun
        per_token = max(0.0, seconds[1] - seconds[0]) / max(1, tokens[1] - tokens[0])
        return cls(max(0.0, seconds[0] - per_token * tokens[0]), per_token, reading / sum(map(len, long)))

    def reading(self, documents: Sequence[str]) -> float:
        """How long it will take to cut these texts into tokens."""
        return SLACK * self.per_character * sum(map(len, documents))

    def scoring(self, tokens: int) -> float:
        """How long a call with so many tokens will take, rather too long than too short."""
        return SLACK * (self.fixed + self.per_token * tokens)

    def has_read(self, documents: Sequence[str], seconds: float) -> None:
        """Take into account how long texts took to be cut into tokens."""
        characters = sum(map(len, documents))
        if characters > 0:
            self.per_character += FOLLOWING * (seconds / characters - self.per_character)

    def has_scored(self, tokens: int, seconds: float) -> None:
        """Take a call into account; the last ones count most, as a machine is busy in spells."""
        expected = self.fixed + self.per_token * tokens
        if expected > 0:
            self._scale(1 + FOLLOWING * (min(seconds / expected, 10) - 1))

    def doubt(self) -> None:
        """Lower the estimate because it let nothing run, and so could not be corrected by what runs."""
        self._scale(1 - FOLLOWING)

    def _scale(self, factor: float) -> None:
        self.fixed *= factor
        self.per_token *= factor


def score_until(
    ranker: Ranker,
    query: str,
    documents: Sequence[str],
    ends: float,
    pace: Pace,
    clock: Callable[[], float] = time.perf_counter,
) -> list[float]:
    """Scores of the first documents, of as many as are done before ``ends``; of none where not one can be.

    Args:
        ranker: scores.
        query: its text.
        documents: the first stage's best first.
        ends: when the clock shows this, the answer is due.
        pace: of this ranker; learns.
        clock: gives seconds.
    """
    scores: list[float] = []
    size = FIRST_CHUNK
    while len(scores) < len(documents):
        chunk = documents[len(scores) : len(scores) + size]
        needed = _needed(ranker, query, chunk, pace, ends, clock)
        if len(chunk) > 1 and needed.seconds > SHARE * needed.left:
            size = len(chunk) // 2
            continue
        if needed.seconds > needed.left:
            if not scores:
                pace.doubt()
            break
        begun = clock()
        scores += ranker.score_pairs(query, chunk)
        pace.has_scored(needed.tokens, clock() - begun)
        size = 2 * len(chunk)
    return scores


@dataclass(frozen=True, slots=True)
class _Need:
    """What a chunk will take of the time that is left, in seconds, and its tokens."""

    seconds: float
    left: float
    tokens: int


def _needed(
    ranker: Ranker, query: str, chunk: Sequence[str], pace: Pace, ends: float, clock: Callable[[], float]
) -> _Need:
    begun, reading = clock(), pace.reading(chunk)
    # the tokens are counted, and the texts cut once more to be scored: megabytes would take the time by that alone
    if 2 * reading > ends - begun:
        return _Need(2 * reading, ends - begun, 0)
    tokens = ranker.count_tokens(query, chunk)
    counted = clock()
    pace.has_read(chunk, counted - begun)
    return _Need(reading + pace.scoring(tokens), ends - counted, tokens)


def _seconds(ranker: Ranker, query: str, documents: Sequence[str], clock: Callable[[], float]) -> float:
    begun = clock()
    ranker.score_pairs(query, documents)
    return clock() - begun
