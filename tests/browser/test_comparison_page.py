"""The page of a comparison in a real browser: silent, alone, sortable, narrow, printable, and no text becomes code."""

import re

import pytest

from distill.report.comparison_page import write_comparison_page
from tests.browser.chromium import NAMES, Chromium, find_browser
from tests.distill.report.dossiers import dossier, hostile_dossier

pytestmark = pytest.mark.skipif(find_browser() is None, reason=f"no browser: none of {', '.join(NAMES)} is installed")


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with Chromium(find_browser(), tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    write_comparison_page(dossier(), folder / "plain.html")
    write_comparison_page(hostile_dossier(), folder / "hostile.html")
    return folder


COMPLAINTS = ("Log.entryAdded", "Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Page.javascriptDialogOpening")


def requested(browser):
    return [event["params"]["request"]["url"] for event in browser.events if event["method"].endswith("WillBeSent")]


def complaints(browser):
    return [event for event in browser.events if event["method"] in COMPLAINTS]


def column(browser, place):
    """What a column of the table of all differences shows, from above."""
    return browser.ask(
        f"[...document.querySelectorAll('#contrasts tbody')[0].rows].map(r => r.cells[{place}].innerText)"
    )


@pytest.mark.parametrize("name", ["plain", "hostile"])
def test_the_page_is_silent_and_asks_for_nothing(browser, pages, name):
    page = pages / f"{name}.html"
    browser.open(page)
    assert complaints(browser) == []
    assert [url for url in requested(browser) if not url.startswith("data:")] == [page.as_uri()]


def test_the_policy_stops_what_a_text_could_do(browser, pages):
    browser.open(pages / "plain.html")
    browser.ask("document.body.insertAdjacentHTML('beforeend', '<img src=\"http://127.0.0.1:9/a.png\">')")
    # what runs here runs as the page's own code; a handler put into the page does not
    browser.ask("document.body.insertAdjacentHTML('beforeend', '<img src=data:, onerror=\"window.ran = 1\">')")
    browser.ask("new Promise(done => setTimeout(done, 300))")
    texts = " ".join(event["params"]["entry"]["text"] for event in complaints(browser))
    assert "Content Security Policy" in texts and not browser.ask("window.ran ?? 0")


def test_a_document_that_holds_a_script_tag_stays_text(browser, pages):
    counted = []
    for name in ("plain", "hostile"):
        browser.open(pages / f"{name}.html")
        counted.append(
            browser.ask("['script', 'style', 'svg', 'table', 'td', 'b'].map(t => document.querySelectorAll(t).length)")
        )
        assert browser.ask("document.querySelectorAll('[onmouseover], [onfocus], [autofocus]').length") == 0
    assert counted[0] == counted[1] and counted[0][:2] == [1, 1]
    assert "<script>alert(1)</script>" in browser.ask("document.querySelector('h1').textContent")
    assert "{{ 7*7 }}" in browser.ask("document.querySelector('#best td.text').textContent")


def test_a_click_on_a_head_sorts_by_the_exact_figures(browser, pages):
    browser.open(pages / "plain.html")
    buttons = "[...document.querySelector('#contrasts thead').querySelectorAll('button')]"
    click = f"{buttons}.find(button => button.innerText == 'difference').click()"
    contrasts = [one for one in dossier().comparison.contrasts if one.slice == "all queries"]
    best_first = [one.measure for one in sorted(contrasts, key=lambda one: -one.difference)]
    browser.ask(click)
    assert column(browser, 2) == best_first
    browser.ask(click)
    assert column(browser, 2) == best_first[::-1]
    assert browser.ask("[...document.querySelectorAll('#contrasts [aria-sort]')].map(head => head.ariaSort)") == [
        "ascending"
    ]


def test_tables_are_sorted_by_keyboard_alone(browser, pages):
    browser.open(pages / "plain.html")
    browser.ask("document.querySelector('#contrasts .scroll').focus()")
    browser.press("Tab")
    assert browser.ask("document.activeElement.innerText") == "system"
    browser.press("Enter", "\r")
    names = column(browser, 0)
    assert names == sorted(names)
    assert browser.ask("document.activeElement.parentElement.getAttribute('aria-sort')") == "ascending"


@pytest.mark.parametrize("name", ["plain", "hostile"])
def test_nothing_overflows_a_phone(browser, pages, name):
    browser.open(pages / f"{name}.html", width=360)
    browser.ask("document.querySelectorAll('details').forEach(one => { one.open = true; })")
    assert browser.ask("innerWidth") == 360
    assert browser.ask("document.documentElement.scrollWidth") == 360
    # nor does a table's box, in which the table itself may be wider
    assert (
        browser.ask(
            "Math.max(...[...document.querySelectorAll('.scroll')].map(one => one.getBoundingClientRect().right))"
        )
        <= 360
    )
    assert browser.ask("document.querySelector('#contrasts .scroll').scrollWidth") > 360


def test_marks_stand_where_their_figures_say(browser, pages):
    browser.open(pages / "plain.html")
    bars = browser.ask(
        "[...document.querySelectorAll('#measures .panel:first-child .bar')].map(bar => "
        "bar.getBoundingClientRect().width / bar.parentElement.getBoundingClientRect().width)"
    )
    means = [dossier().comparison.mean(system) for system in dossier().comparison.systems]
    assert [bar / bars[0] for bar in bars] == pytest.approx([mean / means[0] for mean in means], rel=0.01)


def contrast(one, other):
    """Ratio of luminances of two CSS colours, as WCAG 2 defines it."""

    def luminance(colour):
        shares = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
        linear = [share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("dark", [False, True])
def test_texts_stand_out_in_light_and_dark(browser, pages, dark):
    browser.open(pages / "plain.html", dark=dark)
    paper = browser.ask("getComputedStyle(document.body).backgroundColor")
    assert (contrast(paper, "rgb(0, 0, 0)") < 2) is dark
    for selector in ("h1", ".kicker", ".n", "nav a", ".up", ".down", "caption"):
        colour = browser.ask(f"getComputedStyle(document.querySelector('{selector}')).color")
        assert contrast(colour, paper) >= 4.5, selector


def test_the_page_prints(browser, pages):
    browser.open(pages / "hostile.html", dark=True)
    printed = browser.print()
    assert printed.startswith(b"%PDF-") and len(printed) > 10_000


def test_tables_fit_on_paper_and_the_paper_is_white(browser, pages):
    # A4 with a browser's own margins is about 720 CSS pixels wide; what is wider would shrink the whole print
    browser.open(pages / "plain.html", width=720, dark=True)
    browser.send("Emulation.setEmulatedMedia", media="print")
    try:
        assert browser.ask("document.documentElement.scrollWidth") == 720
        assert browser.ask("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        assert browser.ask("getComputedStyle(document.querySelector('nav')).display") == "none"
    finally:
        browser.send("Emulation.setEmulatedMedia", media="")


def test_without_scripts_the_page_reads_the_same(browser, pages):
    browser.open(pages / "plain.html")
    said = browser.ask("document.querySelector('main').innerText")
    browser.send("Emulation.setScriptExecutionDisabled", value=True)
    try:
        browser.open(pages / "plain.html")
        assert browser.ask("document.querySelectorAll('button').length") == 0
        without = browser.ask("document.querySelector('main').innerText")
    finally:
        browser.send("Emulation.setScriptExecutionDisabled", value=False)
    tools = ("Open all", "Close all")
    assert "".join(without.split()) == "".join(re.sub("|".join(tools), "", said).split())
