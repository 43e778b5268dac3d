"""Re-ranks a run's candidates within limits, as a run: documents that were not reached stand below those that were."""

from __future__ import annotations

from distill.collections.collection import Collection, Run
from distill.collections.trec import ranking
from distill.progress import Advance
from distill.serving.pace import Pace, Ranker
from distill.serving.ranking import Limits, Ranking, Totals, rank_documents
from labeling.texts import well_formed


def rank_run(
    ranker: Ranker,
    collection: Collection,
    run: Run,
    limits: Limits,
    top_n: int | None = None,
    on_progress: Advance | None = None,
) -> tuple[Run, Totals]:
    """The run's documents with new scores.

    A document that was not reached has no score of the ranker's. It gets one that is lower by whole numbers than the
    lowest of its query, so that a run can hold the first-stage order below.

    Args:
        ranker: from `open_ranker`.
        collection: has the texts.
        run: the candidates.
        limits: what a query may cost.
        top_n: documents kept of each query; None for all.
        on_progress: is told the queries done.
    """
    pace = None if limits.seconds is None else Pace.measured(ranker)
    ranked: Run = {}
    totals = Totals()
    for query_id, candidates in run.items():
        doc_ids = ranking(candidates)
        # no tokenizer takes half a character
        texts = [well_formed(collection.text(doc_id)) for doc_id in doc_ids]
        found = rank_documents(ranker, well_formed(collection.query(query_id)), texts, limits, doc_ids, pace)
        totals.add(found)
        ranked[query_id] = {doc_ids[place]: score for place, score in _scores(found)[:top_n]}
        if on_progress is not None:
            on_progress(len(ranked), len(run))
    return ranked, totals


def _scores(found: Ranking) -> list[tuple[int, float]]:
    lowest = min(found.scores, default=0.0)
    below = range(1, 1 + len(found.order) - len(found.scores))
    reached = [(place, found.scores[place]) for place in found.order[: len(found.scores)]]
    return [*reached, *((place, lowest - step) for place, step in zip(found.order[len(reached) :], below, strict=True))]
