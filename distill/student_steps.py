"""What a recipe's student stages do in their folders: a first training on a light ranker's scores, and the training."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distill.artifacts import read_manifest
from distill.collections.collection import Qrels, Run
from distill.collections.trec import read_run, write_run
from distill.progress import Advance
from distill.recipe.students import DecoderSection, EncoderSection, WarmStart
from distill.report.training_curves import CURVES, write_curves
from distill.stages import rankers, students, warm_start
from distill.stages.comparison import LABELS_RELEVANT, labels_as_judgments
from distill.stages.roles import free_queries
from distill.stages.student_origin import student_origin, warm_start_origin
from distill.stages.training_lists import training_lists
from distill.steps import LISTS, MODEL, RUN, Facts, model_version, rank_queries

if TYPE_CHECKING:
    from distill.pipeline import RecipeRun


DEV_LABELS = f"the teacher's first {LABELS_RELEVANT} documents of held-out queries, which nobody has judged"


def warm_name(student: str) -> str:
    """Of the stage of a student's first training."""
    return f"warm_start/{student}"


def warm_settings(student: EncoderSection | DecoderSection, section: WarmStart) -> list[Any]:
    """What shapes a student's first training."""
    models = [model_version(student.start), model_version(section.ranker)]
    return [section.model_dump(mode="json"), warm_start.first_section(student).model_dump(mode="json"), *models]


def warm_starter(name: str, section: WarmStart) -> Callable[[RecipeRun, Path, Advance], Facts]:
    """The work of the first training of the student ``name``, which ``section`` describes."""

    def train(run: RecipeRun, folder: Path, advance: Advance) -> Facts:
        student, scores = run.recipe.students()[name], folder / RUN
        if not scores.exists():
            lists = warm_start.lists_to_score(run.collection, _free_lists(run, section.queries), section)
            scoring = partial(advance, unit="lists")
            ranker = rankers.open_ranker(rankers.RankerReference.parse(section.ranker, dtype="auto"))
            write_run(rankers.score_run(ranker, run.collection, lists, scoring), scores, tag=run.recipe.tag)
        learned = warm_start.scored_lists(run.collection, read_run(scores))
        shutil.rmtree(folder / MODEL, ignore_errors=True)
        origin = warm_start_origin(student.start, run.collection.name, section.ranker)
        report = students.train_student(warm_start.first_section(student), learned, [], folder / MODEL, advance, origin)
        facts = {"lists": report.lists, "pairs": report.pairs, "steps": report.steps}
        shown = f"{report.lists} lists, {report.pairs} pairs, {report.steps} steps on the scores of {section.ranker}"
        return {**facts, "summary": shown}

    return train


def _free_lists(run: RecipeRun, most: int) -> Run:
    """Candidates of so many queries that neither choose checkpoints nor measure, in the order they are drawn in."""
    free = free_queries(run.collection, run.recipe.queries, run.plan)
    if run.recipe.first_stage.run is None:
        return rank_queries(run, free[:most])  # BM25 takes its time over each query
    ranked = rank_queries(run, free)  # a run of the user's knows some queries only: drawn are those that it ranks
    return {query_id: ranked[query_id] for query_id in [known for known in free if known in ranked][:most]}


def trainer(name: str) -> Callable[[RecipeRun, Path, Advance], Facts]:
    """The work of training the student ``name``."""

    def train(run: RecipeRun, folder: Path, advance: Advance) -> Facts:
        section = run.recipe.students()[name]
        first = run.folder / warm_name(name)
        lists = training_lists(run.collection, [run.folder / "labels" / LISTS], run.recipe.labels)
        dev = students.dev_lists(run.collection, run.candidates(run.plan.dev), _dev_judgments(run))
        shutil.rmtree(folder / MODEL, ignore_errors=True)
        origin = student_origin(section.start, run.collection.name, [run.folder / "labels" / LISTS])
        if section.warm_start is not None:
            before = {"learned before": read_manifest(first)["summary"]}
            origin = replace(origin, data={**origin.data, **before})
            section = warm_start.after_warm_start(section, first / MODEL)
        by_labels = run.recipe.held_out is not None
        if by_labels:
            origin = replace(origin, dev_judgments=DEV_LABELS)
        report = students.train_student(section, lists, dev, folder / MODEL, advance, origin)
        measured = f"nDCG@10 by {DEV_LABELS}" if by_labels else "dev nDCG@10"
        write_curves(report.history, f"{run.recipe.name}: {name}", folder / CURVES, measured)
        figure = "not measured" if report.dev_ndcg is None else f"{report.dev_ndcg:.3f}"
        summary = f"{report.lists} lists, {report.pairs} pairs, {report.steps} steps; {measured} {figure}"
        facts = {"lists": report.lists, "pairs": report.pairs, "steps": report.steps, "history": report.history}
        told = {"dev_agreement": report.dev_ndcg, "dev_is": measured} if by_labels else {"dev_ndcg": report.dev_ndcg}
        return {**facts, **told, "summary": summary}

    return train


def _dev_judgments(run: RecipeRun) -> Qrels:
    """What checkpoints are chosen by: people's judgments, or where there are none the teacher's labels."""
    if run.recipe.held_out is not None:
        return labels_as_judgments(run.folder / "held_out" / LISTS)[0]
    split = run.recipe.queries.dev_split
    return run.collection.split(split) if split else {}
