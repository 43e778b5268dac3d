"""What each stage of a recipe does in its folder: the glue between a recipe's run and the stages' plain functions.

What trains the students is in `distill.student_steps`.
"""

from __future__ import annotations

import logging
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from importlib.metadata import packages_distributions, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distill import comparing
from distill.artifacts import file_stamps
from distill.collections.beir import beir_files, read_beir, write_beir
from distill.collections.collection import Collection, DataError, Run
from distill.collections.docstrings import build_docstring_collection, write_query_log
from distill.collections.trec import check_run, read_run, write_run
from distill.evaluation.measures import candidate_recall
from distill.first_stage import bm25_run
from distill.models import ModelReference
from distill.progress import Advance
from distill.recipe.settings import Recipe
from distill.recipe.sources import BeirCollection, DocstringCollection, LogCollection
from distill.stages import evaluation, labels, rankers, teacher
from distill.stages.candidates import judgments_from, pre_ranked, top
from distill.stages.comparison import LABELS_RELEVANT
from distill.stages.judge_sources import TeacherSource
from distill.stages.label_engines import open_engine
from distill.stages.logged import make_logged
from distill.stages.roles import QueryPlan, plan_comparison, plan_queries
from labeling.formats import labels_run
from labeling.job import JobSettings

if TYPE_CHECKING:
    from distill.pipeline import RecipeRun

logger = logging.getLogger(__name__)

PLAN = "queries.json"
RUN = "first_stage.run"
BEIR = "beir"
LOG = "query_log.tsv"
LISTS = "lists"
LABELS_RUN = "labels.run"
MODEL = "model"

PART_LISTS = 16  # a small teacher on a processor takes seconds a list: more than this is too much to lose

Facts = Mapping[str, Any]


def collection_source(recipe: Recipe) -> Any:
    """What the collection is made of, beside its settings: package versions, or the folder's files."""
    section = recipe.collection
    if isinstance(section, LogCollection):
        return [*file_stamps(section.corpus), *file_stamps(section.log)]
    if not isinstance(section, DocstringCollection):
        # no others: a run that an analyst keeps beside them would repeat every stage
        return [stamp for path in beir_files(section.path) for stamp in file_stamps(path)]
    names = packages_distributions()
    packages = (*section.train_packages, *section.dev_packages, *section.test_packages)
    return [platform.python_version(), *(f"{d} {version(d)}" for package in packages for d in names.get(package, ()))]


def other_roles(recipe: Recipe) -> list[Any]:
    """What gives queries their roles beside `queries`; nothing where judgments teach and measure."""
    if recipe.teacher is None:
        return ["compared"]
    if recipe.held_out is None and recipe.teacher.taught_by == "judgments":
        return []
    ranking = recipe.teacher.ranking
    held_out = None if recipe.held_out is None else recipe.held_out.model_dump(mode="json")
    return [held_out, recipe.teacher.taught_by, file_stamps(ranking) if ranking else None]


def heads_source(recipe: Recipe) -> list[Any]:
    """Stamps of the files that heads come from, where neither judgments nor a published set give them."""
    named = [recipe.taught.ranking, Path(recipe.taught.published) if recipe.taught.published else None]
    return [file_stamps(path) for path in named if path is not None and path.is_file()]


def run_source(recipe: Recipe) -> Any:
    """The stamp of the run that replaces BM25, if any."""
    return file_stamps(recipe.first_stage.run) if recipe.first_stage.run else None


def model_version(reference: str) -> str:
    """What identifies the weights behind a model reference, or a ranker's."""
    return ModelReference.parse(rankers.RankerReference.parse(reference).model).version


def teacher_models(recipe: Recipe) -> list[str]:
    """References of every model whose scores become labels."""
    mix = recipe.taught.mix
    return [recipe.taught.model, *([mix.pre_ranker] if mix and mix.pre_ranker else [])]


def label_settings(recipe: Recipe) -> list[Any]:
    """What of the label section shapes the labels; the rest says what students get of them."""
    section = recipe.labels
    writer = model_version(section.reasons) if section.reasons else None
    return [section.bottom, section.evidence, section.orders, section.reasons, writer, section.reason_documents]


def open_collection(recipe: Recipe, folder: Path) -> Collection:
    """The collection as the collection stage left it; a BEIR folder of the user's is read where it stands."""
    return read_beir(beir_folder(recipe, folder))


def beir_folder(recipe: Recipe, folder: Path) -> Path:
    """Where the collection's files are; ``folder`` is the collection stage's."""
    section = recipe.collection
    return section.path if isinstance(section, BeirCollection) else folder / BEIR


