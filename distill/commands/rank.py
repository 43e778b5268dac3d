"""`distill rank`: re-rank the candidates of a run with a student, or another light model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console


def rank(
    model: Annotated[
        str, typer.Argument(help="a student's folder, any cross-encoder with one output, or a bi-encoder")
    ],
    collection: Annotated[Path, typer.Option(help="BEIR folder")],
    run: Annotated[Path, typer.Option(help="TREC run with the candidates")],
    out: Annotated[Path, typer.Option(help="TREC run to write")],
    candidates: Annotated[int, typer.Option(help="documents of each query that are re-ranked", min=1)] = 50,
    overwrite: Annotated[bool, typer.Option(help="replace --out if it exists")] = False,
) -> None:
    """Score each query's candidates with a student and write the new ranking as a TREC run.

    A run that a light model made so is what `distill label --pre-ranked` cuts its lists by.
    """
    from distill.collections.beir import read_beir
    from distill.collections.trec import check_run, read_run, write_run
    from distill.errors import ModelError
    from distill.progress import progress_bar
    from distill.stages.candidates import top
    from distill.stages.students import rerank

    if out.exists() and not overwrite:
        raise ModelError(f"{out}: exists already; give --overwrite to replace it")
    console = Console()
    loaded, ranked = read_beir(collection), read_run(run)
    check_run(ranked, loaded, str(run))
    with progress_bar(console, "ranking", "queries") as advance:
        scores = rerank(model, loaded, top(ranked, ranked, candidates), advance)
    write_run(scores, out, tag=Path(model).name)
    console.print(f"{out}: {len(scores)} queries re-ranked", highlight=False, soft_wrap=True)
