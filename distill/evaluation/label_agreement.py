"""How far a ranking follows a teacher's labels: all that can be measured where nobody has judged the queries.

Nothing here says how good a ranking is. The words that say so travel with the figures.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from distill.collections.collection import Run
from distill.evaluation.agreement import agreement, tau_b
from distill.evaluation.statistics import mean_interval

TEACHER_LABELS = "teacher_labels"
"""What `metrics.json` says its figures are against."""

NOT_JUDGED = (
    "Nobody has judged them: the figures say how far a system ranks as the teacher labels, not how good its ranking is"
)
SHOWN = 3
AGREEMENT_MEASURES = ("tau_b", "rbo", "top_1", "overlap@3")


def agreement_with_labels(run: Run, labels: Run) -> dict[str, Any]:
    """Means over the labelled queries that the run ranks, and the 95 % interval of the first.

    ``tau_b`` is Kendall's over the documents that both have, ``rbo`` rank-biased overlap (p = 0.9), ``top_1`` the share
    of queries with the same first document, ``overlap@3`` the share of common documents among the first three.
    ``tau_b_interval`` is None with fewer than two queries.

    Raises:
        DataError: the run ranks none of the queries.
    """
    found = agreement(run, labels, depth=SHOWN)
    taus = [tau_b(run[query_id], scores) for query_id, scores in labels.items() if run.get(query_id)]
    known = [tau for tau in taus if not math.isnan(tau)]
    interval = mean_interval(known) if len(known) > 1 else None
    return {
        "tau_b": None if np.isnan(found.tau_b) else found.tau_b,
        "tau_b_interval": None if interval is None else [interval.low, interval.high],
        "rbo": found.rbo,
        "top_1": found.top_1,
        "overlap@3": found.overlap,
        "queries": found.queries,
    }


def agreement_verdict(system: str, metrics: Mapping[str, Any]) -> str:
    """What `metrics.json` says of one system's agreement, beside the first stage's, in a sentence."""
    row, first = metrics["systems"][system], metrics["systems"]["first_stage"]
    known = row["tau_b"] is not None and row["tau_b_interval"] is not None
    interval = " (95 % interval {:.3f} to {:.3f})".format(*row["tau_b_interval"]) if known else ""
    return (
        f"{system} ranks as the teacher labels with Kendall's tau-b {_shown(row['tau_b'])}{interval}, the first stage "
        f"with {_shown(first['tau_b'])}; it puts the same document first for {row['top_1']:.0%} of the queries. "
        f"{metrics['says']}."
    )


def _shown(figure: float | None) -> str:
    return "undefined" if figure is None else f"{figure:.3f}"
