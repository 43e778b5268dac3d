"""MS MARCO's tab-separated files."""

import pytest

from distill.collections.collection import Collection, DataError, Document
from distill.collections.msmarco import read_msmarco


@pytest.fixture
def files(tmp_path):
    """Paths of a passage file, a query file and judgments, as published."""
    folder = tmp_path / "marco"
    folder.mkdir()
    (folder / "collection.tsv").write_text("0\tA passage\twith a tab\n1\tAnother\n")
    (folder / "queries.tsv").write_text("7\twhat is a passage\n")
    (folder / "qrels.tsv").write_text("7\t0\t1\t1\n")
    return folder


def read(folder):
    return read_msmarco(folder / "collection.tsv", folder / "queries.tsv", {"dev": folder / "qrels.tsv"})


def test_passages_queries_and_judgments_are_read(files):
    assert read(files) == Collection(
        "marco",
        {"0": Document("0", "", "A passage\twith a tab"), "1": Document("1", "", "Another")},
        {"7": "what is a passage"},
        {"dev": {"7": {"1": 1}}},
    )


@pytest.mark.parametrize(
    ("name", "line", "message"),
    [
        ("collection.tsv", "no tab here", r"collection\.tsv:3: 'no tab here'; a document line is its id"),
        ("collection.tsv", "1\tagain", r"collection\.tsv:3: document id '1' a second time"),
        ("collection.tsv", "9 \ttext", r"collection\.tsv:3: '9 .ttext'; a document line is its id \(without white"),
        ("queries.tsv", "7\tagain", r"queries\.tsv:2: query id '7' a second time"),
        ("qrels.tsv", "8\t0\t1\t1", r"qrels\.tsv:2: query '8' is not among the collection's queries"),
        ("qrels.tsv", "7\t0\t5\t1", r"qrels\.tsv:2: document '5' is not among the collection's documents"),
    ],
)
def test_a_faulty_line_is_named(files, name, line, message):
    with (files / name).open("a") as file:
        file.write(line + "\n")
    with pytest.raises(DataError, match=message):
        read(files)
