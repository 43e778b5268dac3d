"""The page of a comparison as a parser reads it: its figures are the comparison's, and its texts are never code."""

import re
from html.parser import HTMLParser

import pytest

from distill.evaluation.comparison import ALL_QUERIES
from distill.report.comparison_page import write_comparison_page
from distill.report.page import cleaned, figure, p_value, signed
from tests.distill.report.dossiers import HOSTILE, dossier, hostile_dossier

VOID = {"meta", "link", "br"}


class Page(HTMLParser):
    """Elements with attributes and path, texts by path, and the rows of tables."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open, self.elements, self.texts, self.tables = [], [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag == "table":
            self.tables.append([])
        if tag == "tr":
            self.tables[-1].append([])
        if tag in ("td", "th"):
            self.tables[-1][-1].append([dict(attributes).get("data-sort"), ""])
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append((self.open[-1] if self.open else "", data))
        if self.open and {"td", "th"} & set(self.open):
            self.tables[-1][-1][-1][1] += data

    def said(self, tag=None):
        words = (text for inside, text in self.texts if inside not in ("script", "style") and tag in (None, inside))
        return " ".join(" ".join(words).split())

    def table(self, *heads):
        return next(table for table in self.tables if {cell[1] for cell in table[0]} >= set(heads))


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Writes a dossier's page; returns its text and what a parser sees."""

    def write(given):
        path = tmp_path_factory.mktemp("page") / "report.html"
        write_comparison_page(given, path)
        text = path.read_bytes().decode("utf-8")
        return text, Page(text)

    return write


@pytest.fixture(scope="module")
def page(written):
    return written(dossier())[1]


def test_the_verdict_comes_first(page):
    assert page.said("h1") == dossier().verdict
    assert page.said().startswith("a made-up comparison a made-up comparison teacher is better than bm25. nDCG@10")


def test_a_long_document_opens_on_demand_and_a_short_one_stands_whole(written):
    long = dossier(text="many words " * 60 + "and the end")
    _, page = written(long)
    passages = [attributes for tag, attributes in page.elements if tag == "details" and "passage" in str(attributes)]
    shown = sum(len(change.movements[:12]) for change in long.worst + long.best)
    assert len(passages) == shown > 0
    assert page.said().count("and the end") == shown
    assert not [
        attributes for tag, attributes in written(dossier())[1].elements if attributes.get("class") == "passage"
    ]


def test_every_contrast_stands_in_the_table_with_all_its_figures(page):
    heads, *rows = page.table("effect size", "p Holm")
    whole = [contrast for contrast in dossier().comparison.contrasts if contrast.slice == ALL_QUERIES]
    assert len(rows) == len(whole) == 6
    shown = {(row[0][1], row[1][1], row[2][1]): row for row in rows}
    for one in whole:
        cells = shown[one.system, one.reference, one.measure]
        numbers = [one.difference, one.low, one.p_holm, one.queries, one.system_mean, one.reference_mean]
        numbers += [one.p_randomisation, one.p_t, one.effect_size, one.detectable, one.wins]
        assert [float(cell[0]) for cell in cells[3:]] == numbers
        assert [cell[1] for cell in cells[3:]] == [
            signed(one.difference), f"{signed(one.low)} to {signed(one.high)}", p_value(one.p_holm), str(one.queries),
            figure(one.system_mean), figure(one.reference_mean), p_value(one.p_randomisation), p_value(one.p_t),
            signed(one.effect_size), figure(one.detectable), f"{one.wins} / {one.ties} / {one.losses}",
        ]  # fmt: skip
    # what the page is about stands first
    assert [cell[1] for cell in rows[0][:3]] == ["teacher", "bm25", "nDCG@10"]


def test_every_slice_of_the_pair_has_its_row(page):
    rows = page.table("slice", "p Holm")[1:]
    found = {(row[0][1], row[1][1], row[2][1], row[3][1]): float(row[4][0]) for row in rows}
    for one in dossier().comparison.contrasts:
        if one.slice != ALL_QUERIES:
            assert found[one.slice, one.system, one.reference, one.measure] == one.difference
    assert next(row for row in rows if row[0][1] == "length: long")[7][1] == "10 (few)"


