"""All figures of quality come from here: trec_eval's own arithmetic under the names that users say."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import pytrec_eval

from distill.collections.collection import DataError, Qrels, Run
from distill.collections.trec import ranking

ACCEPTED = "nDCG@k, nDCG, RR@k, RR, AP@k, AP, R@k, P@k, Success@k (k from 1), and trec_eval's own, as map_cut_5"
DEFAULT_MEASURES = ("nDCG@10", "RR@10", "AP")

_FAMILIES = {"ndcg": "ndcg_cut", "rr": "recip_rank", "ap": "map_cut", "r": "recall", "p": "P", "success": "success"}
_UNCUT = {"rr": "recip_rank", "ap": "map", "ndcg": "ndcg"}
# trec_eval's own names that give one number a query. It knows more: some return garbage or a silent 0 through
# pytrec_eval (runid, relative_P), and a cut of zero ends the whole process.
_CUT_BY_TREC_EVAL = frozenset({"ndcg_cut", "map_cut", "recall", "P", "success"})
_WHOLE = frozenset({"map", "recip_rank", "ndcg", "Rprec", "bpref", "infAP", "set_P", "set_recall", "set_F", "set_map"})


def evaluate(run: Run, qrels: Qrels, measures: Sequence[str] = DEFAULT_MEASURES) -> dict[str, dict[str, float]]:
    """Each measure for each judged query, in the order of ``qrels``; a query that the run lacks scores 0.

    Queries of the run without judgments do not count. trec_eval reads scores as float32 and breaks ties by
    document id, descending.

    Raises:
        DataError: a measure is unknown, or there are no judgments.
    """
    if not qrels:
        raise DataError("no judged query; an evaluation needs at least one")
    wanted = {measure: trec_name(measure) for measure in measures}
    rows: dict[str, dict[str, float]] = {query_id: {} for query_id in qrels}
    for measure, (name, depth) in wanted.items():
        cut = run if depth is None else {query_id: _top(scores, depth) for query_id, scores in run.items()}
        scored = pytrec_eval.RelevanceEvaluator(qrels, {name}).evaluate(cut)
        for query_id, row in rows.items():
            row[measure] = scored.get(query_id, {}).get(name, 0.0)
    return rows


def mean_measures(per_query: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """The mean of each measure over the queries that `evaluate` returned.

    Raises:
        DataError: there are no queries.
    """
    if not per_query:
        raise DataError("no query to take a mean over")
    rows = list(per_query.values())
    return {measure: sum(row[measure] for row in rows) / len(rows) for measure in rows[0]}


def candidate_recall(run: Run, qrels: Qrels) -> float:
    """Share of a query's relevant documents among its candidates, however deep, as a mean over the judged queries."""
    return mean_measures(evaluate(run, qrels, ["set_recall"]))["set_recall"]


def trec_name(measure: str) -> tuple[str, int | None]:
    """trec_eval's name of a measure, and the depth to cut the run to where trec_eval has no cut of its own.

    Raises:
        DataError: the measure is unknown.
    """
    match = re.fullmatch(r"([A-Za-z]+)(?:@([1-9][0-9]*))?", measure)
    if match:
        family, cut = match[1].lower(), match[2]
        if cut is None and family in _UNCUT:
            return _UNCUT[family], None
        if cut is not None and family in _FAMILIES:
            name = _FAMILIES[family]
            return (f"{name}_{cut}", None) if name in _CUT_BY_TREC_EVAL else (name, int(cut))
    stem = re.sub(r"_[1-9][0-9]*$", "", measure)
    if measure in _WHOLE or (stem != measure and stem in _CUT_BY_TREC_EVAL):
        return measure, None
    raise DataError(f"measure {measure!r}; accepted are {ACCEPTED}")


def _top(scores: Mapping[str, float], depth: int) -> dict[str, float]:
    return {doc_id: scores[doc_id] for doc_id in ranking(scores)[:depth]}
