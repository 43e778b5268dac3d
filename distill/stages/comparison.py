"""Gathers what a comparison's report tells, from runs, judgments and what else a user has at hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from distill.collections.collection import Collection, DataError, Qrels, Run
from distill.evaluation.agreement import Agreement, agreement, standardised_pairs
from distill.evaluation.budget import Budget
from distill.evaluation.changes import QueryChange, largest_changes
from distill.evaluation.comparison import compare
from distill.evaluation.disagreement import Disagreement, disagreement
from distill.evaluation.dossier import DEPTHS, Dossier, SystemFacts
from distill.evaluation.measures import DEFAULT_MEASURES, candidate_recall, evaluate, mean_measures
from distill.evaluation.resampling import RESAMPLES
from distill.evaluation.slices import SliceTable, by_column, by_first_stage, by_length, by_terms, by_traffic
from distill.evaluation.verdict import verdict
from distill.stages.candidates import judgments_from
from labeling.formats import label_lists

MOST_QUERIES = 50
"""Queries that a page shows with their texts, of those on which two runs agree least."""

LABELS_RELEVANT = 3
"""So many of a teacher's first documents count as relevant where its labels stand in for judgments."""


@dataclass(frozen=True)
class ComparisonRequest:
    """What is compared, and by what.

    Args:
        title: names the comparison.
        runs: by name.
        qrels: judgments.
        judgments: where these come from, in words.
        system: name of the run that may be shipped.
        reference: name of the run that it is to beat.
        measures: the deciding one first.
        from_teacher: the judgments are a teacher's.
        first_stage: name of the run that the candidates come from, which gives slices by its success.
        collection: gives texts, and slices by length and terms.
        language: of the terms.
        columns: values of the queries by column, each a slice.
        traffic: how often each query was asked.
        teacher: the teacher's ranking, to agree with.
        teacher_again: its ranking of the same candidates in another order.
        milliseconds: per query, by system.
        budgets: labels that each run's student was trained on.
        resamples: of the tests.
        seed: of the tests.
    """

    title: str
    runs: Mapping[str, Run]
    qrels: Qrels
    judgments: str
    system: str
    reference: str
    measures: Sequence[str] = DEFAULT_MEASURES
    from_teacher: bool = False
    first_stage: str | None = None
    collection: Collection | None = None
    language: str = "english"
    columns: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    traffic: Mapping[str, float] = field(default_factory=dict)
    teacher: Run | None = None
    teacher_again: Run | None = None
    milliseconds: Mapping[str, float] = field(default_factory=dict)
    budgets: Mapping[str, Budget] = field(default_factory=dict)
    resamples: int = RESAMPLES
    seed: int = 0


def dossier_of(request: ComparisonRequest) -> Dossier:
    """Compare the runs and gather the rest.

    Raises:
        DataError: fewer than two runs or judged queries, an unknown measure, or the collection lacks a query or a
            document.
    """
    compared = compare(
        request.runs, request.qrels, request.measures, _slices(request), request.resamples, request.seed
    )  # fmt: skip
    worst, best = largest_changes(compared, request.runs, request.qrels, request.system, request.reference)
    queries, documents = _texts(request.collection, [*worst, *best])
    return Dossier(
        title=request.title,
        comparison=compared,
        system=request.system,
        reference=request.reference,
        verdict=verdict(compared, request.system, request.reference, request.from_teacher),
        judgments=request.judgments,
        from_teacher=request.from_teacher,
        facts={name: _facts(run, request.qrels, request.milliseconds.get(name)) for name, run in request.runs.items()},
        worst=worst,
        best=best,
        agreements=_agreements(request),
        ceiling=None if request.teacher is None or request.teacher_again is None
        else agreement(request.teacher, request.teacher_again, names=("the teacher's run", "its other run")),
        beside_teacher=()
        if request.teacher is None
        else standardised_pairs(request.runs[request.system], request.teacher),
        teacher=None if request.teacher is None else "teacher",
        queries=queries,
        documents=documents,
        first_stage=request.first_stage,
        resamples=request.resamples,
        seed=request.seed,
        budgets=request.budgets,
    )  # fmt: skip


