"""Progress of long work: a live rich display on a terminal, a plain line now and then where there is none."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

# Seconds between two plain lines.
_PLAIN_INTERVAL = 15.0

Advance = Callable[[int, int], None]
"""Called with the units done and the units in all."""


@contextmanager
def progress_bar(console: Console, title: str, unit: str) -> Iterator[Advance]:
    """Show units done, rate and time left while the block runs; the yielded function is told the progress."""
    if not console.is_terminal:
        yield _PlainLines(console, title, unit)
        return
    columns = (
        TextColumn(f"  {title}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=console, transient=True) as display:
        task = display.add_task(title, total=None, rate="")
        started = time.monotonic()

        def advance(done: int, total: int) -> None:
            display.update(task, completed=done, total=total, rate=_rate(done, time.monotonic() - started, unit))

        yield advance


class _PlainLines:
    def __init__(self, console: Console, title: str, unit: str) -> None:
        self._console, self._title, self._unit = console, title, unit
        self._started = self._last = time.monotonic()

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if now - self._last < _PLAIN_INTERVAL:
            return
        self._last = now
        elapsed = now - self._started
        left = elapsed / done * (total - done) if done else 0.0
        rate = _rate(done, elapsed, self._unit)
        self._console.print(f"  {self._title}: {done} of {total}, {rate}, {left:.0f} s left", highlight=False)


def _rate(done: int, seconds: float, unit: str) -> str:
    return f"{done / seconds:.1f} {unit}/s" if seconds > 0 else ""
