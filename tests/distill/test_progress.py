import io

import pytest
from rich.console import Console

from distill import progress
from distill.progress import duration, progress_bar


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "0 s"),
        (59.4, "59 s"),
        (60, "1 min"),
        (3725, "1 h 2 min"),
        (86400, "1 d"),
        (86700, "1 d"),
        (190_000, "2 d 4 h"),
    ],
)
def test_a_duration_has_two_units(seconds, shown):
    assert duration(seconds) == shown


def test_without_a_terminal_there_are_plain_lines_whose_rate_leaves_out_what_stood(monkeypatch):
    now = iter([0.0, 60.0, 65.0, 80.0, 160.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(now))
    written = io.StringIO()
    with progress_bar(Console(file=written, width=40), "labels", "lists") as advance:
        advance(901, 1000, stood=900)  # the first list, after a minute of loading
        advance(902, 1000, stood=900)  # 5 s after the last line: too early for one
        advance(911, 1000, stood=900, note="1 failed")  # 10 lists in 20 s; 89 to go
        advance(951, 1000, stood=900)  # 50 in 100 s; 49 to go
    assert written.getvalue().splitlines() == [
        "  labels: 901 of 1000",
        "  labels: 911 of 1000, 0.5 lists/s, 2 min 58 s left, 1 failed",
        "  labels: 951 of 1000, 0.5 lists/s, 1 min 38 s left",
    ]


def test_a_terminal_shows_the_note(monkeypatch):
    written = io.StringIO()
    console = Console(file=written, force_terminal=True, width=200)
    with progress_bar(console, "labels", "lists") as advance:
        advance(3, 10, stood=1, note="2 failed, 12% missing")
    assert "2 failed, 12% missing" in written.getvalue()
    assert "3/10" in written.getvalue()


def test_a_part_that_begins_anew_has_a_rate_of_its_own(monkeypatch):
    now = iter([0.0, 0.0, 20.0, 100.0, 120.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(now))
    written = io.StringIO()
    with progress_bar(Console(file=written, width=60), "warm start", "steps") as advance:
        advance(100, 300, unit="lists")
        advance(300, 300, unit="lists")  # 200 in 20 s
        advance(5, 25)  # the first steps of a training that began in between
        advance(15, 25)  # 10 in 20 s; 10 to go
    assert written.getvalue().splitlines() == [
        "  warm start: 300 of 300, 10 lists/s, 0 s left",
        "  warm start: 5 of 25",
        "  warm start: 15 of 25, 0.5 steps/s, 20 s left",
    ]


def test_what_a_store_gave_at_once_is_soon_forgotten(monkeypatch):
    # 300 lists in three seconds, then one a second
    times = [0.0, *(place / 100 for place in range(300)), *(3.0 + place for place in range(1, 151))]
    now = iter(times)
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(now))
    written = io.StringIO()
    with progress_bar(Console(file=written, width=60), "teacher", "lists") as advance:
        for done in range(1, 451):
            advance(done, 1000)
    assert written.getvalue().splitlines()[-1] == "  teacher: 447 of 1000, 1 lists/s, 9 min 13 s left"
