"""What `distill export` prints: servers, parity and findings as tables."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from distill.export.check import CheckReport
    from distill.export.folder import ExportReport
    from distill.export.parity import LoaderParity
    from distill.export.servers import Verdict

_STATES = {"pass": "[green]pass[/green]", "warn": "[yellow]warn[/yellow]", "fail": "[red]FAIL[/red]"}


def print_export(console: Console, report: ExportReport) -> None:
    """What was written, how it scores, and who can load it."""
    pairs = report.parity[0].pairs if report.parity else 0
    console.print(
        f"{escape(str(report.out))}: {report.target}, {report.bytes / 2**20:.0f} MiB, {report.seconds:.0f} s; "
        f"{pairs} pairs",
        highlight=False, soft_wrap=True,
    )  # fmt: skip
    for note in report.notes:
        console.print(f"  note: {escape(note)}", highlight=False, soft_wrap=True)
    if report.graph_difference is not None:
        shown = (
            f"  fp32 graph beside the model, padded on either side: largest difference {report.graph_difference:.1e}"
        )
        console.print(shown, highlight=False, soft_wrap=True)
    if report.gate is not None:
        console.print(f"  int8 beside fp32: {report.gate.summary()}", highlight=False, soft_wrap=True)
        for failure in report.gate.failures:
            console.print(f"  [yellow]forced[/yellow]: {escape(failure)}", highlight=False, soft_wrap=True)
    console.print(parity_table(report.parity))
    console.print(servers_table(report.servers))


def print_check(console: Console, report: CheckReport) -> None:
    """Every rule, each loader's scores, and how scores are to be read."""
    table = Table(title=f"rules of {escape(str(report.path))}", title_justify="left")
    for name in ("rule", "", "what came", "what is accepted", "how to repair it"):
        table.add_column(name, overflow="fold")
    for finding in report.findings:
        accepted = "" if finding.state == "pass" else finding.accepted
        table.add_row(finding.rule, _STATES[finding.state], *map(escape, (finding.came, accepted, finding.repair)))
    console.print(table)
    if report.parity:
        console.print(parity_table(report.parity))
    console.print(f"scores: {escape(report.reading)}", highlight=False, soft_wrap=True)
    if report.servers:
        console.print(servers_table(report.servers))
    failed = [finding.rule for finding in report.findings if finding.state == "fail"]
    failed += [row.loader for row in report.parity if not row.passed]
    verdict = f"[red]fails[/red]: {', '.join(failed)}" if failed else "[green]green[/green]"
    console.print(f"{escape(str(report.path))}: {verdict}", highlight=False, soft_wrap=True)


def parity_table(rows: Sequence[LoaderParity]) -> Table:
    """One row a loader."""
    table = Table(title="the folder's pairs, scored again", title_justify="left")
    for name in ("loader", "pairs", "largest difference", "Spearman", "", "returns"):
        table.add_column(name, justify="right" if name in ("pairs", "largest difference", "Spearman") else "left")
    for row in rows:
        spearman = "-" if math.isnan(row.spearman) else f"{row.spearman:.4f}"
        state = _STATES["pass" if row.passed else "fail"]
        told = row.scores if row.problem is None else row.problem
        table.add_row(row.loader, str(row.pairs), f"{row.largest:.1e}", spearman, state, escape(told))
    return table


def servers_table(rows: Sequence[Verdict]) -> Table:
    """One row a server."""
    table = Table(title="who can load it", title_justify="left")
    for name in ("server", "", "why not"):
        table.add_column(name, overflow="fold")
    for row in rows:
        state = "[green]yes[/green]" if row.reason is None else "[red]no[/red]"
        table.add_row(row.server, state, escape(row.reason or ""))
    return table
