"""`distill interleave`: which of two runs simulated users prefer, and how many sessions a real test would take."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from distill.collections.collection import DataError
from distill.collections.files import refuse_existing
from distill.collections.trec import read_qrels, read_run
from distill.commands.terminal import table_console
from distill.report.json_files import write_json

if TYPE_CHECKING:
    from distill.evaluation.interleaving import Pages, SimulatedInterleaving
    from distill.evaluation.statistics import Interval


def interleave(
    first: Annotated[Path, typer.Argument(metavar="A.run", help="TREC run")],
    second: Annotated[Path, typer.Argument(metavar="B.run", help="TREC run")],
    qrels: Annotated[Path, typer.Option(help="judgments, BEIR's or TREC's columns")],
    model: Annotated[
        list[str] | None,
        typer.Option(help="perfect, navigational, informational or position_based users; repeatable; default: all"),
    ] = None,
    sessions: Annotated[int, typer.Option(min=1, help="pages shown, queries drawn from all judged ones")] = 100_000,
    depth: Annotated[int, typer.Option(min=1, help="results on a page")] = 10,
    size: Annotated[
        list[int] | None,
        typer.Option(min=1, max=10**9, help="sessions of the experiments whose sensitivity is asked; repeatable"),
    ] = None,
    max_grade: Annotated[
        int | None, typer.Option(min=1, help="highest grade a judge could give; default: the highest in the judgments")
    ] = None,
    eta: Annotated[float, typer.Option(min=0, help="position_based: users read rank r with 1 / r ** eta")] = 1.0,
    noise: Annotated[
        float, typer.Option(min=0, max=1, help="position_based: clicks on what is read and not relevant")
    ] = 0.1,
    seed: Annotated[int, typer.Option(min=0, help="of everything drawn")] = 0,
    json: Annotated[Path | None, typer.Option("--json", help="also write the figures to this file")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="replace what is there")] = False,
) -> None:
    """SIMULATE team-draft interleaving of two runs: clicks of model users over judged queries, not of people.

    Says which run such users would prefer, and how many sessions a real experiment would need to see it.
    """
    from distill.evaluation.click_models import MODELS, click_model
    from distill.evaluation.interleaving import InterleavingSettings, pages, simulate_interleaving

    if json is not None:
        refuse_existing(json, overwrite)
    judged = read_qrels(qrels)
    given = max((grade for grades in judged.values() for grade in grades.values()), default=0)
    highest = given if max_grade is None else max_grade
    if given > highest:
        raise DataError(f"{qrels}: grade {given}; --max-grade says that no judge gave more than {highest}")
    for name in model or ():
        if name not in MODELS:
            raise DataError(f"--model {name!r}; accepted are {', '.join(MODELS)}")
    try:
        models = [click_model(name, highest, eta, noise) for name in dict.fromkeys(model or MODELS)]
    except ValueError as error:
        raise DataError(f"{qrels}, grades up to {highest}: {error}") from None
    shown = pages(read_run(first), read_run(second), judged, depth)
    settings = InterleavingSettings(sessions, depth, seed, tuple(size or InterleavingSettings().sizes))
    results = [simulate_interleaving(shown, users, settings) for users in models]
    if json is not None:
        facts = {
            "simulation": True, "first": str(first), "second": str(second), "qrels": str(qrels), "max_grade": highest,
            "queries": len(judged), "answered": shown.answered, "judged_first": shown.judged_first,
            "judged_second": shown.judged_second, "settings": asdict(settings),
            "models": [asdict(users) for users in models],  # type: ignore[call-overload]
        }  # fmt: skip
        write_json(facts | {"results": [asdict(result) for result in results]}, json)
    table_console().print(_table(results, shown, first, second))


def _table(results: list[SimulatedInterleaving], shown: Pages, first: Path, second: Path) -> Table:
    """One row a click model."""
    sizes = ", ".join(f"{entry.sessions:,}" for entry in results[0].sensitivity)
    table = Table(
        title="SIMULATION, no user was asked: team-draft interleaving of "
        f"A = {escape(str(first))} and B = {escape(str(second))}",
        title_justify="left",
        caption=(
            f"{results[0].sessions:,} simulated sessions a model over {len(shown.grades):,} judged queries "
            f"({shown.answered:,} with results in both), {shown.first.shape[1]} results a page, of which judged: "
            f"{shown.judged_first:.0%} of A's, {shown.judged_second:.0%} of B's; the others count as not relevant. "
            "B preferred: its share of the sessions with a winner; 95 % intervals of these simulated sessions, and of "
            "other queries such as these. p: two-sided binomial test of these sessions. Found: share of experiments of "
            f"{sizes} sessions that find the better run at p < .05."
        ),
        caption_justify="left",
    )
    table.add_column("click model", no_wrap=True)
    headings = (
        "A / B / tie",
        "B preferred",
        "95 % sessions",
        "95 % queries",
        "p",
        "clicks/page A, B",
        "found",
        "for 80 % found",
    )
    for heading in headings:
        table.add_column(heading, justify="right")
    for result in results:
        wins = (result.wins_first, result.wins_second, result.ties)
        preferred = result.preference
        table.add_row(
            result.model,
            " / ".join(f"{100 * count / result.sessions:.1f}" for count in wins) + " %",
            "no winner" if preferred is None else f"{preferred.mean:.3f}",
            _range(preferred),
            _range(result.preference_over_queries),
            f"{result.p_value:.4f}",
            f"{result.clicks_first:.3f}, {result.clicks_second:.3f}",
            ", ".join(f"{100 * entry.found:.0f}" for entry in result.sensitivity) + " %",
            "none" if result.sessions_needed is None else f"~{_rounded(result.sessions_needed):,} sessions",
        )
    return table


def _range(interval: Interval | None) -> str:
    return "" if interval is None else f"{interval.low:.3f} {interval.high:.3f}"


def _rounded(count: int) -> int:
    """To two digits: no simulation knows more."""
    return round(count, 2 - len(str(count)))
