"""From one docstring to a query and a document: what is taken, what is masked and what is refused."""

import pytest

from distill.collections.docstring_text import known_item

BODY = "The rest of the text says in quite other words what happens, when it happens, and why anybody would want it so."


def document(body, name="pack.Some.thing_done"):
    item = known_item(name, f"Does one thing with another.\n\n{body}\n\n{BODY}")
    return item.document.removesuffix(BODY).strip()


def test_the_first_sentence_is_the_query_and_the_rest_the_document():
    item = known_item("p.f", f"Reads a file, e.g. a\nlong one. And closes it.\n\n{BODY}")
    assert item.query == "Reads a file, e.g. a long one"
    assert item.document == f"And closes it. {BODY}"


def test_a_first_paragraph_without_a_full_stop_is_the_query():
    item = known_item("p.f", f"Reads a file line\nby line\n\n{BODY}")
    assert (item.query, item.document) == ("Reads a file line by line", BODY)


def test_the_document_is_cut_to_words():
    assert known_item("p.f", f"Reads a file in lines.\n\n{BODY}", max_words=5).document == "The rest of the text"


@pytest.mark.parametrize(
    ("own", "body", "expected"),
    [
        ("thing_done", "thing_done is pack.Some.thing_done", "this is this"),
        ("thing_done", "nothing_done, thing_done_twice", "nothing_done, thing_done_twice"),
        ("Thing", "A Thing is a thing, not Things", "A this is a thing, not Things"),
        ("thing", "a thing, thing(x), np.thing, `thing`", "a thing, this(x), this, this"),
    ],
)
def test_the_own_name_is_masked_and_a_plain_word_only_as_code(own, body, expected):
    assert document(body, f"pack.{own}") == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("Before.\n\n>>> call(1)\n'output'\n\nAfter.", "Before. After."),
        ("Before.\n\n```python\ncall(1)\n\ncall(2)\n```\n\nAfter.", "Before. After."),
        ("Such as::\n\n    call(1)\n    call(2)\n\nAfter.", "Such as: After."),
        ("Parameters\n----------\nx : int", "Parameters x : int"),
        ("Text.\n\nSee Also\n--------\nother : thing.\n\nNotes\n-----\nA note.", "Text. Notes A note."),
        ("Text.\n\nExamples:\n    call(1)\n\nArgs:\n    x: number", "Text. Args: x: number"),
        (".. versionadded:: 1.2\n\nText of :class:`~pack.Other`.", "Text of pack.Other."),
        ("Text of :func:`do <pack.do>`.", "Text of pack.do."),
        ("Uses ``code``, *stress*, **more** and `a page <https://a.b/c>`_.", "Uses code, stress, more and a page."),
        ("See [the guide](https://a.b/c) and [`Other`] [1]_.", "See the guide and Other ."),
        ("With {placeholder} and %(other)s but {{kept}}.", "With and but {{kept}}."),
        ("<Tip>\nA tip.\n</Tip>", "A tip."),
        (":param x: a number\n:returns: another", "x: a number : another"),
    ],
)
def test_markup_and_examples_are_taken_out(body, expected):
    assert document(body) == expected


@pytest.mark.parametrize(
    "first",
    [
        "Too short it",
        "Calls thing_done and then waits.",
        "Args: x, y and some more z.",
        "Deprecated since the version before last.",
        "See the other function for it.",
        "f(x, y) -> the sum of both.",
        "The transform is then defined as",
        "Fill {this} into the place of that.",
        "1 2 3 4 5 6 and more.",
        "word " * 26,
    ],
)
def test_what_makes_no_fair_query_is_refused(first):
    assert known_item("pack.thing_done", f"{first}\n\n{BODY}") is None


def test_too_short_a_document_is_refused():
    assert known_item("p.f", "Reads a file in lines.\n\nToo few words to be found by.") is None


@pytest.mark.parametrize(
    ("own", "query", "shares"),
    [
        ("read_file", "Read one file at once", True),
        ("readFile", "Read one file at once", True),
        ("HTTPServer", "A server that talks http", True),
        ("read_file", "Read one line at once", False),
        ("read", "Reads one line at once", False),
    ],
)
def test_it_is_told_whether_the_query_has_all_words_of_the_own_name(own, query, shares):
    assert known_item(f"pack.{own}", f"{query}.\n\n{BODY}").shares_name is shares
