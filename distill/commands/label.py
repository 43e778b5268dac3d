"""`distill label`: candidate lists in, ranking labels out; killed at any moment, the same command goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console


def label(
    collection: Annotated[Path, typer.Option(help="BEIR folder")],
    run: Annotated[Path, typer.Option(help="TREC run with the candidates of the queries to label")],
    teacher: Annotated[Path, typer.Option(help="folder of a fitted teacher")],
    out: Annotated[Path, typer.Option(help="label folder; lists that it holds already are not read again")],
    queries: Annotated[Path | None, typer.Option(help="file with one query id a line; default: all of the run")] = None,
    candidates: Annotated[int, typer.Option(help="documents read for each query", min=1)] = 20,
    method: Annotated[
        Literal["all_heads", "static_heads", "static_weights", "routehead", "mixture"] | None,
        typer.Option(help="how heads are used; default: the last of these that the teacher holds"),
    ] = None,
    part_lists: Annotated[int, typer.Option(help="lists written at once: what a killed job may lose", min=1)] = 16,
    retry_failed: Annotated[bool, typer.Option(help="read lists again that failed before")] = False,
) -> None:
    """Label candidate lists with a fitted teacher. Queries that the teacher was fitted on are left out."""
    from distill.collections.beir import read_beir
    from distill.collections.trec import check_run, read_run
    from distill.progress import progress_bar
    from distill.stages.candidates import top
    from distill.stages.labels import label_candidates
    from distill.stages.roles import read_ids
    from distill.stages.teacher import fitted_on, open_teacher
    from labeling.job import JobSettings

    console = Console()
    loaded, ranked = read_beir(collection), read_run(run)
    check_run(ranked, loaded, str(run))
    wanted = list(ranked) if queries is None else read_ids(queries, loaded)
    seen = fitted_on(teacher)
    left_out = sum(query_id in seen for query_id in wanted)
    if left_out:
        console.print(f"{left_out} queries are left out: the teacher was fitted on their judgments", highlight=False)
    lists = top(ranked, [query_id for query_id in wanted if query_id not in seen], candidates)
    judge = open_teacher(teacher, method, loaded, ranked)
    settings = JobSettings(part_lists=part_lists, retry_failed=retry_failed)
    with progress_bar(console, "labels", "lists") as advance:
        report = label_candidates(loaded, lists, judge, out, advance, settings)
    counts = report.counts
    console.print(
        f"{out}: {counts['lists']} lists ({report.resumed} stood already), {counts['documents']} documents, "
        f"{counts['missing']} missing, {counts['failed']} lists failed",
        highlight=False, soft_wrap=True,
    )  # fmt: skip
