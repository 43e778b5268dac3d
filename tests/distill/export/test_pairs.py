"""Pairs to check with: those of ours, and those of files."""

from __future__ import annotations

import json

import pytest

from distill.collections.collection import Collection, DataError, Document
from distill.errors import ModelError
from distill.export.folder import ExportRequest, export_model
from distill.export.pairs import BUILT_IN, RealLists, lists_of, read_pairs, spread_pairs
from distill.export.parity import read_parity, write_parity
from distill.export.source import open_source


def test_the_built_in_pairs_are_twenty_in_several_scripts():
    assert len(set(BUILT_IN)) == 20
    scripts = {"latin": "a", "hangul": "수", "kana": "の", "han": "水", "arabic": "ا"}
    for letter in scripts.values():
        assert any(letter in query + document for query, document in BUILT_IN)


def test_lines_of_one_query_are_a_list(tmp_path):
    rows = [("a", "x"), ("b", "y"), ("a", "z"), ("a", "x")]
    path = tmp_path / "pairs.jsonl"
    path.write_text("\n".join(json.dumps({"query": query, "document": document}) for query, document in rows))
    assert read_pairs(path).texts() == [("a", ["x", "z", "x"]), ("b", ["y"])]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "no pairs here"),
        ("{", "pairs.jsonl:1: not JSON"),
        ('{"query": "a", "document": "b"}\n{"query": "a", "text": "b"}', 'pairs.jsonl:2: a pair is {"query": TEXT'),
        ('["a", "b"]', "pairs.jsonl:1: a pair is"),
        ("[" * 50_000, "pairs.jsonl:1: not JSON: too deep, or too long a number$"),
        ('\n{"query": ' + "1" * 5_000 + "}", "pairs.jsonl:2: not JSON: too deep, or too long a number$"),
    ],
)
def test_what_is_no_pair_is_named_with_its_line(content, message, tmp_path):
    path = tmp_path / "pairs.jsonl"
    path.write_text(content)
    with pytest.raises(DataError, match=message):
        read_pairs(path)


def test_texts_of_any_kind_travel_in_the_parity_file(tmp_path):
    hostile = ["</script>\0\x1b[31m", "\u202eabc", "{braces} [CLS]", "\ud800 half a character", '"quoted\n"']
    path = tmp_path / "pairs.jsonl"
    path.write_text("\n".join(json.dumps({"query": text, "document": text}) for text in hostile))
    pairs = spread_pairs(read_pairs(path).texts(), 5)
    assert pairs[3][0] == "? half a character"
    write_parity(tmp_path / "parity.json", pairs, [1.0, 2.0, 3.0, 4.0, 5.5])
    assert read_parity(tmp_path / "parity.json") == (pairs, [1.0, 2.0, 3.0, 4.0, 5.5])


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("[]", "no pairs; one or more are needed"),
        ('[{"query": "q", "document": "d", "score": 1}, {"query": "q", "document": "e", "score": -Infinity}]',
         "1 of 2 scores are not finite, as -inf"),
        ('[{"query": "q", "document": "d", "score": 1' + "0" * 400 + "}]", "not a list of query, document and score"),
        ("[" * 50_000, "not a list of query, document and score"),
    ],
)  # fmt: skip
def test_a_parity_file_that_nothing_can_be_compared_with_says_why(content, said, tmp_path):
    (tmp_path / "parity.json").write_text(content)
    with pytest.raises(ModelError, match=rf"parity\.json: {said}"):
        read_parity(tmp_path / "parity.json")


def test_a_run_s_lists_come_with_the_judgments_of_all_splits():
    documents = {name: Document(name, "", f"text of {name}") for name in ("x", "y")}
    qrels = {"train": {"a": {"x": 1}}, "test": {"a": {"y": 2}, "other": {"x": 1}}}
    collection = Collection("c", documents, {"a": "query a", "b": "query b"}, qrels)
    found = lists_of(collection, {"a": {"x": 2.0, "y": 1.0}, "b": {"y": 1.0}})
    assert found.texts() == [("query a", ["text of x", "text of y"]), ("query b", ["text of y"])]
    assert found.qrels == {"a": {"x": 1, "y": 2}}
    assert found.scored([[0.5, 0.25], [4.0]]) == {"a": {"x": 0.5, "y": 0.25}, "b": {"y": 4.0}}


def test_lists_are_spread_evenly_those_with_a_relevant_document_first():
    lists = RealLists(
        {f"q{n}": "" for n in range(25)},
        {f"q{n}": {"d": ""} for n in range(25)},
        # judged, with a relevant candidate; judged, without one; a relevant document that is no candidate
        {"q4": {"d": 1}, "q20": {"d": 2}, "q3": {"d": 0}, "q5": {"other": 1}},
    )
    assert list(lists.spread(1).documents) == ["q4"]
    assert lists.spread(2).qrels == {"q4": {"d": 1}, "q20": {"d": 2}}
    # of the other 23 lists q0 to q24, every third by place, rounded down
    assert list(lists.spread(10).documents) == ["q4", "q20", "q0", "q2", "q6", "q9", "q12", "q15", "q18", "q22"]
    assert lists.spread(10).queries.keys() == lists.spread(10).documents.keys()
    assert sorted(lists.spread(25).documents) == sorted(lists.documents) == sorted(lists.spread(99).documents)


@pytest.mark.parametrize("count", [1, 2, 7, 20, 21, 39, 40, 41])
def test_pairs_are_spread_over_all_lists(count):
    lists = [(query, [f"{query}{number}" for number in range(20)]) for query in "ab"]
    pairs = spread_pairs(lists, count)
    every = [(query, document) for query, documents in lists for document in documents]
    # so many, in order, with gaps that differ by one at most
    assert len(pairs) == len(set(pairs)) == min(count, 40)
    places = [every.index(pair) for pair in pairs]
    gaps = [after - before for before, after in zip(places, [*places[1:], 40], strict=True)]
    assert places[0] == 0 and max(gaps) - min(gaps) <= 1
    assert abs(sum(query == "a" for query, _ in pairs) - len(pairs) / 2) <= 0.5


@pytest.mark.parametrize("kind", ["encoder", "decoder"])
def test_every_loader_gives_an_empty_document_the_same_score(student, tmp_path, kind):
    request = ExportRequest("hf", tmp_path / "out", [("kettle", ""), ("", "kettle"), ("kettle", "boil water")])
    report = export_model(open_source(str(student(kind)), activation="logit"), request)
    assert {row.loader for row in report.parity} == {"transformers", "CrossEncoder"}
    assert all(row.passed and row.largest < 1e-5 for row in report.parity)
