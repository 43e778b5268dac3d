"""The figures of the masking study as differences with intervals, tables, sentences and a picture."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING, Any

from distill.evaluation.statistics import PairedDifference, mean_interval, paired_difference
from distill.studies.study import COLOURS, StudyResult, StudyTable, label

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from teachers.heads import Head

_QUESTION = "Which heads does the model need, to find a needle and to rank?"


@dataclass(frozen=True, slots=True)
class Condition:
    """A set of heads that is masked, the first ``size`` of the set ``name``, or all where it has fewer.

    Random sets are drawn several times, and figures are the mean over draws. None of size 0 masks nothing.
    """

    name: str
    size: int
    draws: tuple[tuple[Head, ...], ...]

    @property
    def label(self) -> str:
        """Such as ``copy 16``."""
        return f"{self.name} {self.size}" if self.size else self.name


@dataclass(frozen=True, slots=True)
class MaskingFigures:
    """What was measured under every condition, the first of which masks nothing.

    Args:
        needles: one mapping for each prompt, with ``query_id``, ``length``, ``depth`` and, by condition and for each
            draw, ``log_probability``: the needle's ``mean`` a token and its ``total``.
        lists: one mapping for each list, with ``query_id`` and ``ndcg`` by condition, for each draw by ranker.
        collection: whose questions they are.
    """

    conditions: list[Condition]
    needles: list[dict[str, Any]]
    lists: list[dict[str, Any]]
    collection: str

    @property
    def masked(self) -> list[Condition]:
        """The conditions that mask something."""
        return self.conditions[1:]

    @property
    def rankers(self) -> list[str]:
        """Names of the rankers, none where no list was ranked."""
        return list(self.lists[0]["ndcg"]["none"][0]) if self.lists else []

    def recall(self, condition: Condition) -> list[float]:
        """Mean log-probability a token of each needle, over its lengths and depths: prompts of a needle are kin."""
        by_needle: dict[str, list[float]] = {}
        for row in self.needles:
            by_needle.setdefault(row["query_id"], []).append(_level(row, condition))
        return [sum(values) / len(values) for values in by_needle.values()]

    def quality(self, condition: Condition, ranker: str) -> list[float]:
        """nDCG@10 of each list."""
        return [fmean(draw[ranker] for draw in row["ndcg"][condition.label]) for row in self.lists]


def _level(needle: dict[str, Any], condition: Condition) -> float:
    """Mean log-probability a token of one prompt's needle."""
    return fmean(draw["mean"] for draw in needle["log_probability"][condition.label])


def masking_result(figures: MaskingFigures, facts: dict[str, Any]) -> StudyResult:
    """The study's result; ``facts`` are the settings."""
    none = figures.conditions[0]
    against_none = {c.label: paired_difference(figures.recall(c), figures.recall(none)) for c in figures.masked}
    against_random = {
        c.label: paired_difference(figures.recall(c), figures.recall(_random(figures, c.size)))
        for c in figures.masked
        if c.name != "random"
    }
    ranking = {
        ranker: {
            c.label: paired_difference(figures.quality(c, ranker), figures.quality(none, ranker))
            for c in figures.masked
        }
        for ranker in figures.rankers
    }
    found = {
        **facts, "needles": figures.needles, "lists": figures.lists,
        "needle_count": len(figures.recall(none)), "list_count": len(figures.lists),
        "heads": {c.label: [[str(head) for head in draw] for draw in c.draws] for c in figures.masked},
        "random_draws": {c.label: _by_draw(figures, c) for c in figures.masked if c.name == "random"},
        "needle_difference": {name: _told(value) for name, value in against_none.items()},
        "needle_difference_to_random": {name: _told(value) for name, value in against_random.items()},
        "ranking_difference": {r: {n: _told(v) for n, v in rows.items()} for r, rows in ranking.items()},
    }  # fmt: skip
    tables = [_needle_table(figures, against_none, against_random), _place_table(figures)]
    if ranking:
        tables.append(_ranking_table(figures, ranking))

    def draw(figure: Figure) -> None:
        _draw(figure, figures, against_none, ranking)

    return StudyResult(
        "masking", _QUESTION, _answer(figures, against_none, against_random, ranking), tables, found, draw
    )


def _random(figures: MaskingFigures, size: int) -> Condition:
    return next(c for c in figures.masked if (c.name, c.size) == ("random", size))


def _by_draw(figures: MaskingFigures, condition: Condition) -> list[float]:
    """The needle's mean change for each draw: how much a random set's figure is the draw's."""
    none = fmean(figures.recall(figures.conditions[0]))
    draws = range(len(condition.draws))
    levels = [fmean(row["log_probability"][condition.label][k]["mean"] for row in figures.needles) for k in draws]
    return [level - none for level in levels]


def _told(found: PairedDifference) -> dict[str, float]:
    interval = found.interval
    return {"mean": interval.mean, "low": interval.low, "high": interval.high, "p_value": found.p_value}


def _needle_table(
    figures: MaskingFigures, none: dict[str, PairedDifference], random: dict[str, PairedDifference]
) -> StudyTable:
    whole = mean_interval(figures.recall(figures.conditions[0]))
    rows: list[tuple[str | int | float | None, ...]] = [("none", 0, whole.mean, None, None, None, None, None)]
    for c in figures.masked:
        found, other = none[c.label].interval, random.get(c.label)
        level = sum(figures.recall(c)) / len(figures.recall(c))
        apart = (other.interval.mean, other.p_value) if other else (None, None)
        rows.append((c.label, len(c.draws[0]), level, found.mean, found.low, found.high, *apart))
    count = len(figures.recall(figures.conditions[0]))
    title = f"log-probability of a needle's token (nats), {count} needles, {len(figures.needles)} prompts"
    columns = ("masked", "heads", "level", "change", "low", "high", "change less random's", "p of that")
    return StudyTable(title, columns, rows)


