"""All figures of quality come from here: trec_eval's own arithmetic under the names that users say."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence

import pytrec_eval

from distill.collections.collection import DataError, Qrels, Run
from distill.collections.trec import ranking

ACCEPTED = (
    "nDCG@k, nDCG, RR@k, RR, AP@k, AP, R@k, P@k, Success@k, judged@k (k from 1), and trec_eval's own, as map_cut_5"
)
DEFAULT_MEASURES = ("nDCG@10", "RR@10", "AP")

PerQuery = dict[str, dict[str, float]]
"""Figures by query id and measure."""

_FAMILIES = {"ndcg": "ndcg_cut", "rr": "recip_rank", "ap": "map_cut", "r": "recall", "p": "P", "success": "success"}
_UNCUT = {"rr": "recip_rank", "ap": "map", "ndcg": "ndcg"}
# trec_eval's own names that give one number a query. Through pytrec_eval runid and relstring, which are texts, return
# garbage, and a cut of zero ends the whole process.
_CUT_BY_TREC_EVAL = frozenset({"ndcg_cut", "map_cut", "recall", "P", "success", "relative_P"})
_CUT_AT_A_SHARE = frozenset({"iprec_at_recall", "Rprec_mult"})
_GEOMETRIC = frozenset({"gm_map", "gm_bpref"})
_COUNTS = frozenset({"num_q", "num_ret", "num_rel", "num_rel_ret", "num_nonrel_judged_ret"})
_WHOLE = frozenset({
    "map", "recip_rank", "ndcg", "Rprec", "bpref", "infAP", "set_P", "set_recall", "set_F", "set_map", "set_relative_P",
    "11pt_avg", "G", "binG", "Rndcg", "ndcg_rel", "utility", *_GEOMETRIC, *_COUNTS,
})  # fmt: skip
_JUDGED = "judged"
# trec_eval's least average precision in a geometric mean, MIN_GEO_MEAN
_LEAST_GEOMETRIC = math.log(1e-5)
# nine digits at most: trec_eval reads a cut as a C number, and a larger one would wrap
_CUT = "[1-9][0-9]{0,8}"


def evaluate(run: Run, qrels: Qrels, measures: Sequence[str] = DEFAULT_MEASURES) -> PerQuery:
    """Each measure for each judged query, in the order of ``qrels``; a query that the run lacks scores 0.

    The figures are those of ``trec_eval -c``: queries of the run without judgments do not count, scores are read as
    float32, and ties go by document id, descending. ``judged@k`` is the share of the first k documents that have a
    judgment, whatever its grade; a list shorter than k is divided by its own length, not by k. ``gm_map`` and
    ``gm_bpref`` are logarithms until `mean_measures` takes their mean.

    Raises:
        DataError: a measure is unknown, there are no judgments, or an id holds a NUL character.
    """
    if not qrels:
        raise DataError("no judged query; an evaluation needs at least one")
    wanted = {measure: _meaning(measure) for measure in measures}
    answered = {query_id: scores for query_id, scores in run.items() if scores and query_id in qrels}
    _check_ids(answered, qrels)
    orders = {q: ranking(s) for q, s in answered.items()} if any(depth for _, depth in wanted.values()) else {}
    whole = _by_trec_eval(answered, qrels, {name for name, depth in wanted.values() if depth is None})
    columns: dict[str, dict[str, float]] = {}
    for measure, (name, depth) in wanted.items():
        if depth is None:
            columns[measure] = {query_id: row[name] for query_id, row in whole.items()}
        elif name == _JUDGED:
            columns[measure] = {q: _judged_share(order[:depth], qrels[q]) for q, order in orders.items()}
        else:
            cut = {q: {doc_id: answered[q][doc_id] for doc_id in order[:depth]} for q, order in orders.items()}
            columns[measure] = {q: row[name] for q, row in _by_trec_eval(cut, qrels, {name}).items()}
    return {
        query_id: {
            measure: columns[measure][query_id] if query_id in answered else _unanswered(name, judged)
            for measure, (name, _) in wanted.items()
        }
        for query_id, judged in qrels.items()
    }


def mean_measures(per_query: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """The mean of each measure over the queries that `evaluate` returned.

    As in trec_eval, counts such as ``num_rel_ret`` are summed, and ``gm_map`` and ``gm_bpref`` are geometric means.

    Raises:
        DataError: there are no queries.
    """
    if not per_query:
        raise DataError("no query to take a mean over")
    rows = list(per_query.values())
    return {measure: _over_queries(measure, [row[measure] for row in rows]) for measure in rows[0]}


def is_mean(measure: str) -> bool:
    """Whether the measure's figure over queries is a plain mean, so that an interval of the mean says something."""
    return measure not in _GEOMETRIC | _COUNTS