def make_collection(run: RecipeRun, folder: Path, advance: Advance) -> Facts:
    """Build or read the collection and give each query its role."""
    section = run.recipe.collection
    logged: dict[str, Any] = {}
    if isinstance(section, DocstringCollection):
        built = build_docstring_collection(section)
        write_beir(built, folder / BEIR)
        write_query_log(built, folder / LOG)
    elif isinstance(section, LogCollection):
        read, tail = make_logged(section, run.recipe.queries.tail, folder, folder / BEIR)
        logged = {"log": asdict(read), "tail": tail.chosen}
    collection = open_collection(run.recipe, folder)
    plan = _plan(run.recipe, collection)
    # they are measured at the end: what is wrong with one is told before the teacher reads anything
    comparing.usable_runs(run.recipe, collection, plan.test)
    plan.write(folder / PLAN)
    roles = {name: len(query_ids) for name, query_ids in asdict(plan).items()}
    shown = ", ".join(f"{count} to {name}" for name, count in roles.items() if count)
    if logged:
        shown = f"{logged['tail']:,} tail queries of {logged['log']['queries']:,} in the log; {shown}"
    return {
        **logged,
        "documents": len(collection.documents),
        "queries": roles,
        "content": collection.fingerprint(),
        "summary": f"{len(collection.documents):,} documents; queries: {shown}",
    }


def _plan(recipe: Recipe, collection: Collection) -> QueryPlan:
    """Every query's role."""
    if recipe.teacher is None:
        return plan_comparison(collection, recipe.queries)
    teacher, roles, taught_by = recipe.teacher, recipe.queries, None
    if teacher.taught_by == "nobody":
        taught_by = []
    elif teacher.ranking is not None:
        taught_by = [query_id for query_id in read_run(teacher.ranking) if query_id in collection.queries]
        if not taught_by:
            raise DataError(f"{teacher.ranking}: none of its queries is in collection {collection.name}")
    if isinstance(recipe.collection, LogCollection):
        # the log was cut to its tail while it was read; the head of that tail is tail too
        roles = roles.model_copy(update={"tail": None})
    return plan_queries(collection, roles, taught_by, recipe.held_out)


def rank_first(run: RecipeRun, folder: Path, advance: Advance) -> Facts:
    """Rank every query of the plan by BM25, or take the user's run."""
    section, collection = run.recipe.first_stage, run.collection
    ranked = rank_queries(run, run.plan.all())
    for role, queries in (("to label", run.plan.label), ("to measure on", run.plan.test)):
        if queries and not any(query_id in ranked for query_id in queries):
            none = f"none of the {len(queries)} queries {role} has candidates, such as {queries[0]!r}"
            raise DataError(f"{section.run or 'BM25'}: {none}")
    write_run(ranked, folder / RUN, tag=run.recipe.tag)
    if run.recipe.held_out is not None:
        return {"queries": len(ranked), "summary": f"{len(ranked)} queries; without judgments recall is not known"}
    qrels = collection.split(run.recipe.queries.test_split)
    qrels = {query_id: qrels[query_id] for query_id in run.plan.test}
    recall = {
        str(depth): candidate_recall(top(ranked, qrels, depth), qrels)
        for depth in sorted({section.candidates, section.depth})
    }
    shown = ", ".join(f"{value:.3f} at {depth}" for depth, value in recall.items())
    return {"queries": len(ranked), "recall": recall, "summary": f"{len(ranked)} queries; test recall {shown}"}


def rank_queries(run: RecipeRun, queries: Sequence[str]) -> Run:
    """The queries' documents by BM25, or by the user's run."""
    section = run.recipe.first_stage
    if section.run is None:
        return bm25_run(run.collection, queries, section.depth, section.bm25)
    wanted = set(queries)
    ranked = {query_id: scores for query_id, scores in read_run(section.run).items() if query_id in wanted}
    check_run(ranked, run.collection, str(section.run))
    if lacking := [query_id for query_id in queries if query_id not in ranked]:
        said = "%s: %d of %d queries have no candidates here, such as %r; those to measure on count as 0"
        logger.warning(said, section.run, len(lacking), len(queries), lacking[0])
    return ranked


def make_teacher(run: RecipeRun, folder: Path, advance: Advance) -> Facts:
    """Fit the teacher on judged queries, or on those that a stronger ranker ranked; or take published heads."""
    section = run.recipe.taught
    if section.published is not None:
        source, count = teacher.adopt_teacher(section.published, section, folder, overwrite=True)
        return {"heads": {"source": source, "count": count}, "summary": f"{count} heads from {source}"}
    return fit_teacher(run, folder, advance)


def fit_teacher(run: RecipeRun, folder: Path, advance: Advance) -> Facts:
    """Fit the teacher on the queries whose role that is."""
    section = run.recipe.taught
    if section.ranking is not None:
        ranked = read_run(section.ranking)
        stronger = {query_id: ranked[query_id] for query_id in run.plan.fit}
        check_run(stronger, run.collection, str(section.ranking))
        qrels = judgments_from(stronger, section.relevant or LABELS_RELEVANT)
    else:
        qrels = run.collection.split(run.recipe.queries.fit_split)
    lists = run.candidates(run.plan.fit)
    report, mixed = teacher.fit_teacher(run.collection, lists, qrels, section, folder, advance)
    by = "nDCG@10" if section.ranking is None else f"nDCG@10 by the first documents of {section.ranking.name}"
    summary = (
        f"fitted on {report.queries} of {len(lists)} lists (those with a relevant candidate); held-out {by}: "
        f"static weights {report.static:.3f}, routed {report.routed:.3f}; {report.heads_per_query:.0f} heads a query"
    )
    facts = {"fit": asdict(report), "judgments": "people's" if section.ranking is None else str(section.ranking)}
    if mixed is None:
        return {**facts, "summary": summary}
    return {**facts, "mixture": asdict(mixed), "summary": f"{summary}; mixture {mixed.mixed:.3f}"}


