"""Study: are the heads that rank the same ones on other queries, and how few judged queries find them?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from itertools import permutations
from typing import TYPE_CHECKING

from distill.collections.collection import DataError
from distill.progress import Advance
from distill.studies.intervals import span
from distill.studies.material import StudyMaterial
from distill.studies.study import COLOURS, Cell, StudyResult, StudyTable, label

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from teachers.studies.stability import StabilityRow, StabilitySettings, TransferRow

NAME = "stability"
_QUESTION = "Are the heads that rank the same ones on other queries and collections, and how few queries find them?"
# Of nDCG: what a set found on few queries may lose against one found on nearly all.
_LITTLE = 0.01
_RANGES = "in brackets, what 95 % of the splits lie in"

Within = Mapping[tuple[str, str], "list[StabilityRow]"]
Across = Mapping[tuple[str, str, str], "TransferRow"]


def stability(material: StudyMaterial, settings: StabilitySettings, on_progress: Advance) -> StudyResult:
    """Sets on disjoint samples of each collection, by number of queries, and on different collections.

    Raises:
        DataError: too few lists for two samples and held-out lists.
    """
    from teachers.studies.stability import across, rule_grounds, within

    need = 2 * min(settings.queries) + settings.least_held
    for entry in material.collections:
        if len(entry.scores) < need:
            raise DataError(
                f"{entry.name}: {len(entry.scores)} lists with a relevant document; two samples of "
                f"{min(settings.queries)} queries and {settings.least_held} held out need {need}; give fewer of either"
            )
    grounds = {entry.name: rule_grounds(entry.scores, entry.gains, settings) for entry in material.collections}
    pairs = list(permutations(grounds, 2))
    rules = list(next(iter(grounds.values())))
    inside, between = {}, {}
    for done, rule in enumerate(rules):
        for name, found in grounds.items():
            inside[name, rule] = within(found[rule], settings)
        for first, second in pairs:
            between[first, second, rule] = across(grounds[first][rule], grounds[second][rule], settings)
        on_progress(done + 1, len(rules))
    facts = {
        **material.facts(),
        "settings": settings.model_dump(mode="json"),
        "within": [
            {"collection": n, "rule": r, "rows": [asdict(row) for row in rows]} for (n, r), rows in inside.items()
        ],
        "across": [{"found_on": a, "used_on": b, "rule": r, **asdict(row)} for (a, b, r), row in between.items()],
    }
    tables = [_overlaps(inside, material.heads), _worth(inside, settings)]
    if between:
        tables += [_shared_across(between, material.heads), _worth_across(between)]
    return StudyResult(
        NAME,
        _QUESTION,
        _answer(inside, between),
        tables,
        facts,
        lambda figure: _draw(
            figure, inside, {entry.name: len(entry.scores) for entry in material.collections}, settings
        ),
    )


def _overlaps(inside: Within, heads: int) -> StudyTable:
    counts = list(next(iter(inside.values()))[0].overlap)
    rows: list[tuple[Cell, ...]] = [
        (name, rule, row.queries, *(span(row.overlap[k], ".1f") for k in counts), span(row.correlation, ".2f"))
        for (name, rule), found in inside.items()
        for row in found
    ]
    chance = next(iter(inside.values()))[0].chance
    rows.append(("chance alone", "", None, *(f"{chance[k]:.1f}" for k in counts), "0.00"))
    columns = ("collection", "rule", "queries", *(f"shared of {k}" for k in counts), "rank correlation")
    return StudyTable(f"Heads shared by sets found on two disjoint samples, of {heads}; {_RANGES}", columns, rows)


def _worth(inside: Within, settings: StabilitySettings) -> StudyTable:
    counts = list(next(iter(inside.values()))[0].ndcg)
    rows: list[tuple[Cell, ...]] = [
        (
            name,
            rule,
            row.queries,
            row.held,
            *(span(row.ndcg[k], ".3f") for k in counts),
            *(row.loss[k].mean for k in counts),
        )  # fmt: skip
        for (name, rule), found in inside.items()
        for row in found
    ]
    columns = (
        "collection", "rule", "queries", "held out", *(f"nDCG, {k} heads" for k in counts),
        *(f"loss, {k} heads" for k in counts),
    )  # fmt: skip
    title = (
        f"Held-out nDCG@{settings.cutoff} of a set found on so few queries, {settings.splits} splits, {_RANGES}; loss: "
        f"below the set found on all but {settings.least_held} queries"
    )
    return StudyTable(title, columns, rows)


def _shared_across(between: Across, heads: int) -> StudyTable:
    counts = list(next(iter(between.values())).overlap)
    rows: list[tuple[Cell, ...]] = [
        (f"{first} / {second}", rule, row.queries, *(span(row.overlap[k], ".1f") for k in counts),
         span(row.correlation, ".2f"))
        for (first, second, rule), row in between.items()
    ]  # fmt: skip
    columns = ("collections", "rule", "queries of each", *(f"shared of {k}" for k in counts), "rank correlation")
    return StudyTable(f"Heads shared by sets found on two collections, of {heads}; {_RANGES}", columns, rows)


def _worth_across(between: Across) -> StudyTable:
    counts = list(next(iter(between.values())).own)
    rows: list[tuple[Cell, ...]] = [
        (second, whose, rule, row.queries, *(span(values[k], ".3f") for k in counts))
        for (first, second, rule), row in between.items()
        for whose, values in ((f"{second} (others)", row.own), (first, row.foreign))
    ]
    columns = ("used on", "found on", "rule", "queries", *(f"nDCG, {k} heads" for k in counts))
    return StudyTable(f"Held-out nDCG of sets found on another collection; {_RANGES}", columns, rows)


def _answer(inside: Within, between: Across) -> list[str]:
    sentences = []
    for name in dict.fromkeys(name for name, _ in inside):
        rows = inside[name, "query_focused"]
        last = rows[-1]
        k = max(last.ndcg, key=lambda count: last.ndcg[count].mean)
        # whatever comes after must hold too, or one lucky size would answer
        enough = next(
            (row for place, row in enumerate(rows) if all(more.loss[k].mean <= _LITTLE for more in rows[place:])), None
        )
        lost = _LITTLE if enough else last.loss[k].mean
        few = (
            f"{'' if enough else 'even '}{(enough or last).queries} judged queries find {k} heads, the best number, "
            f"that lose {'at most ' if enough else ''}{lost:.3f} nDCG against those of nearly all queries"
        )
        sentences.append(
            f"{name}: {few} (query-focused rule); sets found on {last.queries} disjoint queries share "
            f"{last.overlap[k].mean:.1f} of {k}, chance {last.chance[k]:.1f}."
        )
    for (first, second, rule), row in between.items():
        if rule == "query_focused":
            k = max(row.own, key=lambda count: row.own[count].mean)
            sentences.append(
                f"On {second}, {k} heads found on {first} reach {row.foreign[k].mean:.3f} nDCG, its own "
                f"{row.own[k].mean:.3f}; the two share {row.overlap[k].mean:.1f} of {k}."
            )
    return sentences[:4]


def _draw(figure: Figure, inside: Within, counts: Mapping[str, int], settings: StabilitySettings) -> None:
    figure.set_size_inches(11, 4.8)
    overlap, worth = figure.subplots(1, 2)
    for slot, ((name, rule), rows) in enumerate(inside.items()):
        k = 16 if 16 in rows[0].overlap else max(rows[0].overlap)
        style = {"color": COLOURS[slot % len(COLOURS)], "marker": "o" if rule == "query_focused" else "s"}
        line = "-" if rule == "query_focused" else "--"
        told = f"{label(name)} (n={counts[name]}), {rule.replace('_', '-')}"
        at = [row.queries for row in rows]
        for axes, spreads in ((overlap, [row.overlap[k] for row in rows]), (worth, [row.ndcg[k] for row in rows])):
            axes.plot(at, [s.mean for s in spreads], linestyle=line, label=told, **style)
            axes.fill_between(at, [s.low for s in spreads], [s.high for s in spreads], color=style["color"], alpha=0.12)
        if slot == 0:
            overlap.axhline(rows[0].chance[k], color="grey", linestyle=":", label="chance alone")
            overlap.set(ylabel=f"heads shared of {k}", title=f"two disjoint samples, sets of {k}")
            worth.set(
                ylabel=f"held-out nDCG@{settings.cutoff}",
                title=f"worth of {k} heads; band: 95 % of {settings.splits} splits",
            )
    for axes in (overlap, worth):
        axes.set(xscale="log", xlabel="judged queries the set was found on")
        axes.set_xticks(sorted({row.queries for rows in inside.values() for row in rows}))
        axes.xaxis.set_major_formatter("{x:.0f}")
        axes.minorticks_off()
        axes.grid(alpha=0.3)
    overlap.legend(fontsize="small")
