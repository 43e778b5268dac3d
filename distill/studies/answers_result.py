"""Tables, answer and picture of the study `answers`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from distill.evaluation.statistics import PairedDifference, mean_interval, paired_difference
from distill.studies.answers import BI_ENCODER, BM25, FULL, GOLD, HEADS, METHODS, NOTHING
from distill.studies.study import COLOURS, Cell, StudyResult, StudyTable
from teachers.studies.answers import POSITIONS, Measured, mean

if TYPE_CHECKING:
    from matplotlib.figure import Figure

QUESTION = "Does the model answer better from the whole of a long context, or from the segments found in it?"


def answers_result(rows: Sequence[Measured], k: int, facts: dict[str, Any], short: bool) -> StudyResult:
    """What the rows say.

    Args:
        rows: every method on every question.
        k: segments that each finder gave.
        facts: settings, told beside the figures.
        short: the references are short answers, not the gold segments themselves.
    """
    table = {method: [row for row in rows if row.method == method] for method in METHODS}
    questions = len(table[FULL])
    differences = {
        method: paired_difference([row.f1 for row in own], [row.f1 for row in table[FULL]])
        for method, own in table.items()
        if questions > 1
    }
    tables = [
        _by_method(table, differences, k),
        _by("length", sorted({row.length for row in rows}), table, k),
        _by("position", list(POSITIONS), table, k),
    ]
    content = {**facts, "k": k, "n": questions, "rows": [asdict(row) for row in rows]}
    content["f1_minus_full_context"] = {method: asdict(found) for method, found in differences.items()}
    answer = _answer(table, differences, k, short)
    return StudyResult(
        "answers", QUESTION, answer, tables, content, lambda figure: _draw(figure, table, k, questions)
    )  # fmt: skip


def _by_method(table: dict[str, list[Measured]], differences: dict[str, PairedDifference], k: int) -> StudyTable:
    shown: list[tuple[Cell, ...]] = []
    for method, rows in table.items():
        f1 = [row.f1 for row in rows]
        interval = mean_interval(f1) if len(f1) > 1 else None
        gap = differences.get(method) if method != FULL else None
        shown.append((
            method, len(rows), *(mean(rows, figure) for figure in ("recall", "exact", "f1")),
            *((interval.low, interval.high) if interval else (None, None)),
            *((gap.interval.mean, gap.interval.low, gap.interval.high, gap.p_value) if gap else (None,) * 4),
            *(mean(rows, figure) for figure in ("prompt_tokens", "finding_seconds", "answering_seconds")),
        ))  # fmt: skip
    columns = (
        "answered from", "n", "gold given", "exact", "F1", "F1 low", "F1 high", "F1 - full", "low", "high", "p",
        "prompt tokens", "s finding", "s answering",
    )  # fmt: skip
    return StudyTable(f"by method, best {k} segments, 95 % intervals over questions", columns, shown)


def _by(name: str, values: Sequence[Any], table: dict[str, list[Measured]], k: int) -> StudyTable:
    """Recall and F1 of each method over the questions of each length, or each position."""
    columns = ["answered from"]
    for value in values:
        own = [row for row in table[FULL] if getattr(row, name) == value]
        columns += [f"gold given, {value} (n={len(own)})", f"F1, {value}"]
    shown: list[tuple[Cell, ...]] = []
    for method, rows in table.items():
        cells: list[Cell] = [method]
        for value in values:
            own = [row for row in rows if getattr(row, name) == value]
            cells += [mean(own, "recall"), mean(own, "f1")]
        shown.append(tuple(cells))
    unit = "tokens of the context" if name == "length" else "place of the gold segment"
    return StudyTable(f"by {unit}, best {k} segments", tuple(columns), shown)


def _answer(
    table: dict[str, list[Measured]], differences: dict[str, PairedDifference], k: int, short: bool
) -> list[str]:
    def f1(method: str) -> str:
        return f"{mean(table[method], 'f1') or 0:.3f}"

    told = [
        f"Over {len(table[FULL])} questions the full context gives F1 {f1(FULL)}; the best {k} segments by heads "
        f"{f1(HEADS)}, by BM25 {f1(BM25)}, by the bi-encoder {f1(BI_ENCODER)}.",
        f"The gold segment is among the {k} by heads for {mean(table[HEADS], 'recall') or 0:.0%} of the questions, by "
        f"BM25 for {mean(table[BM25], 'recall') or 0:.0%}, by the bi-encoder for "
        f"{mean(table[BI_ENCODER], 'recall') or 0:.0%}; alone it gives F1 {f1(GOLD)}, no context {f1(NOTHING)}.",
    ]
    if HEADS in differences:
        gap = differences[HEADS].interval
        sure = "" if gap.low > 0 or gap.high < 0 else ", which may be luck"
        told.append(
            f"Heads against the full context: {gap.mean:+.3f} F1 (95 % {gap.low:+.3f} to {gap.high:+.3f}){sure}."
        )
    if not short:
        told.append(
            "The references are the gold segments themselves and the model was asked to copy one: F1 says whether it "
            "found and repeated the segment, not how well it phrases an answer."
        )
    return told


def _draw(figure: Figure, table: dict[str, list[Measured]], k: int, questions: int) -> None:
    """F1 above and gold given below, by length on the left and by position on the right; a line a method."""
    figure.set_size_inches(11, 8)
    panels = figure.subplots(2, 2, sharex="col", sharey="row")
    lengths = sorted({row.length for row in table[FULL]})
    groups: list[tuple[str, list[Any]]] = [("length", lengths), ("position", list(POSITIONS))]
    for row, (figure_name, label) in enumerate((("f1", "token F1"), ("recall", "share given the gold segment"))):
        for column, (name, values) in enumerate(groups):
            axes = panels[row][column]
            for number, (method, rows) in enumerate(table.items()):
                parts = [[one for one in rows if getattr(one, name) == value] for value in values]
                heights = [mean(part, figure_name) for part in parts]
                # a position with no question yet leaves a gap
                points = [float("nan") if height is None else height for height in heights]
                style = "--" if method in METHODS[4:] else "-"
                # methods with equal figures stay visible beside each other
                places = [place + 0.03 * (number - 3) for place in range(len(values))]
                axes.plot(places, points, style, marker="osD^vPX"[number], color=COLOURS[number], label=method)
            axes.set_ylim(-0.03, 1.05)
            axes.set_xticks(range(len(values)), [str(value) for value in values])
            axes.grid(alpha=0.3)
            if column == 0:
                axes.set_ylabel(label)
            if row == 1:
                axes.set_xlabel("tokens of the context" if name == "length" else "place of the gold segment")
    figure.legend(*panels[0][0].get_legend_handles_labels(), loc="outside lower center", ncols=len(METHODS))
    figure.suptitle(f"Answers from a long context and from {k} of its segments (n = {questions} questions)")
