"""People's judgments as a judge: labels of a student that a teacher's student is compared with, or learned beside."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from distill.collections.collection import Collection


class Judgments:
    """Gives a document the grade that people gave it for the query, found by the texts of both.

    A document that they judged not relevant, or not at all, is ``missing`` with score 0.

    Args:
        collection: gives judgments and texts.
        split: whose judgments.

    Raises:
        DataError: the collection has no such split.
    """

    def __init__(self, collection: Collection, split: str) -> None:
        qrels = collection.split(split)
        self._grades: dict[tuple[str, str], int] = {}
        for query_id, judged in qrels.items():
            for doc_id in judged.keys() & collection.documents.keys():
                pair = collection.query(query_id), collection.text(doc_id)
                self._grades[pair] = max(judged[doc_id], self._grades.get(pair, 0))
        self._split, self._hash = split, hashlib.sha256(json.dumps(qrels, sort_keys=True).encode()).hexdigest()[:16]

    def judge(self, query: str, documents: Sequence[str]) -> list[dict[str, Any]]:
        """Grades as scores, in the order given."""
        grades = [self._grades.get((query, document), 0) for document in documents]
        return [{"score": float(grade), "missing": grade == 0} for grade in grades]

    def describe(self) -> dict[str, Any]:
        """Whose labels they are, and the hash of all judgments of the split."""
        return {"teacher": {"method": "judgments"}, "split": self._split, "judgments": self._hash}
