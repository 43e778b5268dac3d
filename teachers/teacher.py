"""A frozen model and one way of using its heads, together a judge of candidate lists."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from teachers.agreement import agreement
from teachers.baselines import HeadRanker
from teachers.evidence import evidence_span
from teachers.explanation import Explanation, explain, positive_weights, token_attention
from teachers.head_scores import HeadReader, HeadScores, ListReading, canonical_order


class HeadTeacher:
    """Judges lists by reading heads; nothing is generated.

    Args:
        reader: the frozen model; its pass is cut to the depth that ``ranker`` needs.
        ranker: turns head scores into document scores.
        model: what identifies the model's weights, for provenance.
        evidence: whether judging names the sentence that each document's score comes from.
    """

    def __init__(
        self, reader: HeadReader, ranker: HeadRanker, model: Mapping[str, str], evidence: bool = False
    ) -> None:
        self.reader = reader if ranker.depth is None else reader.at_depth(ranker.depth)
        self.ranker = ranker
        self.model = dict(model)
        self.evidence = evidence

    def judge(self, query: str, documents: Sequence[str]) -> list[dict[str, Any]]:
        """One mapping a document, in the given order, with ``score``, ``missing``, ``truncated`` and ``tokens``.

        ``score``: higher is better. ``missing``: the query draws no more attention to the document than the null
        query does. ``truncated``: words of the document that were not read. ``tokens``: tokens of the list's prompts.
        Where the prompt's settings ask for several orders also ``confidence``, see `agreement`; with ``evidence`` also
        the `evidence_span` of each document that is not missing.

        Raises:
            TeacherError: no document, or a list too long for the model.
        """
        return self.judge_many([(query, documents)])[0]

    def judge_many(
        self, lists: Sequence[tuple[str, Sequence[str]]], on_window: Callable[[int, int], None] | None = None
    ) -> list[list[dict[str, Any]]]:
        """As `judge` for each (query, documents); on an accelerator several lists are read in one pass.

        ``on_window``: see `HeadReader.read_closely`.
        """
        distinct = [(query, self._distinct(query, documents)) for query, documents in lists]
        readings = self.reader.read_closely(distinct, self.reader.batch_tokens, self.evidence, on_window)
        judged = [self._judged(texts, reading) for (_, texts), reading in zip(distinct, readings, strict=True)]
        return [
            [dict(answers[document]) for document in documents]
            for (_, documents), answers in zip(lists, judged, strict=True)
        ]

    def _distinct(self, query: str, documents: Sequence[str]) -> list[str]:
        """Each text once: in the caller's order where the prompt follows it, else in one that depends on texts alone.

        Sums over documents then round alike, whatever order the caller gave.
        """
        follows = self.reader.prompts.settings.order == "best_last"
        return list(dict.fromkeys(documents)) if follows else canonical_order(query, documents)

    def _judged(self, texts: Sequence[str], reading: ListReading) -> dict[str, dict[str, Any]]:
        """What is said of each text."""
        scores = reading.scores
        ranked = self.ranker.score(scores).tolist()
        missing = (calibrated_mass(scores, self.ranker) <= 0).tolist()
        of_list: dict[str, Any] = {"tokens": scores.tokens}
        if len(reading.orders) > 1:
            # one head set per query: each order is scored by the heads that the list as a whole gets
            orders = [self.ranker.score(replace(order, state=scores.state)).tolist() for order in reading.orders]
            of_list["confidence"] = agreement(orders)
        judged = {
            text: {"score": score, "missing": absent, "truncated": cut, **of_list}
            for text, score, absent, cut in zip(texts, ranked, missing, scores.truncated.tolist(), strict=True)
        }
        if self.evidence:
            for text, attention in zip(texts, token_attention(self.ranker, reading), strict=True):
                if not judged[text]["missing"]:
                    judged[text]["evidence"] = evidence_span(text, self.reader.prompts.offsets(text), attention)
        return judged

    def score_read(self, query: str, documents: Sequence[str], read: HeadScores) -> Tensor:
        """Score of each document, (documents,), from a list that was read before; the texts play no part."""
        return self.ranker.score(read)

    def explain(self, query: str, documents: Sequence[str]) -> Explanation:
        """The heads used for ``query`` and the tokens of each document that they attend to."""
        return explain(self.reader, self.ranker, query, documents)

    def describe(self) -> dict[str, Any]:
        """Provenance: the model, the prompt, the depth and the heads."""
        described = {"teacher": self.ranker.describe(), "model": self.model, "reader": self.reader.describe()}
        return {**described, "evidence": "sentence"} if self.evidence else described


def calibrated_mass(scores: HeadScores, ranker: HeadRanker) -> Tensor:
    """Mass of each document under the query minus under the null query, (documents,), unnormalised.

    Over the heads that ``ranker`` uses for this query with a positive weight, each counted by its weight.
    """
    return torch.einsum("lh,lhd->d", positive_weights(ranker, scores), scores.real - scores.null)