def check_measures(measures: Sequence[str]) -> None:
    """See that runs can be measured by all of these and compared by the first.

    Raises:
        DataError: a measure is unknown or named twice, be it in two spellings, or the first is no mean over queries.
    """
    named: dict[tuple[str, int | None], str] = {}
    for measure in measures:
        meaning = _meaning(measure)
        if meaning in named:
            before = named[meaning]
            again = "" if before == measure else f", first as {before!r}"
            raise DataError(f"measure {measure!r} is named twice{again}")
        named[meaning] = measure
    if not is_mean(measures[0]):
        raise DataError(f"measure {measures[0]!r} decides, as the first, and is no mean over queries; nDCG@10 is one")


def with_judged_share(measures: Sequence[str]) -> list[str]:
    """The measures with ``judged@k`` behind each ``nDCG@k``: how much of what it counts anybody has looked at."""
    named: list[str] = []
    for measure in measures:
        name, _ = _meaning(measure)
        named.append(measure)
        if name.startswith("ndcg_cut_"):
            named.append(f"{_JUDGED}@{name.removeprefix('ndcg_cut_')}")
    return list(dict.fromkeys(named))


def candidate_recall(run: Run, qrels: Qrels) -> float:
    """Share of a query's relevant documents among its candidates, however deep, as a mean over the judged queries."""
    return mean_measures(evaluate(run, qrels, ["set_recall"]))["set_recall"]


def trec_name(measure: str) -> tuple[str, int | None]:
    """trec_eval's name of a measure, and the depth to cut the run to where trec_eval has no cut of its own.

    Raises:
        DataError: the measure is unknown, or none of trec_eval's.
    """
    match = re.fullmatch(rf"([A-Za-z]+)(?:@({_CUT}))?", measure)
    if match:
        family, cut = match[1].lower(), match[2]
        if cut is None and family in _UNCUT:
            return _UNCUT[family], None
        if cut is not None and family in _FAMILIES:
            name = _FAMILIES[family]
            return (f"{name}_{cut}", None) if name in _CUT_BY_TREC_EVAL else (name, int(cut))
    stem = re.sub(rf"_{_CUT}$", "", measure)
    if measure in _WHOLE or (stem != measure and stem in _CUT_BY_TREC_EVAL):
        return measure, None
    share = re.fullmatch(r"(\w+)_([0-9](?:\.[0-9]{1,2})?)", measure)
    if share and share[1] in _CUT_AT_A_SHARE and _is_share(share[1], float(share[2])):
        return f"{share[1]}_{float(share[2]):.2f}", None
    raise DataError(f"measure {measure!r}; accepted are {ACCEPTED}")


def _meaning(measure: str) -> tuple[str, int | None]:
    """`trec_name`, with our own ``judged@k`` beside it."""
    match = re.fullmatch(rf"{_JUDGED}@({_CUT})", measure, re.IGNORECASE)
    return (_JUDGED, int(match[1])) if match else trec_name(measure)


def _is_share(stem: str, value: float) -> bool:
    """Recall reaches from 0 to 1; a multiple of R cannot be none of it, as the cut would be zero."""
    return value <= 1 if stem == "iprec_at_recall" else value > 0


def _by_trec_eval(run: Run, qrels: Qrels, names: set[str]) -> PerQuery:
    if not (names and run):
        return {query_id: {} for query_id in run}
    # trec_eval counts all below zero alike, and crashes on a query whose documents all have less than -1
    qrels = {
        query_id: {doc_id: max(-1, grade) for doc_id, grade in judged.items()} for query_id, judged in qrels.items()
    }
    scored: PerQuery = pytrec_eval.RelevanceEvaluator(qrels, names).evaluate(run)
    return scored


def _judged_share(documents: Sequence[str], judged: Mapping[str, int]) -> float:
    return sum(doc_id in judged for doc_id in documents) / len(documents)


def _unanswered(name: str, judged: Mapping[str, int]) -> float:
    """What a query that the run lacks counts: 0, but for what is known of it, and a logarithm."""
    if name in _GEOMETRIC:
        return _LEAST_GEOMETRIC
    if name == "num_rel":
        return float(sum(relevance > 0 for relevance in judged.values()))
    return 1.0 if name == "num_q" else 0.0


def _over_queries(measure: str, values: Sequence[float]) -> float:
    total = sum(values)
    if measure in _COUNTS:
        return total
    mean = total / len(values)
    return math.exp(mean) if measure in _GEOMETRIC else mean


def _check_ids(run: Run, qrels: Qrels) -> None:
    """Refuse what trec_eval would misread without a word: to C, an id ends at its first NUL."""
    for place, lists in (("the run", run), ("the judgments", qrels)):
        for query_id, documents in lists.items():
            if "\0" in " ".join((query_id, *documents)):
                raise DataError(f"{place}: query {query_id!r}: an id with a NUL character; trec_eval cannot tell such")
