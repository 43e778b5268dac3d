"""A label job in a process of its own, for tests that kill it: FOLDER CALLS [DIE_AT | workers].

Each judged query is added to the file CALLS before its answer. With DIE_AT the process kills itself just before its
DIE_AT-th operation on a file of the folder (opening, renaming or removing one). With ``workers`` two processes
judge the lists.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labeling.engines.processes import ProcessEngine
from labeling.job import JobSettings, run_label_job, run_on_engine
from labeling.label_lists import CandidateList

LISTS, DOCUMENTS, LISTS_IN_A_PART = 500, 5, 3
WORDS = ("red", "fox", "blue", "sea", "old", "hen", "deep", "sky")


class SlowJudge:
    """Shared words, at a millisecond a list; one query fails."""

    def __init__(self, calls: Path) -> None:
        self.calls = calls

    def judge(self, query: str, documents: Sequence[str]) -> list[dict[str, Any]]:
        with self.calls.open("a") as file:
            file.write(query + "\n")
        time.sleep(0.001)
        if query.startswith("7 "):
            raise MemoryError("the list is too long")
        return [{"score": float(len(set(query.split()) & set(text.split())))} for text in documents]

    def describe(self) -> dict[str, Any]:
        return {"name": "slow"}


@dataclass(frozen=True)
class SlowSource:
    """Opens the judge in another process."""

    calls: Path

    def describe(self) -> dict[str, Any]:
        return SlowJudge(self.calls).describe()

    def open(self) -> SlowJudge:
        return SlowJudge(self.calls)


def lists(count: int) -> list[CandidateList]:
    draw = random.Random(0)
    texts = [" ".join(draw.choices(WORDS, k=6)) for _ in range(30)]
    made = []
    for number in range(count):
        chosen = draw.sample(range(len(texts)), DOCUMENTS)
        query = f"{number} {' '.join(draw.choices(WORDS, k=2))}"
        made.append(CandidateList(f"q{number}", query, [f"d{i}" for i in chosen], [texts[i] for i in chosen]))
    return made


def die_at(operation: int, folder: Path) -> None:
    seen = 0

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal seen
        if event in ("open", "os.rename", "os.remove") and str(arguments[0]).startswith(str(folder)):
            seen += 1
            if seen == operation:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)


if __name__ == "__main__":
    folder, calls, *rest = sys.argv[1:]
    settings = JobSettings(part_lists=LISTS_IN_A_PART)
    if rest == ["workers"]:
        run_on_engine(lists(LISTS), ProcessEngine(SlowSource(Path(calls)), 2), Path(folder), settings)
        sys.exit()
    if rest:
        die_at(int(rest[0]), Path(folder))
    # A job that is killed at every file operation in turn is short, the others give the killer time to strike.
    count = 8 if rest else LISTS
    run_label_job(lists(count), SlowJudge(Path(calls)), Path(folder), settings)
