"""`distill export`: any one-label cross-encoder as a folder for other servers; `distill export check` examines one."""

from __future__ import annotations

import json
from contextlib import nullcontext
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from typer.core import TyperGroup

if TYPE_CHECKING:
    from distill.export.pairs import RealLists

_MODEL, _CHECK = "model", "check"


class _ModelOrCheck(TyperGroup):
    """``export check FOLDER`` is a subcommand; what else comes first is a model (a folder called check: ./check)."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the name of the unnamed subcommand before everything but ``check``."""
        return super().parse_args(ctx, args if args[:1] == [_CHECK] else [_MODEL, *(args or ["--help"])])

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """The subcommand; the unnamed one stays unnamed in its own help."""
        name, command, rest = super().resolve_command(ctx, args)
        return (name if name == _CHECK else ""), command, rest


class Form(StrEnum):
    """What can be written."""

    HF = "hf"
    ONNX = "onnx"
    INT8 = "onnx-int8"


app = typer.Typer(cls=_ModelOrCheck, help="A re-ranker as a folder for other servers; `export check` examines one.")


@app.command(_MODEL)
def export(
    model: Annotated[
        str,
        typer.Argument(
            help="a student's folder, or any cross-encoder with one label: folder, hub id (@REVISION pins it)"
        ),
    ],
    out: Annotated[Path, typer.Option(help="folder to write; must not exist")],
    target: Annotated[Form, typer.Option(help="form of the folder")] = Form.HF,
    collection: Annotated[Path | None, typer.Option(help="BEIR folder with the texts of --run")] = None,
    run: Annotated[Path | None, typer.Option(help="TREC run: real lists to check and judge with")] = None,
    pairs_file: Annotated[
        Path | None, typer.Option(help="JSON lines with query and document instead; one list a query")
    ] = None,
    pairs: Annotated[int, typer.Option(help="pairs whose scores travel with the folder", min=3)] = 20,
    candidates: Annotated[int, typer.Option(help="documents of each list of --run", min=2)] = 20,
    lists: Annotated[int, typer.Option(help="most lists that judge an int8 graph", min=10)] = 100,
    intended: Annotated[
        list[str] | None, typer.Option("--for", help="a server that must be able to load it; repeatable")
    ] = None,
    activation: Annotated[str, typer.Option(help="what loaders make of the logit: keep, logit or sigmoid")] = "keep",
    pair_template: Annotated[
        str | None, typer.Option(help="text that a decoder was trained with, holding {query} and {document}")
    ] = None,
    min_tau: Annotated[float, typer.Option(help="int8: least Kendall tau-b with fp32", min=0, max=1)] = 0.87,
    min_overlap: Annotated[float, typer.Option(help="int8: least overlap of the top 10", min=0, max=1)] = 0.9,
    max_ndcg_loss: Annotated[float, typer.Option(help="int8: most nDCG@10 lost, by its 95 % interval", min=0)] = 0.05,
    force: Annotated[bool, typer.Option(help="write an int8 graph unjudged, or that its gate refuses")] = False,
) -> None:
    """Write a re-ranker as other servers load it, load it again with each library here, and compare the scores.

    `distill export check FOLDER` examines such a folder; a model in a folder called check is ./check.
    """
    from distill.commands.export_displays import print_export
    from distill.export.folder import ExportRequest, export_model, fp32_graph, refuse_at_once
    from distill.export.gate import GateLimits
    from distill.export.model_folder import read_model_folder
    from distill.export.pairs import BUILT_IN, spread_pairs
    from distill.export.servers import refuse_impossible
    from distill.export.source import local_folder, open_source
    from distill.progress import progress_bar

    real = _real_lists(collection, run, pairs_file, candidates)
    chosen = BUILT_IN[:pairs] if real is None else spread_pairs(real.texts(), pairs)
    limits = GateLimits(min_tau, min_overlap, max_ndcg_loss)
    judged = real.spread(lists) if real else None
    request = ExportRequest(target.value, out, chosen, judged, limits, force)
    refuse_at_once(request)
    folder = read_model_folder(local_folder(model))
    refuse_impossible(folder, request.target, intended or [])
    request = replace(request, graph=fp32_graph(folder))
    console = Console()
    judging = progress_bar(console, "judging int8", "lists") if target is Form.INT8 else nullcontext()
    with judging as advance:
        report = export_model(open_source(model, activation, pair_template), request, advance)
    print_export(console, report)


@app.command(_CHECK)
def check(
    folder: Annotated[Path, typer.Argument(help="what `distill export` wrote, or any re-ranker's folder")],
    as_json: Annotated[bool, typer.Option("--json", help="print JSON instead of tables")] = False,
) -> None:
    """Examine a folder by every rule that servers' loaders have, and compare each library's scores with its own.

    Exit code 0: all is well; 1: a rule fails or a loader scores otherwise; 2: no model's folder.
    """
    from distill.commands.export_displays import print_check
    from distill.export.check import check_folder

    report = check_folder(folder)
    if as_json:
        typer.echo(json.dumps(report.to_json(), indent=2))
    else:
        print_check(Console(), report)
    if not report.passed:
        raise typer.Exit(1)


def _real_lists(
    collection: Path | None, run: Path | None, pairs_file: Path | None, candidates: int
) -> RealLists | None:
    from distill.collections.beir import read_beir
    from distill.collections.collection import DataError
    from distill.collections.trec import check_run, read_run
    from distill.export.pairs import lists_of, read_pairs
    from distill.stages.candidates import top

    if pairs_file is not None:
        if collection or run:
            raise DataError("--pairs-file: real lists come from it or from --collection and --run, not from both")
        return read_pairs(pairs_file)
    if collection is None and run is None:
        return None
    if collection is None or run is None:
        raise DataError("--collection and --run go together: the run names the documents, the collection has the texts")
    loaded, ranked = read_beir(collection), read_run(run)
    check_run(ranked, loaded, str(run))
    return lists_of(loaded, top(ranked, ranked, candidates))
