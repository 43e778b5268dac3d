"""The tables that commands print."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rich.table import Table

if TYPE_CHECKING:
    from distill.evaluation.statistics import Interval
    from distill.stages.teacher_evaluation import MethodComparison


def metrics_table(metrics: Mapping[str, Any]) -> Table:
    """One row a system: measures over all judged queries, nDCG over those that can be answered, seconds per query."""
    measures = list(metrics["measures"])
    answerable = metrics["answerable"]
    title = (
        f"{metrics['queries']} test queries, top {metrics['candidates']} of the first stage "
        f"(recall {metrics['candidate_recall']:.3f}); * = the {answerable['queries']} with a relevant candidate"
    )
    table = Table(title=title, title_justify="left")
    table.add_column("system")
    for measure in (*measures, f"{measures[0]} *", "s/query"):
        table.add_column(measure, justify="right")
    for name, row in metrics["systems"].items():
        seconds = row["seconds_per_query"]
        found = answerable["systems"].get(name, {}).get(measures[0])
        table.add_row(
            name,
            *(f"{row[measure]:.3f}" for measure in measures),
            "" if found is None else f"{found:.3f}",
            "" if seconds is None else f"{seconds:.4f}",
        )
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