def _place_table(figures: MaskingFigures) -> StudyTable:
    places = sorted({(row["length"], row["depth"]) for row in figures.needles})
    largest = max(c.size for c in figures.masked)
    shown = [figures.conditions[0], *(c for c in figures.masked if c.size == largest)]
    rows: list[tuple[str | int | float | None, ...]] = []
    for length, depth in places:
        own = [row for row in figures.needles if (row["length"], row["depth"]) == (length, depth)]
        rows.append((length, depth, len(own), *(fmean(_level(row, c) for row in own) for c in shown)))
    return StudyTable("the same by length and depth", ("tokens", "depth", "prompts", *(c.label for c in shown)), rows)


def _ranking_table(figures: MaskingFigures, ranking: dict[str, dict[str, PairedDifference]]) -> StudyTable:
    columns: tuple[str, ...] = ("masked", "heads")
    for ranker in ranking:
        columns += (ranker, "change", "low", "high")
    rows = []
    for c in figures.conditions:
        cells: list[str | int | float | None] = [c.label, len(c.draws[0])]
        for ranker, found in ranking.items():
            values = figures.quality(c, ranker)
            change = found[c.label].interval if c.size else None
            cells += [sum(values) / len(values), *((change.mean, change.low, change.high) if change else (None,) * 3)]
        rows.append(tuple(cells))
    return StudyTable(f"nDCG@10 of {len(figures.lists)} lists read without the heads", columns, rows)


def _answer(
    figures: MaskingFigures,
    none: dict[str, PairedDifference],
    random: dict[str, PairedDifference],
    ranking: dict[str, dict[str, PairedDifference]],
) -> list[str]:
    count = len(figures.recall(figures.conditions[0]))
    sentences = []
    for size in sorted({c.size for c in figures.masked}):
        own = [c for c in figures.masked if c.size == size and c.name != "random"]
        worst = min(own, key=lambda c: none[c.label].interval.mean)
        found, chance = none[worst.label].interval, none[_random(figures, size).label].interval
        sure = [c.name for c in own if random[c.label].interval.high < 0]
        draws = _by_draw(figures, _random(figures, size))
        spread = f"{len(draws)} draws, {min(draws):+.2f} to {max(draws):+.2f}"
        sentences.append(
            f"Without {size} heads the needle falls most where they are {worst.name}: {found.mean:+.2f} nats a token "
            f"({found.low:+.2f} to {found.high:+.2f}, {count} needles), against {chance.mean:+.2f} without random ones "
            f"({spread}); further than random, interval apart from 0: {', '.join(sure) or 'none'}."
        )
    for ranker, rows in ranking.items():
        lowest = min(rows, key=lambda name: rows[name].interval.mean)
        change = rows[lowest].interval
        most = "falls most" if change.mean < 0 else "rises least"
        sentences.append(
            f"nDCG@10 of {ranker} {most} without {lowest}: {change.mean:+.3f} ({change.low:+.3f} to "
            f"{change.high:+.3f}, {len(figures.lists)} lists)."
        )
    return sentences


def _draw(
    figure: Figure,
    figures: MaskingFigures,
    none: dict[str, PairedDifference],
    ranking: dict[str, dict[str, PairedDifference]],
) -> None:
    panels: Sequence[Axes] = figure.subplots(1, 1 + len(ranking), squeeze=False)[0]
    figure.set_size_inches(5 * len(panels) + 1, 5.5)
    count = len(figures.recall(figures.conditions[0]))
    _bars(panels[0], figures, none.__getitem__)
    panels[0].set(ylabel="change of log-probability, nats a token")
    panels[0].set_title(f"needles of {label(figures.collection)} (n = {count}, {len(figures.needles)} prompts)")
    for panel, (ranker, rows) in zip(panels[1:], ranking.items(), strict=True):
        _bars(panel, figures, rows.__getitem__)
        panel.set(ylabel="change of nDCG@10", title=f"{ranker} (n = {len(figures.lists)} lists)")
    panels[0].legend(title="heads masked")


def _bars(panel: Axes, figures: MaskingFigures, found: Callable[[str], PairedDifference]) -> None:
    """One group of bars for each set, one bar in it for each size, with 95 % intervals."""
    names = list(dict.fromkeys(c.name for c in figures.masked))
    sizes = sorted({c.size for c in figures.masked})
    width = 0.8 / len(sizes)
    for number, size in enumerate(sizes):
        intervals = [found(f"{name} {size}").interval for name in names]
        at = [place + (number - (len(sizes) - 1) / 2) * width for place in range(len(names))]
        errors = [[i.mean - i.low for i in intervals], [i.high - i.mean for i in intervals]]
        means = [i.mean for i in intervals]
        panel.bar(at, means, width, yerr=errors, capsize=3, color=COLOURS[number], label=str(size))
    panel.axhline(0, color="black", linewidth=0.8)
    panel.set_xticks(range(len(names)), [label(name.replace("_", " ")) for name in names], rotation=25, ha="right")
