"""What each stage of a recipe does in its folder: the glue between a recipe's run and the stages' plain functions."""

from __future__ import annotations

import json
import platform
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict
from importlib.metadata import packages_distributions, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distill.artifacts import file_stamps
from distill.collections.beir import read_beir, write_beir
from distill.collections.collection import Collection, Run
from distill.collections.docstrings import build_docstring_collection, write_query_log
from distill.collections.trec import check_run, read_run, write_run
from distill.errors import ModelError
from distill.evaluation.measures import candidate_recall
from distill.export.folder import MOST_LISTS, ExportReport, ExportRequest, export_model
from distill.export.model_folder import GRAPH
from distill.export.pairs import lists_of, spread_pairs
from distill.export.servers import Target
from distill.export.source import open_source
from distill.first_stage import bm25_run
from distill.models import ModelReference
from distill.progress import Advance
from distill.recipe import DocstringCollection, Recipe
from distill.report.training_curves import CURVES, write_curves
from distill.stages import evaluation, labels, rankers, students, teacher
from distill.stages.candidates import pre_ranked, top
from distill.stages.judge_sources import TeacherSource
from distill.stages.label_engines import open_engine
from distill.stages.roles import plan_queries
from distill.stages.student_origin import student_origin
from labeling.formats import labels_run
from labeling.job import JobSettings

if TYPE_CHECKING:
    from distill.pipeline import RecipeRun

PLAN = "queries.json"
RUN = "first_stage.run"
BEIR = "beir"
LOG = "query_log.tsv"
LISTS = "lists"
MODEL = "model"

PART_LISTS = 16  # a small teacher on a processor takes seconds a list: more than this is too much to lose

Facts = Mapping[str, Any]


def collection_source(recipe: Recipe) -> Any:
    """What the collection is made of, beside its settings: package versions, or the folder's files."""
    section = recipe.collection
    if not isinstance(section, DocstringCollection):
        return file_stamps(section.path)
    names = packages_distributions()
    packages = (*section.train_packages, *section.dev_packages, *section.test_packages)
    return [platform.python_version(), *(f"{d} {version(d)}" for package in packages for d in names.get(package, ()))]


def run_source(recipe: Recipe) -> Any:
    """The stamp of the run that replaces BM25, if any."""
    return file_stamps(recipe.first_stage.run) if recipe.first_stage.run else None


def model_version(reference: str) -> str:
    """What identifies the weights behind a model reference."""
    return ModelReference.parse(reference).version


def teacher_models(recipe: Recipe) -> list[str]:
    """References of every model whose scores become labels."""
    mix = recipe.teacher.mix
    return [recipe.teacher.model, *([mix.pre_ranker] if mix and mix.pre_ranker else [])]


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
    return folder / BEIR if isinstance(section, DocstringCollection) else section.path


def make_collection(run: RecipeRun, folder: Path, advance: Advance) -> Facts:
    """Build or read the collection and give each query its role."""
    section = run.recipe.collection
    if isinstance(section, DocstringCollection):
        built = build_docstring_collection(section)
        write_beir(built, folder / BEIR)
        write_query_log(built, folder / LOG)
    collection = open_collection(run.recipe, folder)
    plan = plan_queries(collection, run.recipe.queries)
    plan.write(folder / PLAN)
    roles = {name: len(query_ids) for name, query_ids in asdict(plan).items()}
    shown = ", ".join(f"{count} to {name}" for name, count in roles.items())
    return {
        "documents": len(collection.documents),
        "queries": roles,
        "content": collection.fingerprint(),
        "summary": f"{len(collection.documents):,} documents; queries: {shown}",
    }


