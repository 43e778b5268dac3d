"""`distill latency`: how long models take for a query, side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def latency(
    models: Annotated[
        list[str],
        typer.Argument(
            help="MODEL or NAME=MODEL: a student's folder, an exported one, any cross-encoder with one output, a "
            "bi-encoder; onnx:, torch: or a number type may stand before it, as in bf16=bfloat16:./folder"
        ),
    ],
    collection: Annotated[Path, typer.Option(help="BEIR folder")],
    run: Annotated[Path, typer.Option(help="TREC run with the candidates")],
    documents: Annotated[str, typer.Option(help="lengths of the lists that are timed")] = "10,20,50,100",
    queries: Annotated[int, typer.Option(min=1, help="queries timed at each length; p99 takes 100")] = 100,
    warmup: Annotated[int, typer.Option(min=0, help="queries scored before, which do not count")] = 3,
    device: Annotated[str | None, typer.Option(help="as cuda or cpu; default: an accelerator if there is one")] = None,
    memory: Annotated[bool, typer.Option(help="also load each model in a process of its own")] = True,
    json_file: Annotated[Path | None, typer.Option("--json", help="also write everything to this file")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="replace what is there")] = False,
) -> None:
    """Time models on a run's real candidates, one query after the other; the models take turns at each query."""
    from rich.console import Console

    from distill.collections.beir import read_beir
    from distill.collections.files import refuse_existing
    from distill.collections.trec import check_run, read_run
    from distill.commands.latency_displays import show_latency
    from distill.progress import progress_bar
    from distill.report.json_files import write_json

    if json_file is not None:
        refuse_existing(json_file, overwrite)
    named, lengths = named_models(models), list_lengths(documents)
    loaded, ranked = read_beir(collection), read_run(run)
    check_run(ranked, loaded, str(run))
    # what takes time to load comes after what can be refused without it
    from distill.stages.latency import models_latency, timed_lists

    lists = timed_lists(loaded, ranked, lengths, queries, str(run))
    with progress_bar(Console(), "timing", "queries") as advance:
        report = models_latency(named, lists, warmup, device, memory, advance)
    if json_file is not None:
        write_json({"collection": str(collection), "run": str(run), "warmup": warmup, **report.as_json()}, json_file)
    show_latency(report, str(run))


def named_models(texts: list[str]) -> dict[str, str]:
    """``["small=./encoder/model", "./decoder/model"]`` as models by name; without a name a model is its own.

    Raises:
        DataError: a name is given twice, or a side of the sign is empty.
    """
    from distill.collections.collection import DataError

    named: dict[str, str] = {}
    for text in texts:
        name, sign, model = text.partition("=")
        # a path may hold the sign itself
        if not sign or Path(text).exists():
            name = model = text
        if not (name and model):
            raise DataError(f"model {text!r}; MODEL or NAME=MODEL is accepted")
        if name in named:
            raise DataError(f"model {text!r}: the name {name!r} a second time; write NAME=MODEL to tell them apart")
        named[name] = model
    return named


def list_lengths(text: str) -> list[int]:
    """``"10,20"`` as numbers, in rising order, each once.

    Raises:
        DataError: it is anything else.
    """
    from distill.collections.collection import DataError

    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdecimal() and 1 <= int(part) <= 10_000 for part in parts):
        raise DataError(f"--documents {text!r}; whole numbers from 1 to 10000 are accepted, as in 10,20,50,100")
    return sorted({int(part) for part in parts})
