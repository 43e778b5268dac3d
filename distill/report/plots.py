"""Plots as positions in percent of their frame, so that a page can stretch a plot without stretching its text."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Scale:
    """An axis from ``low`` to ``high``, linear or logarithmic, with the figures that are written beside it."""

    low: float
    high: float
    ticks: tuple[float, ...]
    log: bool = False

    def at(self, value: float) -> float:
        """How far along the axis the value stands, in percent; what lies outside stands at the nearer end."""
        if self.log:
            share = (math.log(value) - math.log(self.low)) / (math.log(self.high) - math.log(self.low))
        else:
            share = (value - self.low) / (self.high - self.low)
        return 100 * min(1.0, max(0.0, share))

    @classmethod
    def around(cls, values: Iterable[float], ticks: int = 5) -> Scale:
        """A linear axis whose ends are round numbers, wide enough for all finite values."""
        from matplotlib.ticker import MaxNLocator

        found = [value for value in values if math.isfinite(value)] or [0.0]
        low, high = min(found), max(found)
        if high - low < 1e-9:
            low, high = low - 0.05, high + 0.05
        places = MaxNLocator(nbins=ticks, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)
        # arithmetic leaves 0.30000000000000004 and -0.0
        rounded = tuple(round(float(place), 12) + 0.0 for place in places)
        return cls(rounded[0], rounded[-1], rounded)

    @classmethod
    def logarithmic(cls, values: Iterable[float]) -> Scale:
        """A logarithmic axis with room beside the outermost values, all of which are above 0."""
        found = list(values)
        low, high = min(found) / 1.6, max(found) * 1.6
        powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        for parts in ((1, 2, 5), (1,)):
            ticks = tuple(part * 10.0**power for power in powers for part in parts if low <= part * 10.0**power <= high)
            if len(ticks) <= 6:
                break
        return cls(low, high, ticks, log=True)


@dataclass(frozen=True, slots=True)
class Row:
    """A labelled figure on a strip, with its interval where it has one.

    Args:
        label: whose figure.
        value: the figure.
        low: lower end of its interval; None where there is none.
        high: upper end.
        slot: place in the page's list of systems, which decides colour and shape; None for neither.
        queries: told beside the label; None for nothing.
        small: whether these are too few.
        heading: stands above the row; empty for none.
        strong: whether the label is one of those that the page is about.
    """

    label: str
    value: float
    low: float | None = None
    high: float | None = None
    slot: int | None = None
    queries: int | None = None
    small: bool = False
    heading: str = ""
    strong: bool = False


@dataclass(frozen=True, slots=True)
class Panel:
    """Strips over one axis.

    Args:
        title: what the axis shows.
        scale: the axis.
        rows: from above.
        bars: whether bars from zero lead to the figures.
        signed: whether the figures are differences.
        line: a figure marked through all rows; None for none.
    """

    title: str
    scale: Scale
    rows: Sequence[Row]
    bars: bool = False
    signed: bool = False
    line: float | None = None


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar from zero; ``tip`` says what it stands for."""

    left: float
    width: float
    value: float
    tip: str


@dataclass(frozen=True, slots=True)
class Bars:
    """Bars side by side; ``grouped`` is how many figures each stands for at most."""

    scale: Scale
    bars: Sequence[Bar]
    grouped: int


@dataclass(frozen=True, slots=True)
class Point:
    """A point of a line or a cloud, with the interval of its height where it has one."""

    across: float
    up: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """Points of one system, in percent from the left and from above."""

    label: str
    slot: int
    points: Sequence[Point]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Field:
    """Lines or single points over two axes; ``across`` are the labels of the horizontal one with their places."""

    across: Sequence[tuple[float, str]]
    up: Scale
    lines: Sequence[Line] = field(default_factory=list)
