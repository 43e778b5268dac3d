"""A frozen model and one way of using its heads, together a judge of candidate lists."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from teachers.baselines import HeadRanker
from teachers.explanation import Explanation, explain, positive_weights
from teachers.head_scores import HeadReader, HeadScores, reading_order


class HeadTeacher:
    """Judges lists by reading heads; nothing is generated.

    Args:
        reader: the frozen model; its pass is cut to the depth that ``ranker`` needs.
        ranker: turns head scores into document scores.
        model: what identifies the model's weights, for provenance.
    """

    def __init__(self, reader: HeadReader, ranker: HeadRanker, model: Mapping[str, str]) -> None:
        self.reader = reader if ranker.depth is None else reader.at_depth(ranker.depth)
        self.ranker = ranker
        self.model = dict(model)

    def judge(self, query: str, documents: Sequence[str]) -> list[dict[str, Any]]:
        """One mapping a document, in the given order, with ``score``, ``missing``, ``truncated`` and ``tokens``.

        ``score``: higher is better. ``missing``: the query draws no more attention to the document than the null
        query does. ``truncated``: words of the document that were not read. ``tokens``: tokens of the list's prompt.

        Raises:
            TeacherError: no document, or a list too long for the model.
        """
        # ranked in the order read: sums over documents then round alike, whatever order the caller gave
        distinct = reading_order(query, documents, self.reader.prompts.settings)
        scores = self.reader.read(query, distinct)
        ranked = self.ranker.score(scores).tolist()
        missing = (calibrated_mass(scores, self.ranker) <= 0).tolist()
        judged = {
            text: {"score": score, "missing": absent, "truncated": cut, "tokens": scores.tokens}
            for text, score, absent, cut in zip(distinct, ranked, missing, scores.truncated.tolist(), strict=True)
        }
        return [dict(judged[document]) for document in documents]

    def score_read(self, query: str, documents: Sequence[str], read: HeadScores) -> Tensor:
        """Score of each document, (documents,), from a list that was read before; the texts play no part."""
        return self.ranker.score(read)

    def explain(self, query: str, documents: Sequence[str]) -> Explanation:
        """The heads used for ``query`` and the tokens of each document that they attend to."""
        return explain(self.reader, self.ranker, query, documents)

    def describe(self) -> dict[str, Any]:
        """Provenance: the model, the prompt, the depth and the heads."""
        return {"teacher": self.ranker.describe(), "model": self.model, "reader": self.reader.describe()}


def calibrated_mass(scores: HeadScores, ranker: HeadRanker) -> Tensor:
    """Mass of each document under the query minus under the null query, (documents,), unnormalised.

    Over the heads that ``ranker`` uses for this query with a positive weight, each counted by its weight.
    """
    return torch.einsum("lh,lhd->d", positive_weights(ranker, scores), scores.real - scores.null)
