"""A judge without torch for engines that start other processes, which import it from here."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labeling.label_lists import CandidateList

WORDS = ("red", "fox", "blue", "sea", "old", "hen", "deep", "sky")


@dataclass(frozen=True)
class WordSource:
    """Opens a judge that counts shared words and writes each query it is asked into the file ``calls``.

    The queries named do what a teacher may do: end their process, always or the first time, or give no number.
    """

    calls: Path
    kills: str | None = None
    kills_once: str | None = None
    no_number: str | None = None
    name: str = "words"
    opened_as: str = "words"
    seconds: float = 0.001

    def describe(self) -> dict[str, Any]:
        return {"name": self.name}

    def open(self) -> WordJudge:
        if self.opened_as == "nothing":
            raise MemoryError("the weights do not fit")
        return WordJudge(self)


class WordJudge:
    def __init__(self, source: WordSource) -> None:
        self.source = source

    def describe(self) -> dict[str, Any]:
        return {"name": self.source.opened_as}

    def judge(self, query: str, documents: Sequence[str]) -> list[dict[str, Any]]:
        source = self.source
        with source.calls.open("a", errors="backslashreplace") as file:
            file.write(f"{query} by {os.getpid()}\n")
        time.sleep(source.seconds)
        if query == source.kills or (query == source.kills_once and _first_time(source.calls.with_suffix(".once"))):
            os.kill(os.getpid(), signal.SIGKILL)
        if query == source.no_number:
            return [{"score": float("nan")} for _ in documents]
        shared = [len(set(query.split()) & set(document.split())) for document in documents]
        return [{"score": float(count), "missing": count == 0, "tokens": 7} for count in shared]


def judged(calls: Path) -> list[str]:
    """The queries that the judge was asked, one entry a call."""
    return [line.rpartition(" by ")[0] for line in calls.read_text().splitlines()] if calls.exists() else []


def word_lists(count: int) -> list[CandidateList]:
    """Lists of five documents; the query of list 7 is ``7 ...``. List 4 has no documents, list 5 broken text."""
    draw = random.Random(0)
    texts = [" ".join(draw.choices(WORDS, k=6)) for _ in range(30)]
    made = []
    for number in range(count):
        chosen = [] if number == 4 else draw.sample(range(len(texts)), 5)
        query = f"{number} " + ("\ud800\x00" if number == 5 else " ".join(draw.choices(WORDS, k=2)))
        made.append(CandidateList(f"q{number}", query, [f"d{i}" for i in chosen], [texts[i] for i in chosen]))
    return made


def _first_time(marker: Path) -> bool:
    try:
        marker.touch(exist_ok=False)
    except FileExistsError:
        return False
    return True
