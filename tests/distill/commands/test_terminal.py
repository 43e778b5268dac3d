"""Tables where there is no terminal, and texts that would act on one."""

import io

from rich.table import Table

from distill.commands.terminal import table_console, visible


def test_a_pipe_gets_the_width_that_a_table_takes_and_a_terminal_keeps_its_own(monkeypatch):
    monkeypatch.setenv("COLUMNS", "72")
    for told in ("FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(told, raising=False)
    assert (table_console().width, table_console(150).width) == (160, 150)
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert table_console(150).width == 72


def test_a_pipe_is_as_wide_as_the_figures_of_a_table_and_folds_its_texts():
    console, shown = table_console(100), io.StringIO()
    console.file = shown
    table = Table()
    table.add_column("run", overflow="fold")
    figures = [f"{number}.1234" for number in range(10, 40)]
    for figure in figures:
        table.add_column(f"measure_{figure}", justify="right")
    table.add_row("n" * 90, *figures)
    console.print("told before", table)
    lines = shown.getvalue().splitlines()
    assert all(f"measure_{figure}" in lines[2] and f" {figure} " in lines[4] for figure in figures)
    # a column of text has 40 characters, in three lines of the table, and each column takes two more and a rule
    assert shown.getvalue().count("n" * 40) == 2 and len(lines[2]) == 1 + 43 + 30 * (len("measure_10.1234") + 3)


def test_what_would_act_on_a_terminal_is_shown_and_words_stay_as_they_are():
    # an escape, a mark that turns the direction of writing, half a character
    assert visible("a\x1b[31m\u202eb\ud800") == "a\\x1b[31m\\u202eb\\ud800"
    assert visible("눈물 흘림\tund\nÄrger") == "눈물 흘림 und Ärger"
