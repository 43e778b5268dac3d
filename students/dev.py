"""Dev nDCG@10 while training: the one figure by which the best checkpoint is kept and training stops early."""

import math
from collections.abc import Sequence
from typing import Any, TypedDict

import pytrec_eval
from sentence_transformers.base.evaluation import BaseEvaluator

from students import StudentError
from students.scoring import Reranker

MEASURE = "ndcg_cut_10"
DIVERGED = "the training has diverged; a smaller trainer.learning_rate may help"


class DevList(TypedDict):
    """One held-out query with its candidates; `relevance` maps judged document ids to grades."""

    query_id: str
    query: str
    doc_ids: list[str]
    docs: list[str]
    relevance: dict[str, int]


def dev_ndcg(reranker: Reranker, dev: Sequence[DevList]) -> float:
    """Mean nDCG@10 of the re-ranked candidates, in [0, 1], by trec_eval.

    Only judgments of given candidates count, and only lists that have a relevant one: it is the quality of the order,
    whatever the first stage missed.

    Raises:
        StudentError: a score is not finite.
    """
    qrels = {row["query_id"]: _judged_candidates(row) for row in dev}
    scores = reranker.score_many([(row["query"], row["docs"]) for row in dev])
    for row, values in zip(dev, scores, strict=True):
        if not all(map(math.isfinite, values)):
            raise StudentError(f"dev query {row['query_id']!r} has a score that is no number: {DIVERGED}")
    run = {
        row["query_id"]: dict(zip(row["doc_ids"], values, strict=True)) for row, values in zip(dev, scores, strict=True)
    }
    measured = pytrec_eval.RelevanceEvaluator(qrels, {MEASURE}).evaluate(run)
    return sum(values[MEASURE] for values in measured.values()) / len(measured)


def check_dev(dev: Sequence[DevList]) -> list[DevList]:
    """The lists that can be measured: those with a relevant candidate.

    Raises:
        StudentError: a list has not one id per document, or one id twice; or no list has a relevant candidate.
    """
    for row in dev:
        if len(row["doc_ids"]) != len(row["docs"]):
            counts = f"{len(row['doc_ids'])} doc_ids but {len(row['docs'])} docs"
            raise StudentError(f"dev query {row['query_id']!r}: {counts}; one id per document is needed")
        if len(set(row["doc_ids"])) < len(row["doc_ids"]):
            raise StudentError(f"dev query {row['query_id']!r}: a document id occurs twice among its candidates")
    kept = [row for row in dev if any(grade > 0 for grade in _judged_candidates(row).values())]
    if dev and not kept:
        raise StudentError(f"none of the {len(dev)} dev lists has a relevant candidate; dev nDCG@10 would be undefined")
    return kept


def _judged_candidates(row: DevList) -> dict[str, int]:
    return {doc_id: row["relevance"][doc_id] for doc_id in row["doc_ids"] if doc_id in row["relevance"]}


class DevEvaluator(BaseEvaluator):
    """`dev_ndcg` in the form that `CrossEncoderTrainer` calls."""

    def __init__(self, dev: Sequence[DevList]) -> None:
        super().__init__()
        self.dev = dev

    def __call__(
        self, model: Any, output_path: str | None = None, epoch: float = -1, steps: int = -1
    ) -> dict[str, float]:
        """The figure under the name that the trainer's `metric_for_best_model` is set to."""
        return {"dev_ndcg": dev_ndcg(Reranker(model.transformers_model, model.tokenizer), self.dev)}
