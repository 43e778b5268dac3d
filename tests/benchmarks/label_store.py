"""How fast the label store takes rows, every part synchronised to disk, and gives them back."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from labeling.formats import label_lists
from labeling.judge import Judgment
from labeling.keys import text_hash
from labeling.label_lists import CandidateList, Row, label_rows, list_key
from labeling.parts import part_paths
from labeling.store import open_store
from labeling.verify import verify_labels
from tests.labeling.whole_folder import read_labels

LISTS, DOCUMENTS, REPEATS = (1_000, 10_000), 20, 3


def label_store() -> list[dict[str, Any]]:
    """Rows per second written, read as a table, read list by list and verified; the median over repetitions."""
    figures = []
    for lists in LISTS:
        rounds = [_round(lists) for _ in range(REPEATS)]
        size = statistics.median(entry.pop("bytes") for entry in rounds) / (lists * DOCUMENTS)
        for what in rounds[0]:
            rates = [lists * DOCUMENTS / entry[what] for entry in rounds]
            figures.append(
                {
                    "name": f"label_store {what}, {lists:,} lists of {DOCUMENTS}",
                    "value": statistics.median(rates),
                    "unit": "rows per second",
                    "against": f"{min(rates):,.0f} to {max(rates):,.0f}; {size:.0f} bytes a row on disk",
                    "n": REPEATS,
                }
            )
    return figures


def _round(lists: int) -> dict[str, float]:
    """Seconds of each kind of work on one folder, and the bytes of its parts."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        return {
            "written": _write(folder, lists),
            "read as a table": _timed(lambda: read_labels(folder)),
            "read list by list": _timed(lambda: sum(1 for _ in label_lists(folder))),
            "verified": _timed(lambda: verify_labels(folder)),
            "bytes": float(sum(path.stat().st_size for path in part_paths(folder))),
        }


def _write(folder: Path, lists: int) -> float:
    """Seconds inside the store; the making of the rows is not counted."""
    seconds, keys = 0.0, {}
    begun = time.perf_counter()
    with open_store(folder, {"name": "benchmark"}) as store:
        seconds += time.perf_counter() - begun
        for rows in _lists(lists, store.teacher):
            begun = time.perf_counter()
            store.add(rows)
            seconds += time.perf_counter() - begun
            keys[rows[0]["query_id"]] = rows[0]["list_key"]
        begun = time.perf_counter()
        store.finish(keys)
        return seconds + time.perf_counter() - begun


def _lists(count: int, teacher: str) -> Iterator[list[Row]]:
    for number in range(count):
        doc_ids = [f"document-{number * 19 + place}" for place in range(DOCUMENTS)]
        candidates = CandidateList(f"query-{number}", f"text of query {number}", doc_ids, doc_ids)
        judgments = [
            Judgment(score=((number + 1) * (place + 3) * 0.618) % 1, missing=place > 15, evidence=(0, 5), tokens=3000)
            for place in range(DOCUMENTS)
        ]
        same = {
            "query_id": candidates.query_id,
            "query_hash": text_hash(candidates.query),
            "list_key": list_key(candidates, teacher),
            "seconds": 0.1 + number / 1e6,
            "created": datetime.now(UTC),
        }
        yield [row | same for row in label_rows(candidates, judgments)]


def _timed(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun
