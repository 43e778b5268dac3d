"""`distill label`: candidate lists in, ranking labels out; killed at any moment, the same command goes on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Console

if TYPE_CHECKING:
    from distill.collections.collection import Collection, Run
    from distill.recipe.settings import JudgeSection
    from distill.stages.judge_sources import Source
    from distill.stages.label_engines import EngineSettings
    from distill.stages.teacher import Method
    from labeling.job import JobSettings

CANDIDATES = 20
PART_LISTS = 16  # as in `distill.steps`, which loads torch, and --help must not
DOCUMENT_WORDS = 100
REASON_DOCUMENTS = 3
_QUERIES = "file with one query id a line; default: all of the run but those judged in dev or test"


def label(
    recipe: Annotated[
        str | None, typer.Argument(help="a recipe: carried out as far as its labels; in place of the flags below")
    ] = None,
    *,
    out: Annotated[
        Path, typer.Option(help="label folder, or the recipe's run; lists that it holds are not read again")
    ],
    collection: Annotated[Path | None, typer.Option(help="BEIR folder")] = None,
    run: Annotated[Path | None, typer.Option(help="TREC run with the candidates of the queries to label")] = None,
    queries: Annotated[Path | None, typer.Option(help=_QUERIES)] = None,
    candidates: Annotated[int, typer.Option(help="documents read for each query", min=1)] = CANDIDATES,
    pre_ranked: Annotated[
        Path | None, typer.Option(help="TREC run of a light model over the same lists, which says what is read")
    ] = None,
    bottom: Annotated[int, typer.Option(help="of the documents read, those from the end of the ranking", min=0)] = 0,
    teacher: Annotated[Path | None, typer.Option(help="judge: folder of a fitted teacher")] = None,
    method: Annotated[
        Literal["all_heads", "static_heads", "static_weights", "routehead", "mixture"] | None,
        typer.Option(help="how its heads are used; default: the last of these that the teacher holds"),
    ] = None,
    generate: Annotated[str | None, typer.Option(help="judge: a causal model that writes the order down")] = None,
    max_document_words: Annotated[int, typer.Option(help="words of a document that it reads", min=1)] = DOCUMENT_WORDS,
    cross_encoder: Annotated[str | None, typer.Option(help="judge: any cross-encoder with one output")] = None,
    bi_encoder: Annotated[
        str | None, typer.Option(help="judge: a sentence-transformers bi-encoder, for a student's first training")
    ] = None,
    judgments: Annotated[
        str | None, typer.Option(help="judge: people, by the collection's judgments of this split, to compare with")
    ] = None,
    evidence: Annotated[bool, typer.Option(help="name the sentence that the teacher's heads looked at most")] = True,
    orders: Annotated[
        int | None, typer.Option(help="orders of the documents that are read; two give each list a confidence", min=1)
    ] = None,
    first_order: Annotated[
        int,
        typer.Option(
            help="number of the first of these orders: another one shows how far a teacher agrees with itself", min=0
        ),
    ] = 0,
    reasons: Annotated[str | None, typer.Option(help="causal model that writes reasons for the best documents")] = None,
    reason_documents: Annotated[
        int, typer.Option(help="best documents of a list that get a reason", min=1)
    ] = REASON_DOCUMENTS,
    shard: Annotated[
        str | None, typer.Option(help="label one share of the queries, as 3/8; each share in a folder of its own")
    ] = None,
    part_lists: Annotated[
        int, typer.Option(help="lists written at once: what a killed job may lose", min=1)
    ] = PART_LISTS,
    retry_failed: Annotated[bool, typer.Option(help="read lists again that failed before")] = False,
    engine: Annotated[
        Literal["local", "ray"] | None,
        typer.Option(help="this machine, or a Ray cluster; default: the recipe's, or local"),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(help="judges at work; default: one on each GPU, or one in all without", min=1)
    ] = None,
    gpus: Annotated[
        int | None, typer.Option(help="GPUs of each judge; default: one, or all for a teacher with a device map", min=1)
    ] = None,
    address: Annotated[str | None, typer.Option(help="of a running Ray cluster; default: Ray is started here")] = None,
    batch_lists: Annotated[
        int | None, typer.Option(help="lists that a judge reads together if it can; default: the recipe's, or 1", min=1)
    ] = None,
    dry_run: Annotated[bool, typer.Option(help="time a few lists, print the job's cost, write nothing")] = False,
    set_: Annotated[list[str] | None, typer.Option("--set", help="a setting over the recipe's; repeatable")] = None,
) -> None:
    """Label candidate lists. Queries that a teacher was fitted on, or that measure students, are left out."""
    from distill.recipe.settings import JudgeSection
    from distill.stages.label_engines import LOCAL
    from labeling.job import JobSettings

    of_engine = {
        "name": engine, "workers": workers, "address": address, "gpus": gpus, "batch_lists": batch_lists,
    }  # fmt: skip
    said = {name: value for name, value in of_engine.items() if value is not None}
    # what these say of a job by flags, a recipe says itself
    for_flags = {
        "--collection": collection, "--run": run, "--queries": queries, "--candidates": candidates != CANDIDATES,
        "--pre-ranked": pre_ranked, "--bottom": bottom, "--teacher": teacher, "--method": method,
        "--generate": generate, "--max-document-words": max_document_words != DOCUMENT_WORDS,
        "--cross-encoder": cross_encoder, "--bi-encoder": bi_encoder, "--judgments": judgments,
        "--no-evidence": not evidence, "--orders": orders, "--first-order": first_order, "--reasons": reasons,
        "--reason-documents": reason_documents != REASON_DOCUMENTS, "--shard": shard,
        "--part-lists": part_lists != PART_LISTS, "--retry-failed": retry_failed,
    }  # fmt: skip
    if recipe is not None:
        given = [name for name, value in for_flags.items() if value]
        if given:
            raise typer.BadParameter(f"with a recipe there is no {', '.join(given)}: the recipe says it, see --set")
        _label_recipe(recipe, set_ or [], out, said, dry_run)
        return
    if set_:
        raise typer.BadParameter("it changes a recipe's settings, and no recipe is given", param_hint="--set")
    if collection is None or run is None:
        raise typer.BadParameter("without a recipe, --collection and --run are needed")
    lists = _Lists(collection, run, queries, candidates, pre_ranked, bottom, shard)
    says = JudgeSection(evidence=evidence, orders=orders, reasons=reasons, reason_documents=reason_documents)
    judge = _Judge(
        teacher, method, generate, max_document_words, cross_encoder, bi_encoder, judgments, says, first_order
    )
    settings = JobSettings(part_lists=part_lists, retry_failed=retry_failed)
    _label_flags(lists, judge, out, _engine(LOCAL, said), settings, dry_run)


def _engine(settings: EngineSettings, said: Mapping[str, Any]) -> EngineSettings:
    """The settings with what flags say over them."""
    found = replace(settings, **said)
    if found.address is not None and found.name != "ray":
        raise typer.BadParameter(
            f"{found.address!r} is for --engine ray; the engine is {found.name}", param_hint="--address"
        )
    return found


@dataclass(frozen=True, slots=True)
class _Lists:
    """What to label, as flags say it."""

    collection: Path
    run: Path
    queries: Path | None
    candidates: int
    pre_ranked: Path | None
    bottom: int
    shard: str | None

    def choose(self, console: Console, judge: _Judge) -> tuple[Collection, Run, Run]:
        """The collection, the whole first stage, and what the judge reads of it."""
        from distill.collections.beir import read_beir
        from distill.collections.collection import DataError
        from distill.collections.trec import check_run, read_run
        from distill.stages.candidates import pre_ranked
        from distill.stages.roles import measuring, read_ids
        from distill.stages.teacher import fitted_on
        from labeling.shards import Shard

        if self.bottom >= self.candidates:
            problem = f"{self.bottom} is not below --candidates {self.candidates}"
            raise typer.BadParameter(problem, param_hint="--bottom")
        share = Shard.parse(self.shard or "1/1")
        loaded, ranked = read_beir(self.collection), read_run(self.run)
        check_run(ranked, loaded, str(self.run))
        by = read_run(self.pre_ranked) if self.pre_ranked else None
        wanted = list(ranked) if self.queries is None else read_ids(self.queries, loaded)
        seen = fitted_on(judge.teacher) if judge.teacher else set()
        unfit = {"the teacher was fitted on their judgments": seen}
        if judge.judgments is not None:
            unfit = {f"no judgments of {judge.judgments}": set(wanted) - loaded.split(judge.judgments).keys()}
        elif self.queries is None:
            unfit["judged in dev or test, which are to measure students (--queries takes them)"] = measuring(loaded)
        free = wanted
        for why, some in unfit.items():
            kept = [query_id for query_id in free if query_id not in some]
            if left_out := len(free) - len(kept):
                said = f"{left_out} of {len(wanted)} queries are left out: {why}"
                console.print(said, highlight=False, soft_wrap=True, markup=False)
            free = kept
        if not free:
            raise DataError(f"{self.run}: none of its {len(wanted)} queries is left to label")
        mine = [query_id for query_id in free if share.holds(query_id)]
        chosen = pre_ranked(ranked, mine, self.candidates, self.bottom, by)
        if without := [query_id for query_id in mine if query_id not in chosen]:
            said = f"{len(without)} of {len(mine)} queries have no candidates in {self.run}, such as {without[0]!r}"
            if not chosen:
                raise DataError(said)
            console.print(f"{said}; they are left out", highlight=False, soft_wrap=True, markup=False)
        return loaded, ranked, chosen


@dataclass(frozen=True, slots=True)
class _Judge:
    """Who labels, as flags say it."""

    teacher: Path | None
    method: Method | None
    generate: str | None
    max_document_words: int
    cross_encoder: str | None
    bi_encoder: str | None
    judgments: str | None
    says: JudgeSection
    first_order: int

    def source(self, lists: _Lists) -> Source:
        """What opens the judge."""
        from distill.stages.judge_sources import JudgmentSource, ModelSource, TeacherSource

        named = {
            "--teacher": self.teacher, "--generate": self.generate, "--cross-encoder": self.cross_encoder,
            "--bi-encoder": self.bi_encoder, "--judgments": self.judgments,
        }  # fmt: skip
        given = [name for name, value in named.items() if value is not None]
        if len(given) != 1:
            raise typer.BadParameter(f"one judge is needed: {', '.join(named)}; got {', '.join(given) or 'none'}")
        self._refuse_what_it_would_ignore()
        if self.teacher is not None:
            return TeacherSource(
                self.teacher, self.method, lists.collection, lists.run, self.says, first_order=self.first_order
            )
        if self.judgments is not None:
            return JudgmentSource(lists.collection, self.judgments, self.says)
        if self.generate is not None:
            return ModelSource("generative", self.generate, self.says, self.max_document_words)
        if self.bi_encoder is not None:
            return ModelSource("bi_encoder", self.bi_encoder, self.says, self.max_document_words)
        return ModelSource("cross_encoder", str(self.cross_encoder), self.says, self.max_document_words)

    def _refuse_what_it_would_ignore(self) -> None:
        heads, writer = self.teacher is not None, self.generate is not None
        reason_documents = self.says.reason_documents != REASON_DOCUMENTS
        of_some = [
            ("--method", self.method is not None, heads, "--teacher"),
            ("--first-order", self.first_order > 0, heads, "--teacher"),
            ("--max-document-words", self.max_document_words != DOCUMENT_WORDS, writer, "--generate"),
            ("--orders", self.says.orders is not None, heads or writer, "--teacher and --generate"),
            ("--reason-documents", reason_documents, self.says.reasons is not None, "--reasons"),
        ]
        for option, given, known, whose in of_some:
            if given and not known:
                raise typer.BadParameter(f"it is for {whose} alone", param_hint=option)


def _label_flags(
    lists: _Lists, judge: _Judge, out: Path, where: EngineSettings, settings: JobSettings, dry_run: bool
) -> None:
    from distill.progress import progress_bar
    from distill.stages.label_engines import open_engine
    from distill.stages.labels import label_candidates

    console = Console()
    source = judge.source(lists)
    loaded, ranked, chosen = lists.choose(console, judge)
    if dry_run:
        _show_plan(console, loaded, ranked, chosen, source, out, settings, where)
        return
    with (
        open_engine(where, source, loaded, ranked) as engine,
        progress_bar(console, "labels", "lists") as advance,
    ):
        report = label_candidates(loaded, chosen, engine, out, advance, settings)
    counts = report.counts
    console.print(
        f"{out}: {counts['lists']} lists ({report.resumed} stood already), {counts['documents']} documents, "
        f"{counts['missing']} missing, {counts['failed']} lists failed",
        highlight=False, soft_wrap=True, markup=False,
    )  # fmt: skip


def _label_recipe(name: str, changes: list[str], out: Path, said: Mapping[str, Any], dry_run: bool) -> None:
    from distill import steps
    from distill.checking.report import checked_recipe
    from distill.collections.collection import DataError
    from distill.pipeline import open_run, run_recipe
    from distill.stages.label_engines import EngineSettings
    from labeling.job import JobSettings

    console = Console()
    recipe = checked_recipe(name, changes)
    if recipe.teacher is None:
        raise DataError(f"{name}: this recipe has no teacher, so it labels nothing; `distill run` carries it out")
    where = _engine(EngineSettings.of(recipe.labels.engine), said)
    if not dry_run:
        run_recipe(recipe, out, console, last="labels", engine=where)
        return
    run = open_run(recipe, out, before="labels", engine=where)
    places = [out / folder / steps.LISTS for folder in ("labels.partial", "labels")]
    folder = next((place for place in places if place.exists()), places[-1])
    lists, settings = steps.labelled_candidates(run), JobSettings(part_lists=steps.PART_LISTS)
    _show_plan(console, run.collection, run.first_stage, lists, steps.teacher_source(run), folder, settings, run.engine)


def _show_plan(
    console: Console, collection: Collection, run: Run, lists: Run, source: Source, folder: Path,
    settings: JobSettings, where: EngineSettings,
) -> None:  # fmt: skip
    from distill.commands.tables import label_plan_table
    from distill.stages.label_plan import plan_labels

    judge = source.open_here(collection, run)
    # how many a cluster has room for is known once the job is connected to it
    of_cluster = where.name == "ray" and where.workers is None
    workers = where.workers or (1 if of_cluster else _judges_here(where, source))
    plan = plan_labels(collection, lists, judge, folder, settings, workers, source.orders)
    console.print(label_plan_table(plan, folder))
    if of_cluster and plan.cost is not None:
        said = "the time is that of one judge: a cluster's are counted when the job runs; --workers says how many"
        console.print(said, highlight=False, soft_wrap=True)


def _judges_here(where: EngineSettings, source: Source) -> int:
    from distill.models import cuda_devices
    from distill.stages.label_engines import device_shares

    return max(1, len(device_shares(cuda_devices(), where.gpus, source.spread)))
