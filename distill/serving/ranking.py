"""One query's documents in a new order, within limits; what the limits leave out keeps its first-stage order below."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from distill.errors import ModelError
from distill.serving.deadline import score_until
from distill.serving.pace import Pace, Ranker


@dataclass(frozen=True, slots=True)
class Limits:
    """What a query may cost.

    Args:
        documents: most documents that are scored, the first stage's best; None for all.
        characters: longest text of a document, which is cut there; None for any.
        seconds: until the answer is due, from the call; None for no deadline.
    """

    documents: int | None = None
    characters: int | None = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        for name in ("documents", "characters", "seconds"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise ValueError(f"{name} must be positive, got {value}")


@dataclass(frozen=True, slots=True)
class Ranking:
    """What became of a query's documents.

    Args:
        order: places of all documents in the list that was given, best first.
        scores: raw scores of the first ``len(scores)`` documents given, those that were reached.
        deadline: whether the deadline left documents out.
        cut_documents: documents whose text was cut.
        cut_characters: characters that were cut off, of all of them.
    """

    order: tuple[int, ...]
    scores: tuple[float, ...]
    deadline: bool
    cut_documents: int
    cut_characters: int

    def score(self, place: int) -> float | None:
        """The raw score of a document by its place in the list that was given; None where it was not reached."""
        return self.scores[place] if place < len(self.scores) else None


@dataclass(slots=True)
class Totals:
    """What became of many queries; ``late`` are those that a deadline cut short, ``bad`` the lines that were none."""

    queries: int = 0
    documents: int = 0
    reached: int = 0
    late: int = 0
    cut_documents: int = 0
    cut_characters: int = 0
    bad: int = 0

    def add(self, ranking: Ranking) -> None:
        """Count one query."""
        self.queries += 1
        self.documents += len(ranking.order)
        self.reached += len(ranking.scores)
        self.late += ranking.deadline
        self.cut_documents += ranking.cut_documents
        self.cut_characters += ranking.cut_characters


def rank_documents(
    ranker: Ranker,
    query: str,
    documents: Sequence[str],
    limits: Limits | None = None,
    ids: Sequence[str] | None = None,
    pace: Pace | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> Ranking:
    """Rank a query's documents.

    Args:
        ranker: such as an `OnnxReranker`.
        query: its text.
        documents: texts, the first stage's best first.
        limits: what the query may cost.
        ids: break ties, in falling order as trec_eval does; without them documents of equal score keep their order.
        pace: from `Pace.measured`; needed where ``limits`` has a deadline.
        clock: gives seconds.

    Raises:
        ModelError: a score is not finite, which has no place in an order.
        ValueError: a deadline without a pace.
    """
    limits = limits or Limits()
    begun = clock()
    read = documents[: limits.documents]
    texts = [text[: limits.characters] for text in read]
    if limits.seconds is None:
        scores = list(ranker.score_pairs(query, texts)) if texts else []
    elif pace is None:
        raise ValueError("a deadline takes a pace; Pace.measured gives one")
    else:
        scores = score_until(ranker, query, texts, begun + limits.seconds, pace, clock)
    wrong = [score for score in scores if not math.isfinite(score)]
    if wrong:
        raise ModelError(f"{len(wrong)} of {len(scores)} documents have a score that is not finite: {wrong[0]}")
    reached = list(range(len(scores)))
    if ids is not None:
        reached.sort(key=lambda place: ids[place], reverse=True)
    order = sorted(reached, key=lambda place: -np.float32(scores[place]))
    lost = [len(text) - len(kept) for text, kept in zip(read, texts, strict=True)]
    return Ranking(
        order=(*order, *range(len(scores), len(documents))),
        scores=tuple(scores),
        deadline=len(scores) < len(read),
        cut_documents=sum(count > 0 for count in lost),
        cut_characters=sum(lost),
    )


def probability(score: float) -> float:
    """A raw score as a number between 0 and 1, to be shown; it ties documents that raw scores tell apart."""
    return 1 / (1 + math.exp(-score)) if score >= 0 else math.exp(score) / (1 + math.exp(score))
