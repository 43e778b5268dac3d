"""`distill label`: candidate lists in, ranking labels out; killed at any moment, the same command goes on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console

if TYPE_CHECKING:
    from distill.collections.collection import Collection, Run
    from distill.stages.label_engines import EngineSettings, TeacherSource
    from distill.stages.teacher import Method
    from labeling.job import JobSettings

CANDIDATES = 20
PART_LISTS = 16


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
    teacher: Annotated[Path | None, typer.Option(help="folder of a fitted teacher")] = None,
    queries: Annotated[Path | None, typer.Option(help="file with one query id a line; default: all of the run")] = None,
    candidates: Annotated[int, typer.Option(help="documents read for each query", min=1)] = CANDIDATES,
    method: Annotated[
        Literal["all_heads", "static_heads", "static_weights", "routehead", "mixture"] | None,
        typer.Option(help="how heads are used; default: the last of these that the teacher holds"),
    ] = None,
    shard: Annotated[
        str | None, typer.Option(help="label one share of the queries, as 3/8; each share in a folder of its own")
    ] = None,
    part_lists: Annotated[
        int, typer.Option(help="lists written at once: what a killed job may lose", min=1)
    ] = PART_LISTS,
    retry_failed: Annotated[bool, typer.Option(help="read lists again that failed before")] = False,
    engine: Annotated[Literal["local", "ray"], typer.Option(help="this machine, or a Ray cluster")] = "local",
    workers: Annotated[
        int | None, typer.Option(help="teachers at work; default: one on each GPU, or one in all without", min=1)
    ] = None,
    address: Annotated[str | None, typer.Option(help="of a running Ray cluster; default: Ray is started here")] = None,
    batch_lists: Annotated[int, typer.Option(help="lists that a teacher reads together if it can", min=1)] = 1,
    dry_run: Annotated[bool, typer.Option(help="time a few lists, print the job's cost, write nothing")] = False,
    set_: Annotated[list[str] | None, typer.Option("--set", help="a setting over the recipe's; repeatable")] = None,
) -> None:
    """Label candidate lists with a fitted teacher. Queries that the teacher was fitted on are left out."""
    from distill.stages.label_engines import EngineSettings

    if address is not None and engine != "ray":
        raise typer.BadParameter(f"{address!r} is for --engine ray; the engine is {engine}", param_hint="--address")
    where = EngineSettings(engine, workers, address, batch_lists)
    if recipe is None:
        if collection is None or run is None or teacher is None:
            raise typer.BadParameter("without a recipe, --collection, --run and --teacher are needed")
        choice = _Choice(collection, run, teacher, queries, candidates, method, shard)
        _label_flags(choice, out, where, part_lists, retry_failed, dry_run)
        return
    own = {
        "--collection": collection, "--run": run, "--teacher": teacher, "--queries": queries, "--method": method,
        "--shard": shard, "--retry-failed": retry_failed,
        "--candidates": candidates != CANDIDATES, "--part-lists": part_lists != PART_LISTS,
    }  # fmt: skip
    given = [name for name, value in own.items() if value]
    if given:
        raise typer.BadParameter(
            f"with a recipe there is no {', '.join(given)}: the recipe says it, or it is for flags"
        )
    _label_recipe(recipe, set_ or [], out, where, dry_run)


@dataclass(frozen=True, slots=True)
class _Choice:
    """What to label, and by which teacher, as flags say it."""

    collection: Path
    run: Path
    teacher: Path
    queries: Path | None
    candidates: int
    method: Method | None
    shard: str | None


def _label_flags(
    choice: _Choice, out: Path, where: EngineSettings, part_lists: int, retry_failed: bool, dry_run: bool
) -> None:
    from distill.collections.beir import read_beir
    from distill.collections.trec import check_run, read_run
    from distill.progress import progress_bar
    from distill.stages.candidates import top
    from distill.stages.label_engines import TeacherSource, open_engine
    from distill.stages.labels import label_candidates
    from distill.stages.roles import read_ids
    from distill.stages.teacher import fitted_on
    from labeling.job import JobSettings
    from labeling.shards import Shard

    console = Console()
    share = Shard.parse(choice.shard or "1/1")
    loaded, ranked = read_beir(choice.collection), read_run(choice.run)
    check_run(ranked, loaded, str(choice.run))
    wanted = list(ranked) if choice.queries is None else read_ids(choice.queries, loaded)
    seen = fitted_on(choice.teacher)
    left_out = sum(query_id in seen for query_id in wanted)
    if left_out:
        console.print(f"{left_out} queries are left out: the teacher was fitted on their judgments", highlight=False)
    mine = [query_id for query_id in wanted if query_id not in seen and share.holds(query_id)]
    lists = top(ranked, mine, choice.candidates)
    source = TeacherSource(choice.teacher, choice.method, choice.collection, choice.run)
    settings = JobSettings(part_lists=part_lists, retry_failed=retry_failed)
    if dry_run:
        _show_plan(console, loaded, ranked, lists, source, out, settings, where)
        return
    with (
        open_engine(where, source, loaded, ranked) as engine,
        progress_bar(console, "labels", "lists") as advance,
    ):
        report = label_candidates(loaded, lists, engine, out, advance, settings)
    counts = report.counts
    console.print(
        f"{out}: {counts['lists']} lists ({report.resumed} stood already), {counts['documents']} documents, "
        f"{counts['missing']} missing, {counts['failed']} lists failed",
        highlight=False, soft_wrap=True,
    )  # fmt: skip


def _label_recipe(name: str, changes: list[str], out: Path, where: EngineSettings, dry_run: bool) -> None:
    from distill.pipeline import open_run, run_recipe
    from distill.recipe import load_recipe
    from distill.steps import LISTS, labelled_candidates, teacher_source
    from labeling.job import JobSettings

    console = Console()
    recipe = load_recipe(name, changes)
    if not dry_run:
        run_recipe(recipe, out, console, last="labels", engine=where)
        return
    run = open_run(recipe, out, before="labels")
    begun = [out / folder / LISTS for folder in ("labels.partial", "labels") if (out / folder / LISTS).exists()]
    folder = begun[0] if begun else out / "labels" / LISTS
    lists, settings = labelled_candidates(run), JobSettings(part_lists=PART_LISTS)
    _show_plan(console, run.collection, run.first_stage, lists, teacher_source(run), folder, settings, where)


def _show_plan(
    console: Console, collection: Collection, run: Run, lists: Run, source: TeacherSource, folder: Path,
    settings: JobSettings, where: EngineSettings,
) -> None:  # fmt: skip
    from distill.commands.tables import label_plan_table
    from distill.models import cuda_devices
    from distill.stages.label_plan import plan_labels
    from distill.stages.teacher import open_teacher, read_section

    judge = open_teacher(source.folder, source.method, collection, run)
    workers = where.workers or max(1, len(cuda_devices()))
    orders = read_section(source.folder).prompt.orders
    plan = plan_labels(collection, lists, judge, folder, settings, workers, orders)
    console.print(label_plan_table(plan, folder))
