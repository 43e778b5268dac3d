"""The tables that commands print."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from distill.commands.terminal import visible
from distill.progress import duration

if TYPE_CHECKING:
    from distill.evaluation.statistics import Interval
    from distill.stages.label_plan import LabelPlan
    from distill.stages.teacher_evaluation import MethodComparison


def metrics_table(metrics: Mapping[str, Any]) -> Table:
    """One row a system: measures over all judged queries, nDCG over those that can be answered, seconds per query.

    Where nobody has judged the queries, the measures are of agreement with the teacher's labels, and the title says so.
    """
    measures, answerable = list(metrics["measures"]), metrics.get("answerable")
    table = Table(title=_title(metrics), title_justify="left", caption_justify="left")
    table.add_column("system")
    for measure in (*measures, *([f"{measures[0]} *"] if answerable else []), "s/query"):
        table.add_column(measure, justify="right")
    for name, row in metrics["systems"].items():
        figures = [row[measure] for measure in measures]
        if answerable:
            figures.append(answerable["systems"].get(name, {}).get(measures[0]))
        seconds = row["seconds_per_query"]
        shown = ["" if figure is None else f"{figure:.3f}" for figure in figures]
        table.add_row(name, *shown, "" if seconds is None else f"{seconds:.4f}")
    notes = [
        f"{name}: candidates of its own, up to {own['depth']} a query, recall {own['recall']:.3f}"
        + (f"; lacks {own['missing']} queries, which count as 0" if own["missing"] else "")
        for name, own in metrics.get("own_candidates", {}).items()
    ]
    table.caption = "\n".join(notes) or None
    return table


def _title(metrics: Mapping[str, Any]) -> str:
    """What the figures are of."""
    if "says" in metrics:
        return f"{metrics['says']}; top {metrics['candidates']} of the first stage"
    if metrics["candidates"] is None:
        return f"{metrics['queries']} test queries; each run has candidates of its own"
    return (
        f"{metrics['queries']} test queries, top {metrics['candidates']} of the first stage "
        f"(recall {metrics['candidate_recall']:.3f}); * = the {metrics['answerable']['queries']} with a relevant "
        "candidate"
    )


def label_plan_table(plan: LabelPlan, folder: Path) -> Table:
    """What a label job would do, one row a fact."""
    standing, cost = plan.standing, plan.cost
    title = Text(visible(f"{folder}: a dry run, nothing was written"), "table.title")
    table = Table(title=title, title_justify="left", show_header=False)
    table.add_row("queries, each a list", f"{standing.lists:,} with {standing.documents:,} documents")
    table.add_row("stand in the folder", f"{standing.finished:,}, and {standing.failed:,} that failed")
    change = ", ".join(standing.teacher_change)
    same = "no change" if standing.finished or standing.failed else "new here"
    table.add_row("teacher", f"has changed ({change}): lists of the one before do not count" if change else same)
    table.add_row("lists to label", f"{plan.to_judge:,}")
    table.add_row("prompts", f"{plan.prompts:,}")
    if cost is None:
        return table
    tokens = "not told" if cost.tokens is None else f"{cost.tokens * plan.to_judge:,.0f} ({cost.tokens:,.0f} a list)"
    table.add_row("tokens, about", tokens)
    failed = f", {cost.failed} failed" if cost.failed else ""
    table.add_row("one list takes", f"{cost.seconds:.3f} s, mean of {cost.sample} spread over all lengths{failed}")
    shared = f" by {plan.workers} workers, if each is as fast" if plan.workers > 1 else ""
    table.add_row("time, about", f"{duration(plan.seconds)}{shared}")
    table.add_row("disk, about", f"{plan.disk_bytes / 1e6:.2f} MB")
    return table


def comparison_table(comparison: MethodComparison) -> Table:
    """One row a way of using heads, from worst to best, bounds last: nDCG@10 and the difference to the reference."""
    from teachers.comparison import BOUNDS

    table = Table(
        title=f"held-out nDCG@10 over {comparison.judged} judged queries and, *, over the {comparison.answerable} with "
        f"a relevant document among {comparison.candidates} candidates; 95 % intervals",
        title_justify="left",
    )
    table.add_column("method", overflow="fold")
    for column in ("judged", "*", "* from-to", f"vs {comparison.reference}", "from-to", "p"):
        table.add_column(column, justify="right")
    rows = comparison.rows
    for name in sorted(rows, key=lambda name: (name in BOUNDS, rows[name].answerable.mean)):
        row, gain = rows[name], rows[name].difference.interval
        table.add_row(
            f"{name} (bound)" if name in BOUNDS else name,
            f"{row.judged.mean:.3f}", f"{row.answerable.mean:.3f}", _range(row.answerable, ".3f"),
            f"{gain.mean:+.3f}", _range(gain, "+.3f"), f"{row.difference.p_value:.4f}",
        )  # fmt: skip
    return table


def _range(interval: Interval, form: str) -> str:
    return f"{interval.low:{form}} {interval.high:{form}}"
