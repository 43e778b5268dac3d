"""Scores as many of a query's documents as a deadline allows, the first stage's best first.

What is reached must be the head of the first stage's ranking: what is not reached goes below it, which is only fair to
documents that the first stage put lower already. A ranker sorts its pairs by length, so lists are handed over in
chunks: within a chunk pairs of like length share a forward pass, and no document is passed over for its length.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Protocol

FIRST_CHUNK = 8  # about one batch of a processor, at a hundred tokens a pair
# Of the time that is left, the part that one call may be expected to take: it cannot be interrupted, and estimates err.
SHARE = 0.5
# How much longer than estimated a call is taken to last; on a busy machine few calls last longer.
SLACK = 1.25
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
    """How long a call of a ranker lasts: a fixed part, and a part for each token. It learns from every call.

    Args:
        fixed: seconds of a call without a token.
        per_token: seconds of a token.
    """

    def __init__(self, fixed: float, per_token: float) -> None:
        self.fixed = fixed
        self.per_token = per_token

    @classmethod
    def measured(cls, ranker: Ranker, clock: Callable[[], float] = time.perf_counter) -> Pace:
        """From a short call and a long one, after one that warms up, so that the first query is estimated too."""
        query, short, long = _SENTENCE[:20], [_SENTENCE], [_SENTENCE * 6] * FIRST_CHUNK
        ranker.score_pairs(query, long)
        seconds, tokens = [], []
        for documents in (short, long):
            begun = clock()
            ranker.score_pairs(query, documents)
            seconds.append(clock() - begun)
            tokens.append(max(1, ranker.count_tokens(query, documents)))
        per_token = max(0.0, seconds[1] - seconds[0]) / max(1, tokens[1] - tokens[0])
        return cls(max(0.0, seconds[0] - per_token * tokens[0]), per_token)

    def seconds(self, tokens: int) -> float:
        """How long a call with so many tokens will take, rather too long than too short."""
        return SLACK * (self.fixed + self.per_token * tokens)

    def learn(self, tokens: int, seconds: float) -> None:
        """Take a call into account; the last ones count most, as a machine is busy in spells."""
        if tokens > 0:
            self.per_token += 0.3 * (max(0.0, seconds - self.fixed) / tokens - self.per_token)


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
        tokens = ranker.count_tokens(query, chunk)
        begun = clock()
        needed, left = pace.seconds(tokens), ends - begun
        if len(chunk) > 1 and needed > SHARE * left:
            size = len(chunk) // 2
            continue
        if needed > left:
            break
        scores += ranker.score_pairs(query, chunk)
        pace.learn(tokens, clock() - begun)
        size = 2 * len(chunk)
    return scores
