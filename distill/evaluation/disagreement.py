"""Two runs without judgments: how far they agree, and the queries on which they agree least, side by side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from distill.collections.collection import Run
from distill.collections.trec import ranking
from distill.evaluation.agreement import PERSISTENCE, Agreement, agreement, rank_biased_overlap, tau_b


@dataclass(frozen=True, slots=True)
class SideBySide:
    """One query's first documents in both runs.

    Args:
        query_id: the query.
        rbo: rank-biased overlap of the two lists.
        tau_b: Kendall's tau-b of the documents that both have; NaN where it is not defined.
        common: documents that are among the first of both.
        first: the first run's first documents, best first.
        second: the second run's.
    """

    query_id: str
    rbo: float
    tau_b: float
    common: int
    first: tuple[str, ...]
    second: tuple[str, ...]


@dataclass(frozen=True)
class Disagreement:
    """Two runs side by side.

    Args:
        names: of the first run and of the second.
        agreement: means over the queries of both.
        only: by run, the queries that the other lacks.
        queries: those of both, the least alike first.
        texts: of queries, by id; empty where no collection was given.
        documents: texts of the documents shown, likewise.
    """

    names: tuple[str, str]
    agreement: Agreement
    only: Mapping[str, tuple[str, ...]]
    queries: tuple[SideBySide, ...]
    texts: Mapping[str, str] = field(default_factory=dict)
    documents: Mapping[str, str] = field(default_factory=dict)


def disagreement(first: Run, second: Run, names: tuple[str, str], depth: int = 10) -> Disagreement:
    """Set two runs side by side.

    Args:
        first: scores by query and document.
        second: the other run.
        names: of the two.
        depth: documents of each list that are shown.

    Raises:
        DataError: the runs share no query.
    """
    found = agreement(first, second, depth, names=names)
    shared = [query_id for query_id in first if first[query_id] and second.get(query_id)]
    rows = [_side_by_side(query_id, first[query_id], second[query_id], depth) for query_id in shared]
    return Disagreement(
        names=names,
        agreement=found,
        only={
            names[0]: tuple(query_id for query_id in first if query_id not in second),
            names[1]: tuple(query_id for query_id in second if query_id not in first),
        },
        queries=tuple(sorted(rows, key=lambda row: (row.rbo, row.query_id))),
    )


def _side_by_side(query_id: str, first: Mapping[str, float], second: Mapping[str, float], depth: int) -> SideBySide:
    left, right = ranking(first), ranking(second)
    return SideBySide(
        query_id=query_id,
        rbo=rank_biased_overlap(left, right, PERSISTENCE),
        tau_b=tau_b(first, second),
        common=len({*left[:depth]} & {*right[:depth]}),
        first=tuple(left[:depth]),
        second=tuple(right[:depth]),
    )
