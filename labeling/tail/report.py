"""What was left out of a query log on the way to its tail, cut by cut, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Example:
    """One query that a cut took; its text only where it was asked for."""

    query_id: str
    frequency: int
    text: str | None = None


@dataclass(frozen=True, slots=True)
class Cut:
    """One step from the log to the tail.

    Attributes:
        name: the setting that made it.
        limit: the setting's value.
        says: the limit in words, as it applied to this log.
        queries: queries that it took.
        traffic: how often these were asked, in all.
        queries_left: queries after it.
        traffic_left: how often these were asked, in all.
        examples: the most frequent ones that it took.
    """

    name: str
    limit: float
    says: str
    queries: int
    traffic: int
    queries_left: int
    traffic_left: int
    examples: Sequence[Example] = ()


@dataclass(frozen=True, slots=True)
class TailReport:
    """What was kept of a log, and why the rest was not.

    Attributes:
        queries: distinct queries of the log.
        traffic: how often they were asked, in all.
        max_frequency: frequency of the most frequent query that may be tail.
        cuts: the cuts that were asked for, in the order in which they were made.
        sample_words: different content words of the sample; None without one.
        plain_sample_words: the same of a plain random draw of that size.
    """

    queries: int
    traffic: int
    max_frequency: int
    cuts: Sequence[Cut]
    sample_words: int | None = None
    plain_sample_words: int | None = None

    @property
    def chosen(self) -> int:
        """Queries that were kept."""
        return self.cuts[-1].queries_left if self.cuts else self.queries

    @property
    def chosen_traffic(self) -> int:
        """How often the kept queries were asked, in all."""
        return self.cuts[-1].traffic_left if self.cuts else self.traffic
