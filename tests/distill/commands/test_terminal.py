"""Tables where there is no terminal, and texts that would act on one."""

from distill.commands.terminal import table_console, visible


def test_a_pipe_gets_the_width_that_a_table_takes_and_a_terminal_keeps_its_own(monkeypatch):
    monkeypatch.setenv("COLUMNS", "72")
    for told in ("FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(told, raising=False)
    assert (table_console().width, table_console(150).width) == (160, 150)
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert table_console(150).width == 72


def test_what_would_act_on_a_terminal_is_shown_and_words_stay_as_they_are():
    # an escape, a mark that turns the direction of writing, half a character
    assert visible("a\x1b[31m\u202eb\ud800") == "a\\x1b[31m\\u202eb\\ud800"
    assert visible("눈물 흘림\tund\nÄrger") == "눈물 흘림 und Ärger"
