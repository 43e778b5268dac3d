"""`distill first-stage`: candidates by BM25 for a collection's queries."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.console import Console

from distill.collections.beir import read_beir
from distill.collections.collection import DataError
from distill.collections.files import refuse_existing
from distill.collections.trec import write_run
from distill.commands.terminal import visible

console = Console()

Tokens = Literal["words", "character_bigrams"]


def first_stage(
    collection: Annotated[Path, typer.Argument(help="a collection in BEIR's layout")],
    out: Annotated[Path, typer.Option("--out", help="the TREC run to write")],
    split: Annotated[str | None, typer.Option(help="only this split's queries; all queries if left out")] = None,
    depth: Annotated[int, typer.Option(min=1, help="candidates for each query")] = 50,
    k1: Annotated[float, typer.Option(min=0, help="how much a repeated word adds before it saturates")] = 1.5,
    b: Annotated[float, typer.Option(min=0, max=1, help="how much long documents are discounted, 0 to 1")] = 0.75,
    tokens: Annotated[Tokens, typer.Option(help="what is matched; bigrams suit Korean and Chinese")] = "words",
    language: Annotated[
        str, typer.Option(help="stemmer and stop words: a Snowball language, korean, korean_particles, or none")
    ] = "english",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="replace what is there")] = False,
) -> None:
    """Find candidates for every query by BM25 and write them as a TREC run.

    Another retriever's run can take the place of this one anywhere.
    """
    from pydantic import ValidationError

    from distill.first_stage import BM25Settings, bm25_run

    refuse_existing(out, overwrite)
    if language in ("korean", "korean_particles"):
        words: dict[str, Any] = {"language": language}
    else:
        words = {"stemmer": language, "stop_words": "english" if language == "english" else "none"}
    try:
        settings = BM25Settings.model_validate({"k1": k1, "b": b, "tokens": tokens, **words})
    except ValidationError as error:
        raise DataError(f"--language: {error.errors()[0]['msg'].removeprefix('Value error, ')}") from None
    read = read_beir(collection)
    query_ids = list(read.queries if split is None else read.split(split))
    run = bm25_run(read, query_ids, depth, settings)
    write_run(run, out, tag="bm25")
    counts = f"{len(run):,} of {len(query_ids):,} queries, depth {depth}"
    console.print(f"wrote {visible(str(out))}: {counts}", soft_wrap=True, highlight=False, markup=False)
