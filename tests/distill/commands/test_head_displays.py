"""What `distill teacher inspect` prints: queries and documents are texts, whatever they hold."""

import pytest
from rich.console import Console

from distill.commands.head_displays import show_document, show_usage
from distill.stages.inspection import DocumentView, Inspection
from teachers.explanation import TokenAttention
from teachers.head_usage import HeadUse
from teachers.heads import Head


@pytest.fixture
def console():
    return Console(width=200, record=True, force_terminal=False)


def test_first_words_of_queries_are_no_markup(console):
    kinds = {"[/INST]": 4, "[deal]": 3, "[sold]": 3}
    use = HeadUse(Head(0, 1), 1.0, 0.5, dict.fromkeys(kinds, 0.5))
    show_usage(console, Inspection(10, [use], kinds, 1, 2))
    shown = console.export_text()
    assert all(f"{kind} ({count})" in shown for kind, count in kinds.items())


def test_the_words_looked_at_are_set_off_where_lines_end_in_crlf(console):
    document = "first\x1b[31m line\r\nsecond line\r\nthird ANSWER here"
    at = document.index("ANSWER")
    view = DocumentView("who\x1b[2J", 2, {Head(0, 1): 1.0}, document, 1, 0.5, [TokenAttention(at, at + 6, 1.0)])
    show_document(console, view)
    coloured = console.export_text(styles=True, clear=False)
    assert ";30;43mANSWER\x1b[0m" in coloured
    plain = console.export_text()
    assert "\x1b" not in plain and "who\\x1b[2J" in plain
