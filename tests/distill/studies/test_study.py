"""What a study writes and shows: read back, with texts that would act on a page, a table or a terminal."""

import io
import json
import re

import pytest
from markdown_it import MarkdownIt
from rich.console import Console

from distill.collections.collection import DataError
from distill.studies.study import StudyResult, StudyTable, label, show_study, study_markdown, write_study

NASTY = "<script>a|b</script> [bold]*x* \x1b[31m\x00 \u202e \ud800 `c`\nd"


def result(name="tiny"):
    rows = [("plain", 0.12345, 3, None), (NASTY, float("nan"), -2, 0.00012)]
    table = StudyTable(f"of {NASTY}", ("what", "share", "n", NASTY), rows)

    def draw(figure):
        axes = figure.subplots()
        axes.plot([0, 1], [1, 0])
        axes.set(xlabel=label(f"{NASTY} $x"), ylabel="y")

    return StudyResult(name, f"which {NASTY}?", [f"because {NASTY}"], [table], {"n": 2, "none": float("nan")}, draw)


def test_the_files_hold_what_was_found(tmp_path):
    facts, picture, page = write_study(result(), tmp_path / "out")
    content = json.loads(facts.read_text(encoding="ascii"))
    assert content["facts"] == {"n": 2, "none": None}
    assert content["tables"][0]["rows"][1] == [NASTY, None, -2, 0.00012]
    assert picture.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert sorted(path.name for path in page.parent.iterdir()) == ["tiny.json", "tiny.md", "tiny.png"]


def test_a_markdown_reader_sees_the_table_and_no_markup_of_its_texts():
    page = MarkdownIt("gfm-like", {"html": True, "linkify": False}).render(study_markdown(result()))
    assert "<script>" not in page and "<em>" not in page and "<code>" not in page
    rows = [re.findall(r"<td.*?>(.*?)</td>", row) for row in re.findall(r"<tr>(.*?)</tr>", page, re.DOTALL)]
    assert [len(row) for row in rows] == [0, 4, 4]
    assert rows[1] == ["plain", "0.123", "3", ""]
    assert rows[2][1:] == ["", "-2", "0.00012"]
    assert "&lt;script&gt;a|b&lt;/script&gt; [bold]*x*" in rows[2][0]
    assert not set(page) & set("\x1b\x00\u202e\ud800")


def test_a_terminal_is_not_told_what_to_do():
    out = io.StringIO()
    show_study(Console(file=out, width=200), result())
    shown = out.getvalue()
    assert not set(shown) & set("\x1b\x00\u202e\ud800")
    assert "[bold]*x*" in shown and "0.123" in shown


def test_a_study_is_not_overwritten_unasked_and_another_fits_beside_it(tmp_path):
    write_study(result(), tmp_path)
    write_study(result("second"), tmp_path)
    with pytest.raises(DataError, match=r"tiny\.json: exists already"):
        write_study(result(), tmp_path)
    write_study(result(), tmp_path, overwrite=True)


def test_a_picture_that_cannot_be_drawn_leaves_nothing(tmp_path):
    def broken(figure):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_study(StudyResult("tiny", "?", [], [], {}, broken), tmp_path)
    assert not list(tmp_path.iterdir())
