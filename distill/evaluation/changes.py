"""What changed for single queries between two runs: whose figure moved most, and which documents moved where."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from distill.collections.collection import Qrels, Run
from distill.collections.trec import ranking
from distill.evaluation.comparison import Comparison


@dataclass(frozen=True, slots=True)
class Movement:
    """A document of one query in both runs.

    Args:
        doc_id: the document.
        grade: its judgment; None where it has none.
        reference_rank: from 1; None where the reference does not have it.
        system_rank: likewise.
    """

    doc_id: str
    grade: int | None
    reference_rank: int | None
    system_rank: int | None


@dataclass(frozen=True, slots=True)
class QueryChange:
    """One query's figure under both runs, and the documents that stand among the first of either, or are relevant."""

    query_id: str
    system_value: float
    reference_value: float
    movements: tuple[Movement, ...]

    @property
    def difference(self) -> float:
        """The system's figure minus the reference's."""
        return self.system_value - self.reference_value


def largest_changes(
    comparison: Comparison, runs: Mapping[str, Run], qrels: Qrels, system: str, reference: str,
    count: int = 20, depth: int = 5,
) -> tuple[list[QueryChange], list[QueryChange]]:  # fmt: skip
    """The queries that lose most (worst first) and those that gain most (best first) by the deciding measure.

    Args:
        comparison: of these runs.
        runs: by name.
        qrels: judgments.
        system: name of one run.
        reference: name of the other.
        count: most queries of each kind; a query that neither loses nor gains is of none.
        depth: ranks of either run whose documents are told; relevant ones are told wherever they stand.
    """
    measure = comparison.measures[0]
    own, other = comparison.values[system][measure], comparison.values[reference][measure]
    order = sorted(range(len(own)), key=lambda place: (own[place] - other[place], comparison.queries[place]))

    def change(place: int) -> QueryChange:
        query_id = comparison.queries[place]
        moved = movements(runs[system].get(query_id, {}), runs[reference].get(query_id, {}), qrels[query_id], depth)
        return QueryChange(query_id, float(own[place]), float(other[place]), moved)

    worst = [change(place) for place in order[:count] if own[place] < other[place]]
    best = [change(place) for place in reversed(order[-count:]) if own[place] > other[place]]
    return worst, best


def movements(
    scores: Mapping[str, float], reference: Mapping[str, float], judged: Mapping[str, int], depth: int
) -> tuple[Movement, ...]:
    """The documents at the first ranks of either run and the relevant ones, by their rank in the system's run."""
    places = {doc_id: place for place, doc_id in enumerate(ranking(scores), start=1)}
    before = {doc_id: place for place, doc_id in enumerate(ranking(reference), start=1)}
    told = {doc_id for ranks in (places, before) for doc_id, place in ranks.items() if place <= depth}
    told |= {doc_id for doc_id, grade in judged.items() if grade > 0}
    last = max(len(places), len(before)) + 1
    order = sorted(told, key=lambda doc_id: (places.get(doc_id, last), before.get(doc_id, last), doc_id))
    return tuple(Movement(doc_id, judged.get(doc_id), before.get(doc_id), places.get(doc_id)) for doc_id in order)
