"""Peak memory of a label job by its number of queries, with a judge that holds nothing and lists made as they come.

As a program, QUERIES: runs one job and prints the peak resident memory in MiB and the seconds.
"""

from __future__ import annotations

import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from labeling.job import run_label_job
from labeling.judge import ScoreAdapter
from labeling.label_lists import CandidateList

SIZES, DOCUMENTS, WORDS = (1_000, 10_000, 100_000), 20, 30


class LengthScorer:
    """Scores a document by its length."""

    def score(self, query: str, documents: Sequence[str]) -> list[float]:
        return [float(len(document)) for document in documents]


def label_memory() -> list[dict[str, Any]]:
    """What the largest job holds beyond the smallest at its peak, for a new folder and, after it, for resuming it."""
    peaks = {size: _peaks(size) for size in SIZES}
    figures = []
    for place, name in enumerate(("label_memory", "label_memory_resumed")):
        shown = ", ".join(
            f"{peaks[size][place][0]:.0f} MiB at {size:,} ({peaks[size][place][1]:.0f} s)" for size in SIZES
        )
        growth = peaks[SIZES[-1]][place][0] - peaks[SIZES[0]][place][0]
        figures.append(
            {
                "name": name,
                "value": growth,
                "unit": f"MiB at {SIZES[-1]:,} queries over {SIZES[0]:,}",
                "against": f"peak memory of the process: {shown}; {DOCUMENTS} documents a query",
                "n": 1,
            }
        )
    return figures


def _peaks(queries: int) -> list[tuple[float, float]]:
    program = [sys.executable, "-m", "tests.benchmarks.label_memory", str(queries)]
    lines = subprocess.run(program, check=True, capture_output=True, text=True).stdout.splitlines()
    return [(float(peak), float(seconds)) for peak, seconds in map(str.split, lines)]


def _measure(queries: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(2):
            begun = time.perf_counter()
            run_label_job(_lists(queries), ScoreAdapter(LengthScorer(), {"name": "length"}), Path(folder))
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            print(f"{peak:.1f} {time.perf_counter() - begun:.1f}", flush=True)


def _lists(queries: int) -> Iterator[CandidateList]:
    draw = random.Random(0)
    words = ["x" * draw.randint(1, 12) for _ in range(1000)]
    texts = [" ".join(draw.choices(words, k=WORDS)) for _ in range(500)]
    for number in range(queries):
        chosen = draw.sample(range(len(texts)), DOCUMENTS)
        query = " ".join(draw.choices(words, k=4))
        yield CandidateList(f"q{number}", query, [f"d{i}" for i in chosen], [texts[i] for i in chosen])


if __name__ == "__main__":
    _measure(int(sys.argv[1]))
