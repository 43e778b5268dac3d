"""The tables that commands print."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rich.table import Table

if TYPE_CHECKING:
    from teachers.comparison import Comparison

_BOUNDS = ("oracle_random", "oracle_heads")


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


def comparison_table(comparison: Comparison, lists: int, candidates: int) -> Table:
    """One row a way of using heads, from worst to best: nDCG@10 and the paired difference to the learned weights."""
    means, gains = comparison.means(), comparison.gains()
    count = len(next(iter(comparison.quality.values())))
    table = Table(
        title=f"{count} of {lists} queries (those with a relevant document among {candidates} candidates), held-out "
        "nDCG@10 with standard errors",
        title_justify="left",
    )
    table.add_column("method")
    for column in ("nDCG@10", "±", "vs static_weights", "±"):
        table.add_column(column, justify="right")
    for name in sorted(means, key=lambda name: (name in _BOUNDS, means[name][0])):
        label = f"{name} (bound)" if name in _BOUNDS else name
        (mean, error), (gain, gain_error) = means[name], gains[name]
        table.add_row(label, f"{mean:.3f}", f"{error:.3f}", f"{gain:+.3f}", f"{gain_error:.3f}")
    return table