def rank_first(run: RecipeRun, folder: Path, advance: Advance) -> Facts:
    """Rank every query of the plan by BM25, or take the user's run."""
    section, collection, queries = run.recipe.first_stage, run.collection, run.plan.all()
    if section.run is not None:
        ranked = {q: scores for q, scores in read_run(section.run).items() if q in set(queries)}
        check_run(ranked, collection, str(section.run))
    else:
        ranked = bm25_run(collection, queries, section.depth, section.bm25)
    write_run(ranked, folder / RUN, tag=run.recipe.name)
    qrels = collection.split(run.recipe.queries.test_split)
    qrels = {query_id: qrels[query_id] for query_id in run.plan.test}
    recall = {
        str(depth): candidate_recall(top(ranked, qrels, depth), qrels)
        for depth in sorted({section.candidates, section.depth})
    }
    shown = ", ".join(f"{value:.3f} at {depth}" for depth, value in recall.items())
    return {"queries": len(ranked), "recall": recall, "summary": f"{len(ranked)} queries; test recall {shown}"}


def fit_teacher(run: RecipeRun, folder: Path, advance: Advance) -> Facts:
    """Fit the teacher on the queries whose role that is."""
    qrels = run.collection.split(run.recipe.queries.fit_split)
    lists = run.candidates(run.plan.fit)
    report, mixed = teacher.fit_teacher(run.collection, lists, qrels, run.recipe.teacher, folder, advance)
    summary = (
        f"fitted on {report.queries} of {len(lists)} lists (those with a relevant candidate); held-out nDCG@10: "
        f"static weights {report.static:.3f}, routed {report.routed:.3f}; {report.heads_per_query:.0f} heads a query"
    )
    if mixed is None:
        return {"fit": asdict(report), "summary": summary}
    return {"fit": asdict(report), "mixture": asdict(mixed), "summary": f"{summary}; mixture {mixed.mixed:.3f}"}


def pre_rank(run: RecipeRun, folder: Path, advance: Advance) -> Facts:
    """Rank the first stage's whole lists of the queries to be labelled by the light model."""
    lists = top(run.first_stage, run.plan.label, run.recipe.first_stage.depth)
    ranked = rankers.rerank(str(run.recipe.labels.pre_ranker), run.collection, lists, advance)
    write_run(ranked, folder / RUN, tag=run.recipe.name)
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
    return TeacherSource(run.folder / "teacher", None, collection, run.folder / "first_stage" / RUN, run.recipe.labels)


def label(run: RecipeRun, folder: Path, advance: Advance) -> Facts:
    """Label the queries whose role that is; the teacher has not seen their judgments."""
    lists = labelled_candidates(run)
    settings = JobSettings(part_lists=PART_LISTS)
    with open_engine(run.engine, teacher_source(run), run.collection, run.first_stage) as engine:
        report = labels.label_candidates(run.collection, lists, engine, folder / LISTS, advance, settings)
    write_run(labels_run(folder / LISTS), folder / "labels.run", tag=run.recipe.name)
    counts = report.counts
    share = counts["missing"] / max(1, counts["documents"])
    summary = (
        f"{counts['lists']} lists, {counts['documents']} documents, {share:.0%} missing; "
        f"{counts['failed']} lists failed, {report.resumed} stood already"
    )
    return {"counts": counts, "summary": summary}


def trainer(name: str) -> Callable[[RecipeRun, Path, Advance], Facts]:
    """The work of training the student ``name``."""

    def train(run: RecipeRun, folder: Path, advance: Advance) -> Facts:
        section = run.recipe.students()[name]
        lists = labels.training_lists(run.collection, run.folder / "labels" / LISTS, run.recipe.labels)
        dev: list[Any] = []
        if run.recipe.queries.dev_split:
            qrels = run.collection.split(run.recipe.queries.dev_split)
            dev = students.dev_lists(run.collection, run.candidates(run.plan.dev), qrels)
        shutil.rmtree(folder / MODEL, ignore_errors=True)
        origin = student_origin(section.start, run.collection.name, run.folder / "labels" / LISTS)
        report = students.train_student(section, lists, dev, folder / MODEL, advance, origin)
        write_curves(report.history, f"{run.recipe.name}: {name}", folder / CURVES)
        dev_ndcg = "not measured" if report.dev_ndcg is None else f"{report.dev_ndcg:.3f}"
        summary = f"{report.lists} lists, {report.pairs} pairs, {report.steps} steps; dev nDCG@10 {dev_ndcg}"
        facts = {"lists": report.lists, "pairs": report.pairs, "steps": report.steps, "dev_ndcg": report.dev_ndcg}
        return {**facts, "history": report.history, "summary": summary}

    return train


