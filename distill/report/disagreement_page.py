"""Two runs without judgments on one page: how alike they are, and the queries that they answer most differently."""

from __future__ import annotations

import csv
from pathlib import Path

from distill.collections.files import whole_file
from distill.evaluation.disagreement import Disagreement
from distill.report.comparison_files import CONTRASTS, FIGURES, PAGE, PER_QUERY
from distill.report.page import write_page
from distill.stages.comparison import MOST_QUERIES


def write_disagreement_page(found: Disagreement, path: Path) -> None:
    """Write the page alone; one that stands there is replaced."""
    write_page(
        "disagreement.html", "comparison.css", "comparison.js", path,
        found=found,
        shown=found.queries[:MOST_QUERIES],
    )  # fmt: skip


def write_disagreement(found: Disagreement, folder: Path) -> None:
    """Write ``report.html``, with the least alike queries side by side, and ``per_query.csv`` with all of them."""
    folder.mkdir(parents=True, exist_ok=True)
    # of a comparison that this one takes the place of: they would be taken for this one's
    for name in (FIGURES, CONTRASTS):
        (folder / name).unlink(missing_ok=True)
    write_disagreement_page(found, folder / PAGE)
    with whole_file(folder / PER_QUERY) as beside, beside.open("w", encoding="utf-8", newline="") as file:
        lines = csv.writer(file, lineterminator="\n")
        lines.writerow(["query_id", "rbo", "tau_b", "common", *found.names])
        for row in found.queries:
            lines.writerow([row.query_id, row.rbo, row.tau_b, row.common, " ".join(row.first), " ".join(row.second)])
