"""A label folder whose every exported row can be worked out by eye."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from labeling.job import run_label_job
from labeling.label_lists import CandidateList

# title, body; the judged text is both with a space between, or the body alone
PASSAGES = {
    "d1": ("", "w1 w2"),
    "d2": ("w3", "w4 w5"),
    "d3": ("", "w6"),
    "d4": ("", "w7 w8"),
    "d5": ("", "w9"),
    "d6": ("", "w10 w11"),
    "d7": ("", "w12"),
    "d8": ("", "w13"),
}
QUERIES = {"q1": "w20 w21", "q2": "w22", "q3": "w23", "q4": "w24"}

# score, missing; q4 fails
SCORES = {
    "q1": {"d1": (0.5, False), "d2": (0.9, False), "d3": (0.5, False), "d4": (0.1, True), "d5": (0.3, True),
           "d6": (-0.2, False)},
    "q2": {"d7": (1.0, False), "d8": (0.0, False)},
    "q3": {"d1": (0.7, False), "d7": (0.7, False)},
    "q4": {"d1": (0.0, False)},
}  # fmt: skip
CONFIDENCE = {"q1": None, "q2": 0.5, "q3": -0.2, "q4": None}


def judged_text(doc_id: str) -> str:
    title, body = PASSAGES[doc_id]
    return f"{title} {body}" if title else body


class TableJudge:
    """Scores, missing and confidence as the tables above say."""

    def judge(self, query: str, documents: Sequence[str]) -> list[dict[str, Any]]:
        query_id = next(name for name, text in QUERIES.items() if text == query)
        if query_id == "q4":
            raise MemoryError("the list is too long")
        by_text = {judged_text(doc_id): entry for doc_id, entry in SCORES[query_id].items()}
        return [
            {"score": by_text[text][0], "missing": by_text[text][1], "confidence": CONFIDENCE[query_id]}
            for text in documents
        ]

    def describe(self) -> Mapping[str, Any]:
        return {"name": "table"}


class TableTexts:
    """The texts of the tables above, with any that a test replaces."""

    def __init__(self, **changed: str) -> None:
        self._changed = changed

    def query(self, query_id: str) -> str:
        return self._changed.get(query_id, QUERIES[query_id])

    def passage(self, doc_id: str) -> tuple[str, str, str]:
        return self._changed.get(doc_id, judged_text(doc_id)), *PASSAGES[doc_id]


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("labels") / "labels"
    lists = [
        CandidateList(query_id, QUERIES[query_id], list(scores), [judged_text(doc_id) for doc_id in scores])
        for query_id, scores in SCORES.items()
    ]
    run_label_job(lists, TableJudge(), folder)
    return folder


@pytest.fixture
def texts() -> TableTexts:
    return TableTexts()


@pytest.fixture
def make_texts() -> type[TableTexts]:
    return TableTexts
