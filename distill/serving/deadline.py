"""Scores as many of a query's documents as a deadline allows, the first stage's best first.

What is reached must be the head of the first stage's ranking: what is not reached goes below it, which is only fair to
documents that the first stage put lower already. A ranker sorts its pairs by length, so lists are handed over in
chunks: within a chunk pairs of like length share a forward pass, and no document is passed over for its length.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from distill.serving.pace import FIRST_CHUNK, Duration, Pace, Ranker, characters

# Of the time that is left, the part that one call may be expected to take: it cannot be interrupted, and estimates err.
SHARE = 0.5


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
                needed.by.doubt()
            break
        begun = clock()
        scores += ranker.score_pairs(query, chunk)
        pace.scoring.follow(needed.tokens, clock() - begun)
        size = 2 * len(chunk)
    return scores


@dataclass(frozen=True, slots=True)
class _Need:
    """What a chunk will take of the time that is left, in seconds, by which estimate above all, and its tokens."""

    seconds: float
    left: float
    by: Duration
    tokens: int


def _needed(
    ranker: Ranker, query: str, chunk: Sequence[str], pace: Pace, ends: float, clock: Callable[[], float]
) -> _Need:
    begun, length = clock(), characters(query, chunk)
    reading = pace.reading.of(length)
    # the tokens are counted, and the texts cut once more to be scored: megabytes would take the time by that alone
    if 2 * reading > ends - begun:
        return _Need(2 * reading, ends - begun, pace.reading, 0)
    tokens = ranker.count_tokens(query, chunk)
    counted = clock()
    pace.reading.follow(length, counted - begun)
    return _Need(reading + pace.scoring.of(tokens), ends - counted, pace.scoring, tokens)
