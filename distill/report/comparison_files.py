"""The files of a comparison: a page for people, and its figures for programs."""

from __future__ import annotations

import csv
from dataclasses import asdict
from pathlib import Path
from typing import Any

from distill.collections.files import refuse_existing, whole_file
from distill.evaluation.dossier import Dossier
from distill.report.comparison_page import write_comparison_page
from distill.report.json_files import write_json

PAGE, FIGURES, CONTRASTS, PER_QUERY = "report.html", "comparison.json", "contrasts.csv", "per_query.csv"


def refuse_existing_report(folder: Path, overwrite: bool) -> None:
    """Stop before any work where a file of the report stands in the folder.

    Raises:
        DataError: one does, and ``overwrite`` is not set.
    """
    for name in (PAGE, FIGURES, CONTRASTS, PER_QUERY):
        refuse_existing(folder / name, overwrite)


def write_comparison(dossier: Dossier, folder: Path) -> None:
    """Write ``report.html``, ``comparison.json``, ``contrasts.csv`` and ``per_query.csv`` into the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    found = dossier.comparison
    write_comparison_page(dossier, folder / PAGE)
    write_json(figures(dossier), folder / FIGURES)
    with whole_file(folder / CONTRASTS) as beside, beside.open("w", encoding="utf-8", newline="") as file:
        rows = [asdict(contrast) for contrast in found.contrasts]
        table = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        table.writeheader()
        table.writerows(rows)
    with whole_file(folder / PER_QUERY) as beside, beside.open("w", encoding="utf-8", newline="") as file:
        lines = csv.writer(file, lineterminator="\n")
        lines.writerow(["query_id", "system", *found.measures])
        for place, query_id in enumerate(found.queries):
            for system in found.systems:
                lines.writerow([query_id, system, *(found.values[system][name][place] for name in found.measures)])


def figures(dossier: Dossier) -> dict[str, Any]:
    """What ``comparison.json`` holds: the verdict, means, facts, agreements, and the queries that count as 0."""
    found = dossier.comparison
    deciding = found.contrast(dossier.system, dossier.reference)
    return {
        "title": dossier.title,
        "verdict": dossier.verdict,
        "system": dossier.system,
        "reference": dossier.reference,
        "judgments": dossier.judgments,
        "from_teacher": dossier.from_teacher,
        "queries": len(found.queries),
        "decides": asdict(deciding),
        "means": {system: {name: found.mean(system, name) for name in found.measures} for system in found.systems},
        "facts": {system: asdict(facts) for system, facts in dossier.facts.items()},
        "budgets": {system: asdict(budget) for system, budget in dossier.budgets.items()},
        "slices": {name: len(members) for name, members in found.slices.items()},
        "agreement_with_teacher": {system: asdict(value) for system, value in dossier.agreements.items()},
        "agreement_of_teacher_with_itself": None if dossier.ceiling is None else asdict(dossier.ceiling),
        "absent": {system: list(ids) for system, ids in found.absent.items()},
    }
