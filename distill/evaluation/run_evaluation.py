"""Runs measured against judgments, with what must be known beside a mean: depth, candidates, what is lacking."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from distill.collections.collection import Qrels, Run
from distill.evaluation.measures import PerQuery, candidate_recall, evaluate, is_mean, mean_measures

if TYPE_CHECKING:
    from distill.evaluation.statistics import Interval


@dataclass(frozen=True, slots=True)
class EvaluatedRun:
    """One run's figures over all judged queries.

    Args:
        name: what the run is called.
        per_query: each measure by query id; a query that the run lacks has what `evaluate` counts for it.
        means: each measure over the queries.
        intervals: 95 % bootstrap intervals of the means, empty where none were asked for; a measure whose figure over
            queries is no mean has none.
        missing: judged queries that the run lacks, in the order of the judgments.
        depth: documents of its longest list.
        recall: share of a query's relevant documents that the run holds at any depth, as a mean over the queries.
        outside: documents of judged queries that the first stage does not have for them; None without a first stage.
    """

    name: str
    per_query: PerQuery
    means: dict[str, float]
    intervals: dict[str, Interval]
    missing: tuple[str, ...]
    depth: int
    recall: float
    outside: int | None


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Runs side by side on the same judgments; the first stage, where it is known, is the first of ``runs``."""

    measures: tuple[str, ...]
    query_ids: tuple[str, ...]
    first_stage: str | None
    runs: tuple[EvaluatedRun, ...]

    def as_json(self) -> dict[str, Any]:
        """Everything but the figures of single queries, as JSON holds it."""
        return {
            "queries": len(self.query_ids),
            "measures": list(self.measures),
            "first_stage": self.first_stage,
            "runs": [_run_as_json(run) for run in self.runs],
        }


def evaluate_runs(
    runs: Mapping[str, Run],
    qrels: Qrels,
    measures: Sequence[str],
    first_stage: str | None = None,
    intervals: bool = False,
) -> Evaluation:
    """Measure runs over all judged queries.

    Args:
        runs: each run by its name.
        qrels: judgments; their queries are what the means are over.
        measures: names that `evaluate` accepts.
        first_stage: which of ``runs`` the others re-rank; it comes first in what is returned.
        intervals: also an interval of each mean, by the bootstrap over queries; takes two queries.

    Raises:
        DataError: a measure is unknown, or there are no judgments.
        ValueError: intervals over fewer than two queries.
        KeyError: ``first_stage`` is none of the runs.
    """
    first = None if first_stage is None else runs[first_stage]
    order = list(runs) if first_stage is None else [first_stage, *(name for name in runs if name != first_stage)]
    evaluated = []
    for name in order:
        per_query = evaluate(runs[name], qrels, measures)
        evaluated.append(
            EvaluatedRun(
                name=name,
                per_query=per_query,
                means=mean_measures(per_query),
                intervals=_intervals(per_query, measures) if intervals else {},
                missing=tuple(query_id for query_id in qrels if not runs[name].get(query_id)),
                depth=max((len(scores) for scores in runs[name].values()), default=0),
                recall=candidate_recall(runs[name], qrels),
                outside=None if first is None else _outside(runs[name], first, qrels),
            )
        )
    return Evaluation(tuple(measures), tuple(qrels), first_stage, tuple(evaluated))


def _intervals(per_query: PerQuery, measures: Sequence[str]) -> dict[str, Interval]:
    # scipy.stats takes longer to load than all the rest of an evaluation
    from distill.evaluation.statistics import mean_interval

    return {
        measure: mean_interval([row[measure] for row in per_query.values()]) for measure in measures if is_mean(measure)
    }


def _outside(run: Run, first: Run, qrels: Qrels) -> int:
    return sum(len(run.get(query_id, {}).keys() - first.get(query_id, {}).keys()) for query_id in qrels)


def _run_as_json(run: EvaluatedRun) -> dict[str, Any]:
    return {
        "run": run.name,
        "means": run.means,
        "intervals": {measure: [found.low, found.high] for measure, found in run.intervals.items()},
        "depth": run.depth,
        "recall": run.recall,
        "missing": list(run.missing),
        "outside_first_stage": run.outside,
    }
