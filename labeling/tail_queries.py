"""The choice of tail queries: those with too little traffic for click feedback to rank them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, PositiveInt

from labeling import LabelingError


class TailSettings(BaseModel):
    """Which queries of a log count as tail."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    head_share: float = Field(
        0.5,
        ge=0,
        lt=1,
        description="the most frequent queries that together carry at most this share of traffic are head",
    )
    max_frequency: PositiveInt | None = Field(None, description="more frequent queries are head, whatever their share")
    min_words: NonNegativeInt = Field(1, description="shorter queries are left out")


@dataclass(frozen=True)
class TailChoice:
    """The chosen query ids, in the order of the log, and why the others are not among them.

    Attributes:
        query_ids: the tail queries.
        max_frequency: frequency of the most frequent query that may be tail.
        queries: queries in the log.
        too_frequent: of those, left out as head.
        too_short: of the rest, left out for having too few words.
        traffic_share: share of the log's traffic that the chosen queries carry, in [0, 1].
    """

    query_ids: list[str]
    max_frequency: int
    queries: int
    too_frequent: int
    too_short: int
    traffic_share: float


def choose_tail_queries(log: Iterable[tuple[str, str, int]], settings: TailSettings) -> TailChoice:
    """The log's queries outside its head; the order of the log does not change which.

    Queries of one frequency are all head or all tail, so the rarest ones are always tail.

    Args:
        log: query id, query and frequency (how often it was asked, at least 1), one entry a query.
        settings: where the head ends.

    Raises:
        LabelingError: the log is empty, a query id comes twice, or a frequency is not a whole number of at least 1.
    """
    entries = list(log)
    _check(entries)
    traffic = sum(frequency for _, _, frequency in entries)
    limit = _tail_limit(Counter(frequency for _, _, frequency in entries), settings.head_share * traffic)
    if settings.max_frequency is not None:
        limit = min(limit, settings.max_frequency)
    rare = [entry for entry in entries if entry[2] <= limit]
    tail = [entry for entry in rare if len(entry[1].split()) >= settings.min_words]
    return TailChoice(
        query_ids=[query_id for query_id, _, _ in tail],
        max_frequency=limit,
        queries=len(entries),
        too_frequent=len(entries) - len(rare),
        too_short=len(rare) - len(tail),
        traffic_share=sum(frequency for _, _, frequency in tail) / traffic,
    )


def _tail_limit(queries_of: Counter[int], head_traffic: float) -> int:
    """The highest frequency that is tail: all more frequent queries together carry at most ``head_traffic``."""
    carried = 0
    for frequency in sorted(queries_of, reverse=True):
        carried += frequency * queries_of[frequency]
        if carried > head_traffic:
            return frequency
    raise LabelingError("the query log is empty")


def _check(entries: list[tuple[str, str, int]]) -> None:
    seen: set[str] = set()
    for query_id, _, frequency in entries:
        if query_id in seen:
            raise LabelingError(f"query id {query_id!r} comes twice in the query log")
        if not isinstance(frequency, int) or frequency < 1:
            raise LabelingError(f"query {query_id!r}: frequency {frequency!r} is not a whole number of at least 1")
        seen.add(query_id)
