"""BEIR folders: read what was written, and name the place of every fault."""

import gzip
import json

import pytest

from distill.collections.beir import read_beir, write_beir
from distill.collections.collection import Collection, DataError, Document

COLLECTION = Collection(
    "tiny",
    {
        "d1": Document("d1", "A title", 'text with\ta tab and "quotes"'),
        "d2": Document("d2", "", "둘째 문서", {"year": 2026}),
        "d3": Document("d3", "", ""),
    },
    {"q1": "one query", "q2": "질의", "q3": "without judgments"},
    {"dev": {"q2": {"d2": 1}}, "test": {"q1": {"d1": 2, "d3": 0}}},
    {"q2": {"frequency": 4}},
)


@pytest.fixture
def folder(tmp_path):
    """A small folder that a test may spoil."""
    write_beir(COLLECTION, tmp_path / "tiny")
    return tmp_path / "tiny"


def test_what_is_written_is_read_back(folder):
    assert read_beir(folder) == COLLECTION


def test_the_layout_is_the_one_that_other_tools_read(folder):
    rows = [json.loads(line) for line in (folder / "corpus.jsonl").read_text(encoding="utf-8").splitlines()]
    assert rows[0] == {"_id": "d1", "title": "A title", "text": 'text with\ta tab and "quotes"'}
    assert (folder / "qrels" / "test.tsv").read_text() == "query-id\tcorpus-id\tscore\nq1\td1\t2\nq1\td3\t0\n"


def test_packed_files_are_read(folder):
    for name in ("corpus.jsonl", "queries.jsonl"):
        (folder / f"{name}.gz").write_bytes(gzip.compress((folder / name).read_bytes()))
        (folder / name).unlink()
    assert read_beir(folder) == COLLECTION


def test_a_folder_without_judgments_is_a_collection_without_splits(folder):
    for path in (folder / "qrels").iterdir():
        path.unlink()
    assert read_beir(folder).qrels == {}


@pytest.mark.parametrize(
    ("name", "line", "message"),
    [
        ("corpus.jsonl", "{broken", r"corpus\.jsonl:4: not JSON .*; one object a line is accepted"),
        ("corpus.jsonl", "[1]", r"corpus\.jsonl:4: a JSON list; an object with _id and text is accepted"),
        ("corpus.jsonl", '{"_id": 7, "text": "t"}', r"corpus\.jsonl:4: _id is 7; a string is accepted"),
        ("corpus.jsonl", '{"_id": "", "text": "t"}', r"corpus\.jsonl:4: _id is ''; text without white space"),
        ("corpus.jsonl", '{"_id": "d 9", "text": "t"}', r"corpus\.jsonl:4: _id is 'd 9'; text without white space"),
        ("queries.jsonl", '{"_id": "q9 ", "text": "t"}', r"queries\.jsonl:4: _id is 'q9 '; text without white space"),
        ("corpus.jsonl", "[" * 100_000, r"corpus\.jsonl:4: not JSON \(too deep, or too long a number\)"),
        ("corpus.jsonl", '{"_id": "d9", "text": "t", "n": ' + "9" * 5_000 + "}", r"corpus\.jsonl:4: not JSON \(too"),
        ("corpus.jsonl", '{"_id": "d9"}', r"corpus\.jsonl:4: text is None; a string is accepted"),
        ("corpus.jsonl", '{"_id": "d9", "text": "t", "title": 3}', r"corpus\.jsonl:4: title 3; a string is accepted"),
        ("corpus.jsonl", '{"_id": "d9", "text": "t", "metadata": [1]}', r"corpus\.jsonl:4: metadata is \[1\]"),
        ("corpus.jsonl", '{"_id": "d1", "text": "t"}', r"corpus\.jsonl:4: document id 'd1' a second time"),
        ("queries.jsonl", '{"_id": "q1", "text": "t"}', r"queries\.jsonl:4: query id 'q1' a second time"),
        ("qrels/test.tsv", "q9\td1\t1", r"test\.tsv:4: query 'q9' is not among the collection's queries"),
        ("qrels/test.tsv", "q1\td9\t1", r"test\.tsv:4: document 'd9' is not among the collection's documents"),
        ("qrels/test.tsv", "q1\td1\t1", r"test\.tsv:4: query 'q1' has document 'd1' twice"),
        ("qrels/test.tsv", "q1\td2\tyes", r"test\.tsv:4: relevance 'yes'; a whole number is accepted"),
        ("qrels/test.tsv", "q1\td2", r"test\.tsv:4: 2 columns where the first line has 3"),
    ],
)
def test_a_faulty_line_is_named(folder, name, line, message):
    with (folder / name).open("a") as file:
        file.write(line + "\n")
    with pytest.raises(DataError, match=message):
        read_beir(folder)


