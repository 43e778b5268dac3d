"""How far two rankings of the same candidates agree, query by query: a student's with its teacher's, or a teacher's
with its own under another order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from distill.collections.collection import DataError, Run
from distill.collections.trec import ranking

PERSISTENCE = 0.9


@dataclass(frozen=True, slots=True)
class Agreement:
    """Means over the queries that both runs rank.

    Args:
        queries: how many these are.
        tau_b: Kendall's tau-b of the scores of the documents that both have; queries with fewer than two such
            documents, or with all of them tied in one run, are left out of this mean; NaN where none is left.
        rbo: rank-biased overlap of the two lists, extrapolated.
        top_1: share of queries with the same first document.
        overlap: mean share of common documents among the first `depth`.
        depth: of `overlap`.
    """

    queries: int
    tau_b: float
    rbo: float
    top_1: float
    overlap: float
    depth: int


def agreement(
    run: Run,
    other: Run,
    depth: int = 10,
    persistence: float = PERSISTENCE,
    names: tuple[str, str] = ("the first run", "the second"),
) -> Agreement:
    """Compare two runs over the queries that both have documents for.

    Args:
        run: scores by query and document.
        other: the run to compare it with.
        depth: of the overlap.
        persistence: the probability p of rank-biased overlap with which a reader goes on to the next rank.
        names: of the two, for the error.

    Raises:
        DataError: the runs share no query.
    """
    shared = [query_id for query_id in run if run[query_id] and other.get(query_id)]
    if not shared:
        raise DataError(f"{names[0]} and {names[1]} share no query; agreement needs at least one")
    taus, overlaps, firsts, rbos = [], [], [], []
    for query_id in shared:
        first, second = ranking(run[query_id]), ranking(other[query_id])
        taus.append(tau_b(run[query_id], other[query_id]))
        overlaps.append(len({*first[:depth]} & {*second[:depth]}) / max(len(first[:depth]), len(second[:depth])))
        firsts.append(first[0] == second[0])
        rbos.append(rank_biased_overlap(first, second, persistence))
    known = [tau for tau in taus if not np.isnan(tau)]
    return Agreement(
        queries=len(shared),
        tau_b=float(np.mean(known)) if known else float("nan"),
        rbo=float(np.mean(rbos)),
        top_1=float(np.mean(firsts)),
        overlap=float(np.mean(overlaps)),
        depth=depth,
    )


def standardised_pairs(run: Run, other: Run, most: int = 600) -> list[tuple[float, float]]:
    """Scores of the same documents in ``other`` and in ``run``, in standard deviations from their list's mean.

    Args:
        run: scores by query and document.
        other: scores to set them against.
        most: pairs; of more, evenly spaced ones over all queries.

    Returns:
        Pairs (other, run); a query of whose common documents one run sees no difference gives none.
    """
    pairs: list[tuple[float, float]] = []
    for query_id, scores in run.items():
        both = [doc_id for doc_id in scores if doc_id in other.get(query_id, {})]
        found = np.array([[other[query_id][doc_id], scores[doc_id]] for doc_id in both])
        if len(both) > 1 and (spread := found.std(axis=0)).min() > 0:
            pairs += map(tuple, ((found - found.mean(axis=0)) / spread).tolist())
    step = max(1, -(-len(pairs) // most))
    return pairs[::step]


def tau_b(scores: Mapping[str, float], other: Mapping[str, float]) -> float:
    """Kendall's tau-b of the documents that both have; NaN where it is not defined."""
    both = [doc_id for doc_id in scores if doc_id in other]
    if len(both) < 2:
        return float("nan")
    # as `ranking` and trec_eval see them: what float32 does not tell apart is tied
    pair = [np.array([run[doc_id] for doc_id in both], np.float32) for run in (scores, other)]
    return float(stats.kendalltau(*pair).statistic)


def rank_biased_overlap(ranked: Sequence[str], other: Sequence[str], persistence: float = PERSISTENCE) -> float:
    """Extrapolated rank-biased overlap of two lists without ties, in [0, 1]; the lists may differ in length.

    Source: Webber, Moffat, Zobel, A Similarity Measure for Indefinite Rankings, TOIS 2010, equation 32.
    """
    short, long = sorted((ranked, other), key=len)
    depth, deepest = len(short), len(long)
    if depth == 0:
        return 0.0
    seen_short: set[str] = set()
    seen_long: set[str] = set()
    overlap, common = [], 0
    for place in range(deepest):
        if place < depth:
            common += short[place] in seen_long or short[place] == long[place]
            seen_short.add(short[place])
        common += long[place] in seen_short and not (place < depth and short[place] == long[place])
        seen_long.add(long[place])
        overlap.append(common)
    at_depth = overlap[depth - 1]
    total = sum(overlap[d - 1] / d * persistence**d for d in range(1, deepest + 1))
    total += sum(at_depth * (d - depth) / (depth * d) * persistence**d for d in range(depth + 1, deepest + 1))
    tail = (overlap[-1] - at_depth) / deepest + at_depth / depth
    return (1 - persistence) / persistence * total + tail * persistence**deepest