def labels_as_judgments(folder: Path, relevant: int = LABELS_RELEVANT) -> tuple[Qrels, Run]:
    """A label folder's lists as judgments, their first documents graded ``relevant`` down to 1, and as a run.

    Raises:
        LabelingError: the folder holds no finished labels.
    """
    # places and not scores make the run, as documents that were not ranked have places but no score to compare
    ranked = {
        found.query_id: {
            doc_id: -float(place)
            for doc_id, place, group in zip(found.doc_ids, found.ranks, found.groups, strict=True)
            if place is not None and group == "ranked"
        }
        for found in label_lists(folder)
    }
    kept = {query_id: scores for query_id, scores in ranked.items() if scores}
    return judgments_from(kept, relevant), kept


def side_by_side(
    first: Run, second: Run, names: tuple[str, str], collection: Collection | None, shown: int
) -> Disagreement:
    """Two runs without judgments, with the texts of the ``shown`` queries that they answer most differently.

    Raises:
        DataError: the runs share no query, or the collection lacks a query or a document.
    """
    found = disagreement(first, second, names)
    if collection is None:
        return found
    rows = found.queries[:shown]
    doc_ids = {doc_id for row in rows for doc_id in (*row.first, *row.second)}
    return replace(
        found,
        texts={row.query_id: collection.query(row.query_id) for row in rows},
        documents={doc_id: collection.text(doc_id) for doc_id in doc_ids},
    )


def beside_teacher_labels(system: str, run: Run, labels: Run, collection: Collection) -> Disagreement:
    """A system's ranking beside the teacher's labels of the queries that it ranks."""
    labelled = {query_id: labels[query_id] for query_id in run if query_id in labels}
    return side_by_side(run, labelled, (system, "the teacher's labels"), collection, MOST_QUERIES)


def _slices(request: ComparisonRequest) -> SliceTable:
    judged, found = request.qrels, SliceTable()
    if request.traffic:
        found |= by_traffic({query: often for query, often in request.traffic.items() if query in judged})
    if request.collection is not None:
        found |= by_length({query_id: request.collection.query(query_id) for query_id in judged})
        found |= by_terms(request.collection, judged, request.language)
    if request.first_stage is not None:
        found |= by_first_stage(request.runs[request.first_stage], judged)
    for name, cells in request.columns.items():
        of_column = by_column(name, cells)
        if taken := sorted(found.keys() & of_column.keys()):
            raise DataError(f"column {name!r}: there is a slice {taken[0]!r} already; give the column another name")
        found |= of_column
    return found


def _facts(run: Run, qrels: Qrels, milliseconds: float | None) -> SystemFacts:
    measures = {depth: f"nDCG@{depth}" for depth in DEPTHS}
    means = mean_measures(evaluate(run, qrels, [*measures.values(), "judged@10"]))
    return SystemFacts(
        judged=means["judged@10"],
        recall=candidate_recall(run, qrels),
        depth=max((len(scores) for scores in run.values()), default=0),
        by_depth={depth: means[name] for depth, name in measures.items()},
        milliseconds=milliseconds,
    )


def _agreements(request: ComparisonRequest) -> dict[str, Agreement]:
    teacher = request.teacher
    if teacher is None:
        return {}
    return {name: agreement(run, teacher, names=(name, "the teacher's run")) for name, run in request.runs.items()}


def _texts(collection: Collection | None, changes: Sequence[QueryChange]) -> tuple[dict[str, str], dict[str, str]]:
    """Texts of the changed queries and of their documents; a judged document may be missing from the collection."""
    if collection is None:
        return {}, {}
    moved = {movement.doc_id for change in changes for movement in change.movements}
    queries = {change.query_id: collection.query(change.query_id) for change in changes}
    return queries, {doc_id: collection.text(doc_id) for doc_id in moved if doc_id in collection.documents}