def evaluate(run: RecipeRun, folder: Path, advance: Advance) -> Facts:
    """Measure every system on the test queries' candidates."""
    recipe, collection = run.recipe, run.collection
    lists, timed = run.candidates(run.plan.test), recipe.evaluation.timed_queries
    systems = {"first_stage": evaluation.first_stage_system(collection, lists, recipe.first_stage, timed)}
    systems |= evaluation.teacher_systems(
        collection, lists, run.first_stage, run.folder / "teacher", folder / "scores", timed, advance
    )
    if recipe.encoder:
        systems["bi_encoder"] = evaluation.bi_encoder_system(collection, lists, recipe.encoder.start, timed)
    for name in recipe.students():
        systems[name] = evaluation.student_system(collection, lists, run.folder / name / MODEL, timed)
    judged = collection.split(recipe.queries.test_split)
    qrels = {query_id: judged[query_id] for query_id in run.plan.test}
    metrics = evaluation.measure(systems, qrels, recipe.evaluation.measures)
    evaluation.write_measurements(systems, metrics, folder)
    return {"metrics": metrics, "summary": f"{len(systems)} systems on {len(qrels)} test queries"}


def exporter(name: str) -> Callable[[RecipeRun, Path, Advance], Facts]:
    """The work of exporting the student ``name``."""

    def export(run: RecipeRun, folder: Path, advance: Advance) -> Facts:
        section = run.recipe.export
        lists = lists_of(run.collection, run.candidates(run.plan.test))
        pairs, source = spread_pairs(lists.texts(), section.pairs), open_source(str(run.folder / name / MODEL))
        written: dict[str, ExportReport] = {}
        refused: list[str] = []
        places: dict[Target, str] = {"hf": MODEL, "onnx": "onnx", "onnx-int8": "onnx-int8"}
        for target, place in places.items():
            shutil.rmtree(folder / place, ignore_errors=True)
            if target not in ("hf", *section.targets):
                continue
            graph = folder / "onnx" / GRAPH if "onnx" in written else None
            judged = lists.spread(MOST_LISTS)
            request = ExportRequest(target, folder / place, pairs, judged, graph=graph)
            try:
                written[target] = export_model(source, request)
            except ModelError as error:
                if target == "hf":
                    raise
                refused.append(f"{target} left out: {error}")
        return _export_facts(written, refused)

    return export


def _export_facts(written: Mapping[str, ExportReport], refused: list[str]) -> Facts:
    rows = {found.loader: found for found in written["hf"].parity}
    largest = {name: rows[loader].largest for name, loader in (("cross_encoder", "CrossEncoder"),
                                                              ("transformers", "transformers"))}  # fmt: skip
    count = rows["CrossEncoder"].pairs
    shown = f"{count} pairs scored by CrossEncoder and transformers too, largest difference {max(largest.values()):.1e}"
    others = [f"{target} {report.bytes / 2**20:.0f} MiB" for target, report in written.items() if target != "hf"]
    return {
        "parity": {"pairs": count, **largest},
        "exports": {target: _export_row(report) for target, report in written.items()},
        "refused": refused,
        "summary": "; ".join([shown, *others, *refused]),
    }


def _export_row(report: ExportReport) -> dict[str, Any]:
    return {
        "bytes": report.bytes,
        "seconds": report.seconds,
        "graph_difference": report.graph_difference,
        "gate": None if report.gate is None else report.gate.to_json(),
    }


def read_metrics(folder: Path) -> dict[str, Any]:
    """The figures of a finished run."""
    metrics: dict[str, Any] = json.loads((folder / "evaluation" / "metrics.json").read_text(encoding="utf-8"))
    return metrics
