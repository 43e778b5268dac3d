"""The plots of a comparison, as far as its dossier has what they show."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from distill.evaluation.agreement import Agreement
from distill.evaluation.comparison import ALL_QUERIES, Comparison
from distill.evaluation.dossier import Dossier
from distill.evaluation.resampling import mean_intervals
from distill.evaluation.statistics import Interval
from distill.report.page import figure, short, signed
from distill.report.plots import Bar, Bars, Field, Line, Panel, Point, Row, Scale

MOST_BARS = 400
"""More queries than this share bars."""

OTHER_SLICES = "other parts"
"""Stands above slices whose names have no subject."""

Intervals = Mapping[tuple[str, str], Interval]
"""By system and measure."""


def intervals_of_means(comparison: Comparison, resamples: int, seed: int) -> Intervals:
    """Each system's mean by each measure with its 95 % bootstrap interval over the queries."""
    keys = [(system, measure) for measure in comparison.measures for system in comparison.systems]
    figures = np.stack([comparison.values[system][measure] for system, measure in keys], axis=1)
    low, high = mean_intervals(figures, resamples, seed)
    ends = zip(figures.mean(axis=0).tolist(), low.tolist(), high.tolist(), strict=True)
    return {key: Interval(*found) for key, found in zip(keys, ends, strict=True)}


def measure_panels(dossier: Dossier, intervals: Intervals) -> list[Panel]:
    """A panel a measure, a bar a system; all panels share one axis."""
    comparison = dossier.comparison
    scale = Scale.around([0.0, *(found.high for found in intervals.values())])
    return [
        Panel(
            measure,
            scale,
            [
                Row(system, found.mean, found.low, found.high, slot, strong=_of_main(dossier, system))
                for slot, system in enumerate(comparison.systems)
                for found in [intervals[system, measure]]
            ],
            bars=True,
        )
        for measure in comparison.measures
    ]


def query_bars(dossier: Dossier) -> Bars:
    """Each query's difference between the system and its reference, largest gain first."""
    comparison, measure = dossier.comparison, dossier.comparison.measures[0]
    own, other = (comparison.values[name][measure] for name in (dossier.system, dossier.reference))
    difference = own - other
    order = sorted(range(len(difference)), key=lambda place: (-difference[place], comparison.queries[place]))
    grouped = math.ceil(len(order) / MOST_BARS)
    groups = [order[start : start + grouped] for start in range(0, len(order), grouped)]
    width, bars = 100 / len(groups), []
    for number, places in enumerate(groups):
        value, first = float(difference[places].mean()), places[0]
        name = comparison.queries[first] if len(places) == 1 else f"{len(places)} queries"
        text = dossier.queries.get(name, "") if len(places) == 1 else ""
        tip = f"{name}: {signed(value)} ({figure(other[places].mean())} to {figure(own[places].mean())}) {text}".strip()
        bars.append(Bar(number * width, width, value, tip))
    return Bars(Scale.around([0.0, *(bar.value for bar in bars)], ticks=8), bars, grouped)


def depth_field(dossier: Dossier) -> Field | None:
    """nDCG over depth, a line a system; None where no system has two depths."""
    slots = {system: slot for slot, system in enumerate(dossier.comparison.systems)}
    curves = {system: dossier.facts[system].by_depth for system in slots if system in dossier.facts}
    depths = sorted({depth for curve in curves.values() for depth in curve})
    if len(depths) < 2:
        return None
    places = {depth: 100 * number / (len(depths) - 1) for number, depth in enumerate(depths)}
    up = Scale.around([value for curve in curves.values() for value in curve.values()])
    lines = [
        Line(system, slots[system], [Point(places[depth], 100 - up.at(curve[depth])) for depth in sorted(curve)])
        for system, curve in curves.items()
    ]
    return Field([(places[depth], str(depth)) for depth in depths], up, lines)


def latency_field(dossier: Dossier, intervals: Intervals) -> Field | None:
    """The deciding measure over milliseconds per query; None where fewer than two systems were timed."""
    comparison = dossier.comparison
    timed = {name: facts.milliseconds for name, facts in dossier.facts.items() if facts.milliseconds}
    if len(timed) < 2:
        return None
    found = {name: intervals[name, comparison.measures[0]] for name in comparison.systems if name in timed}
    up = Scale.around([end for interval in found.values() for end in (interval.low, interval.high)])
    across = Scale.logarithmic(timed.values())
    lines = []
    for name, interval in found.items():
        mean, low, high = (100 - up.at(end) for end in (interval.mean, interval.low, interval.high))
        note = f"{figure(interval.mean)} in {milliseconds(timed[name])}"
        point = Point(across.at(timed[name]), mean, low, high)
        lines.append(Line(name, comparison.systems.index(name), [point], note))
    return Field([(across.at(tick), short(tick)) for tick in across.ticks], up, lines)


