"""Progress of long work: a live rich display on a terminal, a plain line now and then where there is none."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

# Seconds between two plain lines.
_PLAIN_INTERVAL = 15.0
# Of which the rate is told: enough for lists of all lengths, and what a store gave at once is forgotten after so many.
_READINGS = 100


class Advance(Protocol):
    """Is told how far the work is."""

    def __call__(self, done: int, total: int, /, *, stood: int = 0, note: str = "", unit: str = "") -> None:
        """Takes the units done and the units in all.

        Args:
            done: units done.
            total: units in all.
            stood: of those done, the units that cost no time because they stood already.
            note: what else is worth showing, in a few words.
            unit: what is counted, where this part of the work counts something else.
        """
        ...


@contextmanager
def progress_bar(console: Console, title: str, unit: str) -> Iterator[Advance]:
    """Show units done, rate and time left while the block runs; the yielded function is told the progress."""
    if not console.is_terminal:
        yield _PlainLines(console, title, unit)
        return
    columns = (
        TextColumn(f"  {title}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(), TextColumn("left"), TextColumn("{task.fields[left]}"), TextColumn("{task.fields[note]}"),
    )  # fmt: skip
    with Progress(*columns, console=console, transient=True) as display:
        task = display.add_task(title, total=None, rate="", left="", note="")
        pace = _Pace(unit)

        def advance(done: int, total: int, /, *, stood: int = 0, note: str = "", unit: str = "") -> None:
            rate, left = pace.read(done - stood, total - done, time.monotonic(), unit)
            display.update(task, completed=done, total=total, rate=rate, left=left, note=note)

        yield advance


class _PlainLines:
    def __init__(self, console: Console, title: str, unit: str) -> None:
        self._console, self._title = console, title
        self._pace = _Pace(unit)
        self._last = time.monotonic()

    def __call__(self, done: int, total: int, /, *, stood: int = 0, note: str = "", unit: str = "") -> None:
        now = time.monotonic()
        rate, left = self._pace.read(done - stood, total - done, now, unit)
        if now - self._last < _PLAIN_INTERVAL:
            return
        self._last = now
        shown = [f"{done} of {total}", *([rate, f"{left} left"] if rate else []), *([note] if note else [])]
        self._console.print(f"  {self._title}: {', '.join(shown)}", highlight=False, soft_wrap=True)


class _Pace:
    """Rate and time left by the last readings; what came before the first, such as loading a model, comes once.

    Where fewer are done than before, another part of the work has begun, with a rate of its own.
    """

    def __init__(self, unit: str) -> None:
        self._unit = unit
        self._readings: deque[tuple[int, float]] = deque(maxlen=_READINGS)

    def read(self, done: int, to_do: int, now: float, unit: str) -> tuple[str, str]:
        """Rate and time left as shown, both empty where nothing is known yet; ``done`` are the units done here."""
        if self._readings and done < self._readings[-1][0]:
            self._readings.clear()
        self._readings.append((done, now))
        first, since = self._readings[0]
        count, seconds = done - first, now - since
        if count <= 0 or seconds <= 0:
            return "", ""
        rate = count / seconds
        shown = f"{rate:.0f}" if rate >= 10 else f"{rate:.2g}"
        return f"{shown} {unit or self._unit}/s", duration(to_do / rate)


def duration(seconds: float) -> str:
    """A time in its largest unit and the next: ``35 s``, ``12 min 5 s``, ``3 h 20 min``, ``2 d``."""
    units = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))
    whole = round(seconds)
    first = next((place for place, (_, size) in enumerate(units) if whole >= size), len(units) - 1)
    parts: list[str] = []
    for name, size in units[first : first + 2]:
        count, whole = divmod(whole, size)
        if count or not parts:
            parts.append(f"{count} {name}")
    return " ".join(parts)