def test_the_systems_table_has_means_and_facts(page):
    rows = {row[0][1]: row for row in page.table("judged@10", "depth")[1:]}
    for system in dossier().comparison.systems:
        cells = rows[system]
        assert float(cells[1][0]) == dossier().comparison.mean(system)
        assert float(cells[4][0]) == dossier().facts[system].recall
        assert cells[3][1] == "50.0 %" and cells[5][1] == "12"
    assert [rows[name][6][1] for name in rows] == ["1 ms", "10 ms", "100 ms"]


def test_missing_queries_are_named(page):
    assert "bm25 lacks 1 judged query , counted as 0: q000 ." in page.said()
    assert "bm25 lacks judged queries (named above), which count as 0." in page.said()


def test_bars_that_stand_for_queries_have_their_heights(written):
    text, _ = written(dossier())
    heights = [float(found) for found in re.findall(r'class="(?:gain|loss)" [^>]* height="([\d.]+)%"', text)]
    values = dossier().comparison.values
    moved = [abs(d) for d in values["teacher"]["nDCG@10"] - values["bm25"]["nDCG@10"] if d]
    assert len(heights) == len(moved)
    # one scale for all: heights are to each other as differences are
    assert max(heights) / sum(heights) == pytest.approx(max(moved) / sum(moved), rel=1e-3)


def test_changed_queries_tell_where_documents_went(page):
    change = dossier().best[0]
    said = page.said()
    assert f"{signed(change.difference)} {change.query_id} words of no meaning" in said
    table = next(t for t in page.tables if any(change.movements[0].doc_id in cell[1] for row in t for cell in row))
    for movement, row in zip(change.movements, table[1:], strict=False):
        ranks = [movement.reference_rank or "not there", movement.system_rank or "not there"]
        assert " ".join(row[0][1].split()).startswith(f"{ranks[0]} → {ranks[1]}")
        assert movement.doc_id in row[2][1]


def test_a_teacher_s_labels_are_never_taken_for_judgments(written, page):
    banner = "These are a teacher's labels, not judgments of people."
    assert banner not in page.said()
    assert written(dossier(from_teacher=True))[1].said().startswith(f"a made-up comparison {banner}")


def test_what_a_dossier_lacks_the_page_leaves_out(written):
    bare = dossier(agreements={}, ceiling=None, teacher=None, queries={}, documents={}, worst=[], first_stage=None)
    _, found = written(bare)
    said = found.said()
    assert "No query loses." in said and "Which first stage the candidates come from was not told." in said
    assert "Agreement" not in said
    assert not any("agreement" in attributes.values() for _, attributes in found.elements)


def test_hostile_texts_stay_texts(written):
    plain, (text, found) = written(dossier())[1], written(hostile_dossier())
    for tag in ("script", "style", "svg", "table", "title", "html", "td", "b"):
        counted = [sum(one[0] == tag for one in page.elements) for page in (plain, found)]
        assert counted[0] == counted[1], tag
    attributes = {name for _, given in found.elements for name in given}
    assert attributes == {name for _, given in plain.elements for name in given}
    assert not re.search("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", text)
    assert found.said("h1").startswith(" ".join(cleaned(" ".join(HOSTILE)).split())[:300])


def test_nothing_is_fetched_from_anywhere(written):
    text, found = written(hostile_dossier())
    links = [value for _, given in found.elements for name, value in given.items() if name in ("href", "src")]
    assert links and all(link.startswith("#") or link == "data:," for link in links)
    assert "@import" not in text and "url(" not in text
    targets = {given["id"] for _, given in found.elements if "id" in given}
    assert {link[1:] for link in links if link.startswith("#")} <= targets


def test_tables_and_pictures_say_what_they_are(page):
    heads = [given for tag, given in page.elements if tag == "th"]
    assert heads and all(given["scope"] in ("row", "col") for given in heads)
    order = [tag for tag, _ in page.elements]
    for place, (tag, given) in enumerate(page.elements):
        if tag == "svg" and given.get("role") == "img":
            assert order[place + 1] == "title"
    # but for those within a picture, which stretch its lines
    pictures = [given for tag, given in page.elements if tag == "svg" and "preserveaspectratio" not in given]
    assert pictures and all(given.get("role") == "img" or given["aria-hidden"] == "true" for given in pictures)


def test_the_same_dossier_gives_the_same_bytes(written):
    assert written(dossier())[0] == written(dossier())[0]


def test_a_page_of_243_queries_and_4_systems_is_small(written):
    names = ("bm25", "mixture", "bi_encoder", "encoder")
    text, _ = written(dossier(count=243, names=names, text="a text of some length " * 40))
    assert len(text.encode()) < 600_000