def budget_field(dossier: Dossier, intervals: Intervals) -> Field | None:
    """The deciding measure over labelled lists, a line a student; None where no student has two budgets.

    Systems that learned from no labels are level lines, to be reached.
    """
    comparison, budgets = dossier.comparison, dossier.budgets
    students: dict[str, list[str]] = {}
    for system in sorted(budgets, key=lambda name: budgets[name].lists):
        students.setdefault(budgets[system].student, []).append(system)
    if max(map(len, students.values()), default=0) < 2:
        return None
    found = {name: intervals[name, comparison.measures[0]] for name in comparison.systems}
    up = Scale.around([end for name in found for end in (found[name].low, found[name].high)])
    across = Scale.logarithmic(budget.lists for budget in budgets.values())
    lines = []
    for student, systems in students.items():
        points = [
            Point(across.at(budgets[name].lists), *(100 - up.at(end) for end in (mean.mean, mean.low, mean.high)))
            for name in systems
            for mean in [found[name]]
        ]
        note = ", ".join(f"{budgets[name].lists:,} lists {figure(found[name].mean)}" for name in systems)
        lines.append(Line(student, comparison.systems.index(systems[0]), points, note))
    for name in comparison.systems:
        if name not in budgets:
            level = 100 - up.at(found[name].mean)
            ends = [Point(0, level), Point(100, level)]
            lines.append(Line(name, comparison.systems.index(name), ends, figure(found[name].mean)))
    return Field([(across.at(tick), f"{tick:,.0f}") for tick in across.ticks], up, lines)


def milliseconds(value: float) -> str:
    """A time with two digits or more."""
    return f"{value:,.0f} ms" if value >= 10 else f"{value:.2g} ms"


def slice_panel(dossier: Dossier) -> Panel | None:
    """The difference by the deciding measure over each slice, the whole first; None where there is but the whole."""
    found = dossier.comparison
    contrasts = [found.contrast(dossier.system, dossier.reference, part=name) for name in found.slices]
    if len(contrasts) < 2:
        return None
    rows, before = list[Row](), ""
    for one in contrasts:
        subject, colon, part = one.slice.partition(": ")
        if not colon:
            subject, part = "" if one.slice == ALL_QUERIES else OTHER_SLICES, one.slice
        heading, before = subject if subject != before else "", subject
        rows.append(Row(part, one.difference, one.low, one.high, None, one.queries, one.small, heading))
    scale = Scale.around([0.0, *(end for one in contrasts for end in (one.low, one.high))], ticks=7)
    return Panel(f"difference in {contrasts[0].measure}", scale, rows, signed=True, line=0.0)


def teacher_field(dossier: Dossier) -> Field | None:
    """The system's score of each document over the teacher's; None without a teacher."""
    pairs = dossier.beside_teacher
    if not pairs:
        return None
    across, up = (Scale.around([-2.0, 2.0, *(pair[side] for pair in pairs)]) for side in (0, 1))
    points = [Point(across.at(first), 100 - up.at(second)) for first, second in pairs]
    line = Line(dossier.system, dossier.comparison.systems.index(dossier.system), points, f"{len(pairs)} documents")
    return Field([(across.at(tick), short(tick)) for tick in across.ticks], up, [line])


def agreement_panels(dossier: Dossier) -> list[Panel]:
    """A panel a kind of agreement with the teacher, a row a system, the teacher's with itself as a line through all."""
    if not dossier.agreements:
        return []
    ceiling, depth = dossier.ceiling, next(iter(dossier.agreements.values())).depth
    kinds = {"tau_b": "Kendall's tau-b", "rbo": "rank-biased overlap", "top_1": "same first document"}
    return [
        _agreement_panel(dossier, kind, title, ceiling)
        for kind, title in (kinds | {"overlap": f"overlap of the first {depth}"}).items()
    ]


def _agreement_panel(dossier: Dossier, kind: str, title: str, ceiling: Agreement | None) -> Panel:
    systems = dossier.comparison.systems
    rows = [
        Row(
            name,
            getattr(found, kind),
            slot=systems.index(name) if name in systems else None,
            queries=found.queries,
            strong=_of_main(dossier, name),
        )
        for name, found in dossier.agreements.items()
    ]
    line = None
    if ceiling is not None:
        line = getattr(ceiling, kind)
        rows.append(Row("the teacher with itself (ceiling)", line, queries=ceiling.queries))
    return Panel(title, Scale.around([0.0, 1.0, *(row.value for row in rows)]), rows, bars=True, line=line)


def _of_main(dossier: Dossier, name: str) -> bool:
    return name in (dossier.system, dossier.reference)
