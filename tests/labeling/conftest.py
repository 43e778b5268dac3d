"""A judge whose answers can be worked out by eye, and lists for it."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pytest

from labeling.label_lists import CandidateList


class OverlapJudge:
    """Scores a document by the words it shares with the query; fails on the word in ``fails_on``."""

    def __init__(self, name: str = "overlap", fails_on: str | None = None) -> None:
        self.name = name
        self.fails_on = fails_on
        self.queries: list[str] = []

    def judge(self, query: str, documents: Sequence[str]) -> list[dict[str, Any]]:
        self.queries.append(query)
        if self.fails_on in query.split():
            raise MemoryError("the list is too long")
        shared = [len(set(query.split()) & set(document.split())) for document in documents]
        return [{"score": float(count), "missing": count == 0, "tokens": 7} for count in shared]

    def describe(self) -> Mapping[str, Any]:
        return {"name": self.name, "settings": {"stem": False}}


@pytest.fixture(autouse=True)
def signals_as_in_a_terminal() -> Iterator[None]:
    """A shell lets its background jobs ignore SIGINT; the tests mean the same there as anywhere."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def make_judge() -> Callable[..., OverlapJudge]:
    return OverlapJudge


@pytest.fixture
def lists() -> list[CandidateList]:
    """Four queries; the first document of each shares two words with it, the next two share one, the last none."""
    documents = {
        "a": ("red fox", ("d1", "d2", "d3", "d4"), ("red fox runs", "red hen", "old fox", "blue sea")),
        "b": ("blue sea", ("d4", "d5", "d6", "d1"), ("blue sea", "blue sky", "deep sea", "red fox runs")),
        "c": ("old hen", ("d7", "d2", "d3", "d4"), ("old hen", "red hen", "old fox", "blue sea")),
        "d": ("deep sky", ("d8", "d5", "d6", "d3"), ("deep sky", "blue sky", "deep sea", "old fox")),
    }
    return [CandidateList(query_id, *rest) for query_id, rest in documents.items()]
