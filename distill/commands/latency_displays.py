"""How `distill latency` shows what it measured."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console
from rich.table import Table
from rich.text import Text

from distill.commands.terminal import table_console, visible
from distill.evaluation.latency import LEAST, LatencyFigure, LatencyReport


def show_latency(report: LatencyReport, run: str) -> None:
    """Print the table and, under it, how its figures came about."""
    console = Console()
    table_console().print(latency_table(report))
    for note in notes(report, run):
        console.print(visible(note), markup=False, highlight=False, soft_wrap=True)


def latency_table(report: LatencyReport) -> Table:
    """One row a model and length of list."""
    table = Table(title="milliseconds a query, one query after the other", title_justify="left")
    table.add_column("model", overflow="fold")
    filled = any(figure.filled for figure in report.figures)
    columns = ["documents", "queries", *(f"p{percentile} ms" for percentile in LEAST), "pairs/s", "tokens/query"]
    columns += [*(["filled"] if filled else []), *(["MiB"] if report.memory else [])]
    for heading in columns:
        table.add_column(heading, justify="right")
    for figure in report.figures:
        cells = [str(figure.documents), str(figure.queries), *(_milliseconds(figure, p) for p in LEAST)]
        cells += [f"{figure.pairs_per_second:.1f}", f"{figure.tokens:.0f}"]
        cells += [str(figure.filled)] if filled else []
        cells += [f"{report.memory[figure.model].resident_mib:.0f}"] if report.memory else []
        table.add_row(Text(visible(figure.model)), *cells)
    return table


def notes(report: LatencyReport, run: str) -> Iterator[str]:
    """What the table cannot say, a line each."""
    figures = report.figures
    yield f"candidates: those of {run}; padding is not among the tokens"
    for percentile, least in LEAST.items():
        fewest = min(figure.queries for figure in figures)
        if fewest < least:
            yield f"-: p{percentile} takes at least {least} measurements, there are {fewest}"
    if any(figure.filled for figure in figures):
        yield "filled: queries with fewer candidates than that; other queries' candidates were added to theirs"
    if report.memory:
        longest = max(figure.documents for figure in figures)
        yield f"MiB: resident memory of a process with this model alone, libraries included, after {longest} documents"
    for model, use in report.memory.items():
        if use.device_mib is not None:
            yield f"{model}: {use.device_mib:.0f} MiB of the accelerator's memory at most"
    machine = report.machine
    if machine.get("backends"):
        yield "run by: " + "; ".join(f"{model} {backend}" for model, backend in machine["backends"].items())
    if machine:
        yield (
            f"machine: {machine['accelerator'] or machine['processor']}, device {machine['device']}, "
            f"{machine['threads']} of {machine['cores']} cores; load average {machine['load_average_before']:.1f} "
            f"before and {machine['load_average_after']:.1f} after"
        )


def _milliseconds(figure: LatencyFigure, percentile: int) -> str:
    found = figure.milliseconds(percentile)
    return "-" if found is None else f"{found:.1f}"
