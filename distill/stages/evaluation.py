"""Measures every system of a run on the same candidates: teacher methods, students, and what they must beat."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distill.collections.collection import Collection, DataError, Qrels, Run
from distill.collections.trec import write_run
from distill.evaluation.label_agreement import (
    AGREEMENT_MEASURES,
    NOT_JUDGED,
    TEACHER_LABELS,
    agreement_with_labels,
)
from distill.evaluation.measures import candidate_recall, evaluate, mean_measures
from distill.first_stage import BM25Index
from distill.models import ModelReference
from distill.progress import Advance
from distill.recipe.settings import DeviceMap, FirstStageSection
from distill.stages.candidates import scored, texts
from distill.stages.rankers import Ranker, open_ranker, score_run
from distill.stages.teacher import open_reader, read_section, teachers_of
from students.bi_encoder import BiEncoder
from teachers.score_store import HeadScoreStore, read_lists


@dataclass(frozen=True, slots=True)
class System:
    """One system's run and the median seconds that it took per query; None where it came from a file."""

    run: Run
    seconds_per_query: float | None


def first_stage_system(collection: Collection, run: Run, section: FirstStageSection, timed: int) -> System:
    """The candidates as the first stage ranked them."""
    if section.run is not None:
        return System(run, None)
    index = BM25Index({doc_id: collection.text(doc_id) for doc_id in collection.documents}, section.bm25)
    lists = texts(collection, run)[:timed]
    return System(run, seconds_per_query(lambda query, _: index.search(query, section.depth), lists))


def teacher_systems(
    collection: Collection, run: Run, first_stage: Run, folder: Path, scores: Path, timed: int, on_progress: Advance,
    device_map: DeviceMap | None = None,
) -> dict[str, System]:  # fmt: skip
    """Every method of the teacher in ``folder``, on the same head scores.

    Each method is timed as it would serve, with its pass cut to the depth that it needs. ``first_stage`` is the whole
    run that the lists of ``run`` are cut from, ``device_map`` where the model's layers lie now.
    """
    section = read_section(folder).model_copy(update={"device_map": device_map})
    reader, model = open_reader(section)
    lists = texts(collection, run)
    read = list(read_lists(reader, lists, HeadScoreStore(scores, model), on_progress))
    systems = {}
    for method, teacher in teachers_of(folder, reader, model, collection, first_stage).items():
        ranked = [teacher.score_read(*texts_of, entry).tolist() for texts_of, entry in zip(lists, read, strict=True)]
        systems[method] = System(scored(run, ranked), seconds_per_query(teacher.judge, lists[:timed]))
    return systems


def bi_encoder_system(collection: Collection, run: Run, start: str, timed: int, on_progress: Advance) -> System:
    """The encoder's start used as a bi-encoder; documents are encoded at query time, as a re-ranker must."""
    return _ranked(BiEncoder(ModelReference.parse(start).fetched()), collection, run, timed, on_progress)


def ranker_system(collection: Collection, run: Run, reference: str, timed: int, on_progress: Advance) -> System:
    """A trained student, or a cross- or bi-encoder of others.

    Raises:
        ModelError: it cannot be found or loaded.
    """
    return _ranked(open_ranker(reference), collection, run, timed, on_progress)


def _ranked(ranker: Ranker, collection: Collection, run: Run, timed: int, on_progress: Advance) -> System:
    ranked = score_run(ranker, collection, run, on_progress)
    return System(ranked, seconds_per_query(ranker.score_pairs, texts(collection, run)[:timed]))


def seconds_per_query(work: Callable[[str, Sequence[str]], Any], lists: Sequence[tuple[str, Sequence[str]]]) -> float:
    """Median seconds of ``work`` over the lists, each done once, after one that does not count."""
    work(*lists[0])
    seconds = []
    for query, documents in lists:
        started = time.perf_counter()
        work(query, documents)
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)


def measure(
    systems: Mapping[str, System], qrels: Qrels, measures: Sequence[str], own: Sequence[str] = ()
) -> dict[str, Any]:
    """What ``metrics.json`` holds: each system's mean measures over all judged queries, and its seconds per query.

    ``answerable`` repeats the figures over the queries whose candidates hold a relevant document. Both this and what
    is told of the candidates are None where there is no first stage.

    Args:
        systems: by name; ``first_stage``, if it is there, gives the others' candidates.
        qrels: judgments.
        measures: their names.
        own: systems that rank candidates of their own, of which ``own_candidates`` tells depth and recall.
    """
    names = list(measures)
    rows = {name: mean_measures(evaluate(system.run, qrels, names)) for name, system in systems.items()}
    first = systems["first_stage"].run if "first_stage" in systems else None
    of_own = {
        name: {
            "depth": max(len(systems[name].run.get(query_id, {})) for query_id in qrels),
            "recall": candidate_recall(systems[name].run, qrels),
            "missing": sum(not systems[name].run.get(query_id) for query_id in qrels),
        }
        for name in own
    }
    return {
        "measures": names,
        "queries": len(qrels),
        "candidates": None if first is None else max(len(candidates) for candidates in first.values()),
        "candidate_recall": None if first is None else candidate_recall(first, qrels),
        "systems": {
            name: {**rows[name], "seconds_per_query": system.seconds_per_query} for name, system in systems.items()
        },
        "answerable": None if first is None else _over_answerable(systems, qrels, names, first),
        **({"own_candidates": of_own} if of_own else {}),
    }


def _over_answerable(systems: Mapping[str, System], qrels: Qrels, names: list[str], first: Run) -> dict[str, Any]:
    found = {q: judged for q, judged in qrels.items() if any(judged.get(d, 0) > 0 for d in first.get(q, {}))}
    rows = {name: mean_measures(evaluate(system.run, found, names)) for name, system in systems.items() if found}
    return {"queries": len(found), "systems": rows}


def measure_agreement(systems: Mapping[str, System], labels: Run, queries: int) -> dict[str, Any]:
    """What ``metrics.json`` holds where nobody has judged the test queries: how far each system ranks as the labels do.

    Args:
        systems: by name.
        labels: the teacher's labels of the test queries, as a run.
        queries: test queries, those included that have no labels because they have no candidates.

    Raises:
        DataError: no test query has labels.
    """
    if not labels:
        raise DataError(f"none of {queries} held-out queries has labels; there is nothing to agree with")
    rows = {name: agreement_with_labels(system.run, labels) for name, system in systems.items()}
    return {
        "against": TEACHER_LABELS,
        "says": f"{len(labels)} held-out queries. {NOT_JUDGED}",
        "measures": list(AGREEMENT_MEASURES),
        "queries": len(labels),
        "without_labels": queries - len(labels),
        "candidates": max(len(scores) for scores in labels.values()),
        "systems": {
            name: {**rows[name], "seconds_per_query": system.seconds_per_query} for name, system in systems.items()
        },
    }


def write_measurements(systems: Mapping[str, System], metrics: Mapping[str, Any], folder: Path) -> None:
    """Write ``metrics.json`` and one TREC run a system under ``runs/``."""
    (folder / "runs").mkdir(exist_ok=True)
    for name, system in systems.items():
        write_run(system.run, folder / "runs" / f"{name}.run", tag=name)
    (folder / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n", encoding="utf-8")


def read_measurements(folder: Path) -> dict[str, Any]:
    """What `write_measurements` wrote as ``metrics.json``."""
    metrics: dict[str, Any] = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    return metrics