def test_a_missing_file_or_folder_is_named(folder, tmp_path):
    with pytest.raises(DataError, match="no such folder; a BEIR folder holds"):
        read_beir(tmp_path / "absent")
    (folder / "queries.jsonl").unlink()
    with pytest.raises(DataError, match=r"neither queries\.jsonl nor queries\.jsonl\.gz"):
        read_beir(folder)


def test_two_forms_of_one_file_are_refused(folder):
    (folder / "corpus.jsonl.gz").write_bytes(gzip.compress(b""))
    with pytest.raises(DataError, match=r"both corpus\.jsonl and corpus\.jsonl\.gz; keep one of them"):
        read_beir(folder)


def test_writing_replaces_a_collection_and_keeps_the_log_beside_it(folder):
    (folder / "qrels" / "stale.tsv").write_text("query-id\tcorpus-id\tscore\n")
    (folder / "query_log.tsv").write_text("query_id\tquery\tfrequency\n")
    write_beir(COLLECTION, folder)
    assert read_beir(folder) == COLLECTION
    assert (folder / "query_log.tsv").read_text() == "query_id\tquery\tfrequency\n"


@pytest.mark.parametrize(
    ("name", "named"),
    [
        ("NOTES.md", "NOTES.md"),
        ("candidates/test.tsv", "candidates"),
        ("qrels/why.txt", "qrels/why.txt"),
        ("qrels/old/dev.tsv", "qrels/old"),
    ],
)
def test_a_collection_beside_which_something_else_stands_is_not_replaced(folder, name, named):
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text("mine")
    with pytest.raises(DataError, match=f"^{folder / named}: is no part of a BEIR collection, and is not replaced"):
        write_beir(COLLECTION, folder)
    assert (folder / name).read_text() == "mine"


def test_what_is_no_collection_is_not_replaced(tmp_path):
    (tmp_path / "queries.jsonl").write_text("mine")
    for place in (tmp_path, tmp_path / "queries.jsonl"):
        with pytest.raises(DataError, match=r"queries\.jsonl: is no part of a BEIR collection"):
            write_beir(COLLECTION, place)
    assert (tmp_path / "queries.jsonl").read_text() == "mine"


def test_half_a_character_is_read_as_one_that_files_and_tokenizers_take(tmp_path):
    (tmp_path / "corpus.jsonl").write_text(
        r'{"_id": "d\udc00", "title": "\uD83D", "text": "a \ud83d b \ud83d\ude00", "metadata": {"\udc00": ["\ud83d"]}}'
    )
    (tmp_path / "queries.jsonl").write_text(r'{"_id": "q", "text": "\ud83d?"}')
    read = read_beir(tmp_path)
    assert read.documents == {"d\ufffd": Document("d\ufffd", "\ufffd", "a \ufffd b 😀", {"\ufffd": ["\ufffd"]})}
    assert read.queries == {"q": "\ufffd?"}
    write_beir(read, tmp_path / "again")
    assert read_beir(tmp_path / "again").fingerprint() == read.fingerprint()
