"""How deep a re-ranker must read: rankings whose first documents alone were re-ranked, for less time."""

from __future__ import annotations

from distill.collections.collection import DataError, Run
from distill.collections.trec import ranking


def partly_reranked(first_stage: Run, reranked: Run, depth: int) -> Run:
    """The first ``depth`` documents of each query in the re-ranker's order, the others behind them as they were.

    Scores are places from the end, so that no two scales are mixed.

    Args:
        first_stage: the run whose first documents are re-ranked.
        reranked: scores of at least these documents.
        depth: documents of each query that are re-ranked; 0 is the first stage itself.

    Raises:
        DataError: ``reranked`` lacks one of these documents.
    """
    cut: Run = {}
    for query_id, scores in first_stage.items():
        order, again = ranking(scores), reranked.get(query_id, {})
        missing = [doc_id for doc_id in order[:depth] if doc_id not in again]
        if missing:
            raise DataError(f"query {query_id!r}: document {missing[0]!r} was not re-ranked; depth {depth} needs it")
        best = ranking({doc_id: again[doc_id] for doc_id in order[:depth]})
        cut[query_id] = {doc_id: -float(place) for place, doc_id in enumerate([*best, *order[depth:]])}
    return cut
