"""A comparison as one page for people who decide: the verdict first, then what it rests on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from distill.evaluation.comparison import ALL_QUERIES, SMALL, Contrast
from distill.evaluation.dossier import Dossier
from distill.report.comparison_plots import (
    agreement_panels,
    budget_field,
    depth_field,
    intervals_of_means,
    latency_field,
    measure_panels,
    milliseconds,
    query_bars,
    slice_panel,
    teacher_field,
)
from distill.report.page import cut, figure, percent, write_page

MOST_SLICE_ROWS = 60
MOST_DOCUMENTS = 12
MOST_MISSING = 50
MOST_NAME = 120
MOST_TEXT = 5_000
WELL_JUDGED = 0.9
UNEQUALLY_JUDGED = 0.02


def write_comparison_page(dossier: Dossier, path: Path) -> None:
    """Write the comparison as an HTML page that needs nothing else; a page that stands at ``path`` is replaced.

    The same dossier gives the same bytes. Long documents open on demand, up to `MOST_TEXT` characters, and of very
    many slices or documents the page says how many it leaves out.

    Raises:
        KeyError: the comparison has no contrast of the dossier's system with its reference, or facts of a system are
            missing.
    """
    main = dossier.comparison.contrast(dossier.system, dossier.reference)
    rows, caption = _slice_rows(dossier)
    plots = _plots(dossier)
    write_page(
        "comparison.html", "comparison.css", "comparison.js", path,
        dossier=dossier,
        main=main,
        measure=main.measure,
        cares=_cares(dossier, main),
        contents=_contents(plots),
        contrasts=_main_first(dossier, [row for row in dossier.comparison.contrasts if row.slice == ALL_QUERIES]),
        slice_rows=rows,
        slice_caption=caption,
        untimed=[name for name in dossier.comparison.systems if dossier.facts[name].milliseconds is None],
        few=SMALL,
        most_documents=MOST_DOCUMENTS,
        most_missing=MOST_MISSING,
        most_text=MOST_TEXT,
        milliseconds=milliseconds,
        **plots,
    )  # fmt: skip


def _plots(dossier: Dossier) -> dict[str, Any]:
    comparison = dossier.comparison
    intervals = intervals_of_means(comparison, dossier.resamples, dossier.seed)
    return {
        "measure_panels": measure_panels(dossier, intervals),
        "query_bars": query_bars(dossier),
        "depth_field": depth_field(dossier),
        "latency_field": latency_field(dossier, intervals),
        "budget_field": budget_field(dossier, intervals),
        "slice_panel": slice_panel(dossier),
        "agreement_panels": agreement_panels(dossier),
        "teacher_field": teacher_field(dossier),
    }


def _contents(plots: dict[str, Any]) -> list[tuple[str, str]]:
    """Sections that the page has, by their id."""
    sections = {
        "compared": "What was compared", "measures": "Measures", "queries": "Query by query", "depth": "Depth",
        "latency": "Latency", "budget": "Labels", "slices": "Slices", "agreement": "Agreement",
        "contrasts": "All differences", "worst": "Losses", "best": "Gains", "notes": "How this was measured",
    }  # fmt: skip
    shown = {
        "depth": "depth_field",
        "latency": "latency_field",
        "budget": "budget_field",
        "slices": "slice_panel",
        "agreement": "agreement_panels",
    }
    return [(ident, title) for ident, title in sections.items() if ident not in shown or plots[shown[ident]]]


def _main_first(dossier: Dossier, contrasts: list[Contrast]) -> list[Contrast]:
    """What the page is about first, and no contrast against what is to be beaten the other way round."""
    turned = [row.mirrored() if row.system == dossier.reference else row for row in contrasts]
    return sorted(turned, key=lambda row: (row.system, row.reference) != (dossier.system, dossier.reference))


def _slice_rows(dossier: Dossier) -> tuple[list[Contrast], str]:
    """Contrasts over slices that the page has room for, and what it says of those that it leaves out."""
    sliced = _main_first(dossier, [row for row in dossier.comparison.contrasts if row.slice != ALL_QUERIES])
    against = [row for row in sliced if row.reference == dossier.reference]
    deciding = [row for row in against if row.measure == dossier.comparison.measures[0]]
    main = [row for row in deciding if row.system == dossier.system]
    shown = next((rows for rows in (sliced, against, deciding) if len(rows) <= MOST_SLICE_ROWS), main)
    left_out = len(sliced) - len(shown)
    rest = f" {left_out} more contrasts are left out here but count in Holm's correction." if left_out else ""
    return shown, f"Every slice; bold differences stand after Holm's correction.{rest}"


def _cares(dossier: Dossier, main: Contrast) -> list[str]:
    """What a sceptic would ask before believing the verdict, each a sentence."""
    facts, found = dossier.facts, []
    pair = [facts[name].judged for name in (dossier.system, dossier.reference)]
    system, reference = cut(dossier.system, MOST_NAME), cut(dossier.reference, MOST_NAME)
    if main.small:
        found.append(f"{main.queries} queries are few; fewer than {SMALL} say little.")
    if min(pair) < WELL_JUDGED:
        found.append(
            f"Of the first ten documents, {percent(pair[0])} under {system} and {percent(pair[1])} under "
            f"{reference} have a judgment. The others count as not relevant, though nobody has looked at them."
        )
    if abs(pair[0] - pair[1]) > UNEQUALLY_JUDGED:
        less = system if pair[0] < pair[1] else reference
        found.append(f"The first ten documents of {less} are judged less often, so its figures may be too low.")
    missing = [name for name in (dossier.system, dossier.reference) if dossier.comparison.absent.get(name)]
    found.extend(f"{cut(name, MOST_NAME)} lacks judged queries (named above), which count as 0." for name in missing)
    if not main.certain and main.detectable > abs(main.difference):
        found.append(
            f"So many queries would show a difference of {figure(main.detectable)} in four of five experiments. A "
            "smaller one may be there and stay unseen: no difference shown is not no difference."
        )
    recall = {figure(facts[name].recall) for name in (dossier.system, dossier.reference)}
    if len(recall) > 1:
        found.append("The two runs do not hold the same relevant documents: they do not re-rank the same candidates.")
    return found
