"""Candidate lists as teacher, students and measurements share them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from distill.collections.collection import Collection, DataError, Qrels, Run
from distill.collections.trec import ranking
from labeling.pre_rank import pre_rank


def top(run: Run, query_ids: Iterable[str], depth: int) -> Run:
    """The best ``depth`` documents of each query that the run has; queries without candidates are left out."""
    return {
        query_id: {doc_id: run[query_id][doc_id] for doc_id in ranking(run[query_id])[:depth]}
        for query_id in query_ids
        if run.get(query_id)
    }


def pre_ranked(run: Run, query_ids: Iterable[str], depth: int, bottom: int, by: Run | None = None) -> Run:
    """``depth`` documents of each query: the ``bottom`` last ones of a ranking, and the best for the rest.

    Args:
        run: the first stage, whose scores the result keeps.
        query_ids: queries without candidates are left out.
        depth: documents kept.
        bottom: of those, documents from the end.
        by: the ranking that is cut, of the same lists; None for ``run`` itself.

    Raises:
        DataError: ``by`` ranks a document of a query that ``run`` does not have for it, or lacks a query.
    """
    cut: Run = {}
    for query_id in query_ids:
        if not run.get(query_id):
            continue
        order = run[query_id] if by is None else by.get(query_id, {})
        if by is not None and (not order or order.keys() - run[query_id].keys()):
            raise DataError(f"query {query_id!r}: the pre-ranker's run does not rank the documents of the first stage")
        kept = pre_rank(order, depth - bottom, bottom)
        cut[query_id] = {doc_id: run[query_id][doc_id] for doc_id in kept}
    return cut


def answerable(run: Run, qrels: Qrels) -> Run:
    """The lists that hold a relevant document."""
    return {
        query_id: scores
        for query_id, scores in run.items()
        if any(qrels.get(query_id, {}).get(doc_id, 0) > 0 for doc_id in scores)
    }


def judgments_from(ranking_run: Run, relevant: int) -> Qrels:
    """Judgments read off a stronger ranker's run: its first ``relevant`` documents, graded ``relevant`` down to 1."""
    return {
        query_id: {doc_id: relevant - place for place, doc_id in enumerate(ranking(scores)[:relevant])}
        for query_id, scores in ranking_run.items()
    }


def texts(collection: Collection, run: Run) -> list[tuple[str, list[str]]]:
    """(query, documents) of each query of the run, in its order."""
    return [
        (collection.query(query_id), [collection.text(doc_id) for doc_id in scores]) for query_id, scores in run.items()
    ]


def scored(run: Run, scores: Sequence[Sequence[float]]) -> Run:
    """The run's candidates with other scores, ``scores[i][j]`` for document j of query i."""
    return {
        query_id: dict(zip(candidates, values, strict=True))
        for (query_id, candidates), values in zip(run.items(), scores, strict=True)
    }