def pre_rank(run: RecipeRun, folder: Path, advance: Advance) -> Facts:
    """Rank the first stage's whole lists of the queries to be labelled by the light model."""
    lists = top(run.first_stage, run.plan.label, run.recipe.first_stage.depth)
    ranked = rankers.rerank(str(run.recipe.labels.pre_ranker), run.collection, lists, advance)
    write_run(ranked, folder / RUN, tag=run.recipe.tag)
    return {"queries": len(ranked), "summary": f"{len(ranked)} lists ranked again by {run.recipe.labels.pre_ranker}"}


def labelled_candidates(run: RecipeRun) -> Run:
    """The lists of the queries whose role it is to be labelled."""
    recipe = run.recipe
    by = read_run(run.folder / "pre_rank" / RUN) if recipe.labels.pre_ranker is not None else None
    depth, bottom = recipe.first_stage.candidates, recipe.labels.bottom
    return pre_ranked(run.first_stage, run.plan.label, depth, bottom, by)


def teacher_source(run: RecipeRun) -> TeacherSource:
    """The recipe's teacher as another process opens it."""
    collection = beir_folder(run.recipe, run.folder / "collection")
    first_stage, section = run.folder / "first_stage" / RUN, run.recipe.taught
    return TeacherSource(run.folder / "teacher", None, collection, first_stage, run.recipe.labels, section.device_map)


def label(run: RecipeRun, folder: Path, advance: Advance) -> Facts:
    """Label the queries whose role that is; the teacher has not seen their judgments."""
    return _label(run, labelled_candidates(run), folder, advance)


def label_held_out(run: RecipeRun, folder: Path, advance: Advance) -> Facts:
    """Label the dev and test queries that nobody has judged; no student is trained on these labels."""
    return _label(run, run.candidates([*run.plan.dev, *run.plan.test]), folder, advance)


def _label(run: RecipeRun, lists: Run, folder: Path, advance: Advance) -> Facts:
    settings = JobSettings(part_lists=PART_LISTS)
    with open_engine(run.engine, teacher_source(run), run.collection, run.first_stage) as engine:
        report = labels.label_candidates(run.collection, lists, engine, folder / LISTS, advance, settings)
    write_run(labels_run(folder / LISTS), folder / LABELS_RUN, tag=run.recipe.tag)
    counts = report.counts
    share = counts["missing"] / max(1, counts["documents"])
    summary = (
        f"{counts['lists']} lists, {counts['documents']} documents, {share:.0%} missing; "
        f"{counts['failed']} lists failed, {report.resumed} stood already"
    )
    return {"counts": counts, "summary": summary}


def evaluate(run: RecipeRun, folder: Path, advance: Advance) -> Facts:
    """Measure every system on the test queries' candidates."""
    recipe, collection = run.recipe, run.collection
    lists, timed = run.candidates(run.plan.test), recipe.evaluation.timed_queries
    systems = {"first_stage": evaluation.first_stage_system(collection, lists, recipe.first_stage, timed)}
    systems |= evaluation.teacher_systems(
        collection, lists, run.first_stage, run.folder / "teacher", folder / "scores", timed, advance,
        recipe.taught.device_map,
    )  # fmt: skip
    if recipe.encoder:
        told = partial(advance, note="bi_encoder")
        systems["bi_encoder"] = evaluation.bi_encoder_system(collection, lists, recipe.encoder.start, timed, told)
    for name in recipe.students():
        model, told = str(run.folder / name / MODEL), partial(advance, note=name)
        systems[name] = evaluation.ranker_system(collection, lists, model, timed, told)
    systems |= comparing.other_systems(recipe, collection, lists, run.plan.test, advance)
    if recipe.held_out is not None:
        held_out = labels_run(run.folder / "held_out" / LISTS)
        labelled = {query_id: held_out[query_id] for query_id in run.plan.test if query_id in held_out}
        metrics = evaluation.measure_agreement(systems, labelled, len(run.plan.test))
        summary = f"{len(systems)} systems; {metrics['says']}"
    else:
        judged = collection.split(recipe.queries.test_split)
        qrels = {query_id: judged[query_id] for query_id in run.plan.test}
        metrics = evaluation.measure(systems, qrels, recipe.evaluation.measures, list(recipe.runs))
        summary = f"{len(systems)} systems on {len(qrels)} test queries"
    evaluation.write_measurements(systems, metrics, folder)
    return {"metrics": metrics, "summary": summary}


def read_metrics(folder: Path) -> dict[str, Any]:
    """The figures of a finished run."""
    return evaluation.read_measurements(folder / "evaluation")
