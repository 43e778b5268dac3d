"""What reaches a page: texts without what disturbs, numbers as people write them, a policy that names its own code."""

import base64
import hashlib
import math
import re

import pytest

from distill.report.page import cleaned, cut, exact, p_value, signed, write_page
from tests.distill.report.dossiers import HOSTILE, dossier


def test_what_cannot_be_shown_is_replaced_and_all_else_kept():
    assert cleaned("a\x00b\x9fc\u202ed\u2069e\ud800f\ufffeg\U0010ffffh") == "a�b�c�d�e�f�g�h"
    kept = "tab\t line\r\n é 日本語 עברית \u200f\u200d 👩‍🚀 <b>&\"'"
    assert cleaned(kept) == kept


def test_whatever_comes_is_utf8_afterwards():
    every = "".join(map(chr, range(0x110000)))
    found = cleaned(every)
    assert len(found) == len(every)
    assert found.encode().decode() == found


def test_long_texts_end_with_a_whole_word():
    assert cut("one two three", 9) == "one two…"
    assert cut("one two", 7) == "one two"
    assert cut("W" * 500, 400) == "W" * 400 + "…"
    assert all(len(cut(text, 50)) <= 51 for text in HOSTILE)


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.1285, "+0.129"), (-0.0312, "−0.031"), (-0.0004, "0.000"), (math.nan, "not defined"), (-math.inf, "−∞")],
)
def test_differences_carry_their_sign(value, shown):
    assert signed(value) == shown


def test_small_probabilities_are_not_shown_as_nothing():
    assert [p_value(value) for value in (0.00009, 0.0002, 0.05, 1.0)] == ["<0.0001", "0.0002", "0.0500", "1.0000"]


def test_exact_numbers_are_read_back_by_a_script():
    assert float(exact(1 / 3)) == 1 / 3
    assert [exact(value) for value in (math.inf, -math.inf, math.nan)] == ["Infinity", "-Infinity", "NaN"]


def test_the_policy_allows_the_page_s_own_style_and_script_alone(tmp_path):
    from distill.report.comparison_page import write_comparison_page

    write_comparison_page(dossier(), tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)[1].replace("&#39;", "'")
    for kind in ("style", "script"):
        code = re.search(rf"<{kind}>(.*?)</{kind}>", page, re.DOTALL)[1]
        digest = base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none';") and "unsafe" not in policy


def test_a_page_that_fails_leaves_the_one_that_stands(tmp_path):
    page = tmp_path / "page.html"
    page.write_text("before")
    with pytest.raises(Exception, match="'dossier' is undefined"):
        write_page("comparison.html", "comparison.css", "comparison.js", page)
    assert page.read_text() == "before" and [path.name for path in tmp_path.iterdir()] == ["page.html"]
