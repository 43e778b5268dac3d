"""Slices of queries, by hand."""

import pytest

from distill.collections.collection import Collection, DataError, Document
from distill.evaluation.slices import (
    by_column,
    by_first_stage,
    by_length,
    by_terms,
    by_traffic,
    frequencies,
    read_columns,
)


def test_head_torso_and_tail_each_carry_a_third_of_the_traffic():
    # 90 in all: one query of 30, three of 10, thirty of 1
    often = {"h": 30.0, **{f"m{i}": 10.0 for i in range(3)}, **{f"t{i}": 1.0 for i in range(30)}}
    found = by_traffic(often)
    assert {name: len(members) for name, members in found.items()} == {
        "traffic: head": 1, "traffic: torso": 3, "traffic: tail": 30,
    }  # fmt: skip
    # a query is where the middle of its traffic is: at 14.5, 43, 70.5 and 87 of 90
    parts = by_traffic({"a": 29.0, "b": 28.0, "c": 27.0, "d": 6.0})
    assert list(parts.values()) == [{"a"}, {"b"}, {"c", "d"}]
    # queries that were asked equally often are never torn apart
    assert set(map(len, by_traffic(dict.fromkeys("abc", 5.0)).values())) == {0, 3}


def test_lengths_are_words_between_spaces():
    found = by_length({"a": "one two  three", "b": "one two three four", "c": "1 2 3 4 5 6 7", "d": ""})
    assert found == {
        "length: 1 to 3 words": {"a", "d"}, "length: 4 to 6 words": {"b"}, "length: 7 words or more": {"c"},
    }  # fmt: skip


def test_terms_are_rare_by_the_documents_that_hold_them():
    texts = {"d1": "sorted arrays of glaciers", "d2": "an array sorts", "d3": "the array"}
    documents = {doc_id: Document(doc_id, "", text) for doc_id, text in texts.items()}
    queries = {"rare": "the glacier", "number": "array 42", "common": "arrays", "unseen": "array zebra"}
    qrels = {"rare": {"d1": 1, "d3": 1}, "number": {"d3": 1}, "common": {"d2": 1, "d3": 0}, "unseen": {"d1": 0}}
    found = by_terms(Collection("c", documents, queries, {}), qrels, rare=1)
    assert found == {
        "terms: rare, number or code": {"rare", "number"},
        "terms: common only": {"common", "unseen"},
        "exact terms in a relevant document: all": {"rare", "common"},
        "exact terms in a relevant document: half or more": {"number"},
    }


def test_first_stage_hits_are_counted_by_rank():
    run = {"hit": {"a": 2.0, "b": 1.0}, "below": {"a": 1.0, "b": 2.0}, "miss": {"b": 1.0}}
    found = by_first_stage(run, dict.fromkeys(["hit", "below", "miss", "absent"], {"a": 1}), depth=1)
    assert list(found.values()) == [{"hit"}, {"below"}, {"miss", "absent"}]


def test_columns_make_slices_of_the_queries_that_are_asked_for(tmp_path):
    file = tmp_path / "columns.csv"
    file.write_text('query_id,market,often\nq1,de,3\nq2,"kr, south",2.5\nq9,de,1\n')
    cells = read_columns(file, ["q1", "q2"])
    assert by_column("market", cells["market"]) == {"market: de": {"q1"}, "market: kr, south": {"q2"}}
    assert frequencies(file, cells["often"]) == {"q1": 3.0, "q2": 2.5}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,market\nq1,de\n", "columns.csv:1: columns id, market; one of them must be query_id"),
        ("", "columns.csv:1: columns none"),
        ("query_id,market\nq1,de\nq2\n", "columns.csv:3: cells: 1; the first line has 2"),
        ("query_id,market\nq1,de,x\n", "columns.csv:2: cells: 3; the first line has 2"),
        (",query_id,market\n0,q1,de\n", "columns.csv:1: column 1 has no name; each column needs"),  # pandas' index
        ("query_id,market,market\nq1,de,kr\n", "columns.csv:1: column 3 is called 'market' like another"),
        ('query_id,market\nq1,"unterminated\nq2,x\n', r"columns.csv:3: not CSV \(unexpected end of data"),
        ('query_id,market\nq1,"' + 140_000 * "x" + '"\n', r"columns.csv:2: not CSV \(field larger than field limit"),
        ("query_id,market\nq1,de\nq1,kr\n", "columns.csv:3: query 'q1' stands here a second time"),
    ],
)
def test_a_faulty_file_is_named_with_its_line(tmp_path, text, message):
    (tmp_path / "columns.csv").write_text(text)
    with pytest.raises(DataError, match=message):
        read_columns(tmp_path / "columns.csv", ["q1"])


def test_a_file_that_is_absent_or_no_text_is_named(tmp_path):
    with pytest.raises(DataError, match=r"columns.csv: no such file"):
        read_columns(tmp_path / "columns.csv", ["q1"])
    (tmp_path / "columns.csv").write_bytes("query_id,market\nq1,Österreich\n".encode("latin-1"))
    with pytest.raises(DataError, match=r"columns.csv: not UTF-8"):
        read_columns(tmp_path / "columns.csv", ["q1"])


def test_what_is_no_slice_is_refused(tmp_path):
    with pytest.raises(DataError, match="'clicks' has 30 different values; at most 20"):
        by_column("clicks", {f"q{i}": str(i) for i in range(30)})
    with pytest.raises(DataError, match="query 'q1' has the frequency '-1'"):
        frequencies(tmp_path, {"q1": "-1"})
    with pytest.raises(DataError, match="query 'q1' has the frequency 'nan'"):
        frequencies(tmp_path, {"q1": "nan"})
