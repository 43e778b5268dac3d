"""What choosing the tail of a query log costs: seconds, and memory that must not grow with the log.

`python -m tests.benchmarks.query_log LOG FOLDER` measures one log in a process of its own, because a peak cannot be
taken back, and prints JSON.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path
from subprocess import run
from typing import Any

import numpy as np

MEMORY_MIB = 512
# lines, and different queries that one may ask: of a small universe most are asked again, of a large one few
LOGS = [(1_000_000, 100_000), (1_000_000, 10**12), (10_000_000, 100_000), (10_000_000, 10**12)]
_VOCABULARY = 200_000
_CHUNK = 500_000


def tail_query_cost() -> list[dict[str, Any]]:
    """Lines a second and peak memory of the whole process, over logs of one line an event; one run each."""
    figures = []
    for lines, universe in LOGS:
        with tempfile.TemporaryDirectory() as folder:
            log = Path(folder) / "log.csv"
            write_log(log, lines, universe)
            command = [sys.executable, "-m", "tests.benchmarks.query_log", str(log), folder]
            measured = json.loads(run(command, capture_output=True, text=True, check=True).stdout.splitlines()[-1])
        said = (
            f"{lines:,} lines, {measured['queries']:,} queries, {measured['mib']:.0f} MiB; cut, thinned, 10,000 sampled"
        )
        against = f"{said}; the database may take {MEMORY_MIB} MiB, {measured['loaded_mib']:.0f} MiB are libraries"
        figures += [
            {"name": "tail_peak_mib", "value": measured["peak_mib"], "unit": "MiB", "against": against, "n": 1},
            {"name": "tail_speed", "value": lines / measured["seconds"], "unit": "lines/s", "against": said, "n": 1},
        ]
    return figures


def write_log(path: Path, lines: int, universe: int, seed: int = 0) -> None:
    """Write an event log: query k of the universe is asked in proportion to 1/k, in words that are as unevenly spread.

    One line in ten is in capitals, one in twenty has two spaces; one in three has a click.
    """
    draw = np.random.default_rng(seed)
    words = np.array([_word(number) for number in range(_VOCABULARY)], dtype=object)
    with path.open("w", encoding="utf-8") as file:
        file.write("time,query,clicks,impressions\n")
        for begun in range(0, lines, _CHUNK):
            count = min(_CHUNK, lines - begun)
            queries = _zipf(draw.random(count), universe)
            texts = _texts(queries, words)
            clicks = (draw.random(count) < 1 / 3).astype(int).tolist()
            forms = draw.random(count).tolist()
            rows = zip(texts, clicks, forms, strict=True)
            file.writelines(
                f"{begun + place},{_spelt(text, form)},{click},1\n" for place, (text, click, form) in enumerate(rows)
            )


def _zipf(chance: np.ndarray, size: int) -> np.ndarray:
    """Ranks from 0 to ``size``, one in proportion to 1 / (1 + rank): the inverse of the distribution's integral."""
    return (np.exp(chance * np.log(size + 1)) - 1).astype(np.int64)


def _texts(queries: np.ndarray, words: np.ndarray) -> list[str]:
    """One to six words for each query, always the same for the same query."""
    lengths = 1 + (_mixed(queries, 0) * 6).astype(int)
    columns = [words[_zipf(_mixed(queries, place), len(words))] for place in range(1, 7)]
    rows = zip(*columns, strict=True)
    return [" ".join(row[:length]) for row, length in zip(rows, lengths.tolist(), strict=True)]


def _mixed(queries: np.ndarray, salt: int) -> np.ndarray:
    """A number in [0, 1) out of each query's number, by the finaliser of splitmix64."""
    mixed = (queries.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(salt * 7919)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    mixed ^= mixed >> np.uint64(31)
    return (mixed >> np.uint64(11)).astype(float) / 2**53


def _word(number: int) -> str:
    """A speakable word, another for each number."""
    syllables = []
    while True:
        number, rest = divmod(number, 100)
        syllables.append("bdfgklmnprstvwzchj"[rest // 5 % 18] + "aeiou"[rest % 5] + ("" if rest < 90 else "n"))
        if not number:
            return "".join(syllables)


def _spelt(text: str, form: float) -> str:
    if form < 0.1:
        return text.upper()
    return text.replace(" ", "  ", 1) if form < 0.15 else text


def _measure(log: Path, folder: Path) -> dict[str, float]:
    from labeling.tail.from_log import write_tail_queries
    from labeling.tail.query_log import LogColumns
    from labeling.tail.settings import TailSettings

    loaded = _status_mib("VmHWM")
    settings = TailSettings(max_clicks=3, min_words=2, near_duplicates=True, sample=10_000)
    columns = LogColumns("query", clicks="clicks", impressions="impressions")
    started = time.perf_counter()

    def note(step: str) -> None:
        print(f"{time.perf_counter() - started:7.1f} s, {_status_mib('VmHWM'):.0f} MiB: {step}", file=sys.stderr)

    read, _ = write_tail_queries(log, columns, settings, folder, MEMORY_MIB, on_step=note)
    return {
        "seconds": time.perf_counter() - started,
        "peak_mib": _status_mib("VmHWM"),  # not getrusage's ru_maxrss, which a child inherits
        "loaded_mib": loaded,
        "queries": read.queries,
        "mib": log.stat().st_size / 2**20,
    }


def _status_mib(field: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:")) / 1024


if __name__ == "__main__":
    print(json.dumps(_measure(Path(sys.argv[1]), Path(sys.argv[2]))))
