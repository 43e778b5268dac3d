"""What a teacher's score may be mixed with: the first stage's scores, and a light pre-ranker's."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from distill.collections.collection import Collection, DataError, Run
from distill.models import ModelReference
from distill.recipe.settings import MixSection
from distill.stages.rankers import RankerReference, open_ranker
from teachers.mixture import Opinion


class FirstStageOpinion:
    """The scores of a run, found by the texts of query and document.

    Args:
        collection: gives the texts.
        run: the whole first stage; its hash is part of what labels are keyed by.
    """

    def __init__(self, collection: Collection, run: Run) -> None:
        self._scores = {
            (collection.query(query_id), collection.text(doc_id)): score
            for query_id, scores in run.items()
            for doc_id, score in scores.items()
        }
        self._hash = hashlib.sha256(json.dumps(run, sort_keys=True).encode()).hexdigest()[:16]

    def score_pairs(self, query: str, documents: Sequence[str]) -> list[float]:
        """The run's scores, in the order given.

        Raises:
            DataError: the run has no score for one of the documents.
        """
        for document in documents:
            if (query, document) not in self._scores:
                raise DataError(f"the first stage has no score of {document[:40]!r} for query {query[:40]!r}")
        return [self._scores[query, document] for document in documents]

    def describe(self) -> dict[str, Any]:
        """The run's hash."""
        return {"run": self._hash}


class PreRankerOpinion:
    """A bi-encoder's cosines, or a cross-encoder's scores, such as those of a student of an earlier teacher.

    Args:
        reference: as a recipe names models.

    Raises:
        ModelError: the model cannot be found or loaded.
    """

    def __init__(self, reference: str) -> None:
        self._reference = ModelReference.parse(reference)
        self._ranker = open_ranker(RankerReference(reference))

    def score_pairs(self, query: str, documents: Sequence[str]) -> list[float]:
        """The model's scores, in the order given."""
        return self._ranker.score_pairs(query, documents)

    def describe(self) -> dict[str, Any]:
        """Which model it is."""
        return self._reference.identity


def open_opinions(section: MixSection, collection: Collection, run: Run) -> dict[str, Opinion]:
    """The opinions that the section asks for, by name; ``run`` is the first stage's."""
    opinions: dict[str, Opinion] = {}
    if section.first_stage:
        opinions["first_stage"] = FirstStageOpinion(collection, run)
    if section.pre_ranker is not None:
        opinions["pre_ranker"] = PreRankerOpinion(section.pre_ranker)
    return opinions
