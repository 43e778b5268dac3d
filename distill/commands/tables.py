"""The tables that commands print."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.table import Table


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
