"""`distill counterfactual`: what a click log says of rankings that were never shown."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from distill.collections.collection import DataError
from distill.collections.files import refuse_existing
from distill.collections.trec import read_run
from distill.commands.terminal import table_console
from distill.report.json_files import write_json

if TYPE_CHECKING:
    from distill.evaluation.click_log import ClickLog
    from distill.evaluation.counterfactual import CounterfactualComparison
    from distill.evaluation.propensities import Propensities
    from distill.evaluation.statistics import Interval


def counterfactual(
    runs: Annotated[list[Path], typer.Argument(help="TREC runs; ids as in the log")],
    log: Annotated[Path, typer.Option(help="click log: .csv, .tsv, .jsonl (each also .gz) or .parquet")],
    columns: Annotated[
        str | None,
        typer.Option("--map", help="columns, as query=q,document=d,position=rank,clicked=c; or impressions=n beside"),
    ] = None,
    propensities: Annotated[
        Path | None, typer.Option(help="file with columns position and propensity: how likely each position is read")
    ] = None,
    randomised: Annotated[
        bool, typer.Option("--randomised", help="chance moved results in this log: estimate the propensities from it")
    ] = False,
    depth: Annotated[
        int | None, typer.Option(min=1, help="results of a run on a page; default: all positions with a propensity")
    ] = None,
    max_weight: Annotated[
        float | None,
        typer.Option(
            min=1,
            help="cut a click's weight at this: 1 / (propensity x share of its query's pages that show the result); "
            "default: no cut",
        ),
    ] = None,
    min_effective: Annotated[
        float, typer.Option(min=0, help="effective sample size below which a run is refused")
    ] = 100,
    seed: Annotated[int, typer.Option(min=0, help="of the bootstrap")] = 0,
    json: Annotated[Path | None, typer.Option("--json", help="also write the figures to this file")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="replace what is there")] = False,
) -> None:
    """Estimate from logged clicks what other rankings would have earned: IPS and SNIPS, position-based.

    A run whose estimate rests on too few clicks gets no figures, and the command ends with an error.
    """
    from distill.evaluation.click_log import ClickLogColumns, read_click_log
    from distill.evaluation.counterfactual import CounterfactualSettings
    from distill.evaluation.counterfactual import counterfactual as estimate

    if json is not None:
        refuse_existing(json, overwrite)
    if (propensities is None) == (not randomised):
        raise DataError(
            "give --propensities FILE, or --randomised if chance moved results in this log; "
            "how likely a position is read cannot be told from other logs"
        )
    read = {str(path): read_run(path) for path in runs}
    clicks = read_click_log(log, None if columns is None else ClickLogColumns.parse(columns))
    settings = CounterfactualSettings(depth, max_weight, min_effective, seed=seed)
    comparison = estimate(read, clicks, _known(propensities, clicks), settings)
    if json is not None:
        facts = {"log": str(log), "lines": clicks.lines, "settings": asdict(settings)}
        write_json(facts | asdict(comparison), json)
    table_console().print(_table(comparison))
    refused = [f"{value.name}: {value.refusal}" for value in comparison.rankings if value.refusal]
    if refused:
        raise DataError("; ".join(refused))


def _known(path: Path | None, log: ClickLog) -> Propensities:
    from distill.evaluation.propensities import estimate_propensities, read_propensities

    return estimate_propensities(log) if path is None else read_propensities(path)


def _table(comparison: CounterfactualComparison) -> Table:
    """One row a ranking, the logged one first."""
    known = comparison.propensities
    table = Table(
        title=f"estimated from {comparison.clicks:,} clicks on {comparison.pages:,} logged pages of "
        f"{comparison.queries:,} queries, top {comparison.depth}; 95 % intervals over queries",
        title_justify="left",
        caption=(
            f"Propensities: {escape(known.source)}. Assumed: {known.assumed}; reading depends on the position alone, "
            f"attraction on query and document alone. {comparison.left_out:,} logged queries that no run ranks are "
            "left out; a query that a run lacks earns it nothing. SNIPS: share of the attraction of the logged results "
            "that is read. Effective: clicks of equal weight that would say as much. Covered: below 100 % the ranking "
            "shows results that the log never did, which earn nothing here."
        ),
        caption_justify="left",
    )
    table.add_column("ranking", overflow="fold")
    headings = ("IPS, clicks/page", "vs logged", "vs first run", "SNIPS", "clicks", "effective", "covered", "cut")
    for heading in headings:
        table.add_column(heading, justify="right")
    table.add_row("as logged", _figure(comparison.logged_clicks_per_page), "", "", "", f"{comparison.clicks:,}")
    for value in comparison.rankings:
        table.add_row(
            escape(value.name),
            "REFUSED" if value.refusal else _figure(value.clicks_per_page),
            _figure(value.over_logged, "+"),
            _figure(value.over_first, "+"),
            _figure(value.reach),
            f"{value.clicks:,}",
            f"{value.effective_clicks:,.1f}",
            f"{value.covered:.0%}",
            f"{value.cut:.0%}",
        )
    return table


def _figure(interval: Interval | None, sign: str = "") -> str:
    """The estimate, and its interval in brackets."""
    if interval is None:
        return ""
    return f"{interval.mean:{sign}.4f} ({interval.low:{sign}.3f} {interval.high:{sign}.3f})"
