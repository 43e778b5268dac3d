"""Logs as they come: what is odd is read as it is, what is broken is named by file and line."""

from __future__ import annotations

import gzip
import json
import re

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from labeling import LabelingError
from labeling.tail.database import open_database
from labeling.tail.query_log import LogColumns, read_query_log

COLUMNS = LogColumns("q", "n", "c")


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    with open_database(tmp_path_factory.mktemp("work")) as opened:
        yield opened


@pytest.fixture
def read(database):
    """Reads a log; returns {key: (text, frequency, clicks)} and what is said of it."""
    database.execute("DROP TABLE IF EXISTS lines")
    database.execute("DROP TABLE IF EXISTS queries")

    def call(path, columns=COLUMNS):
        report = read_query_log(database, path, columns)
        rows = database.execute("SELECT key, text, frequency, clicks FROM queries").fetchall()
        return {key: rest for key, *rest in rows}, report

    return call


def file(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    return path


LONG = "x" * 1_000_000


@pytest.mark.parametrize(
    ("name", "content", "rows"),
    [
        ("a.csv", 'q,n,c\n"a ""b"", c\nd",2,1\n', {'a "b", c d': ['a "b", c d', 2, 1]}),
        ("a.csv", 'n,x,q,c\n2,,5" pipe,1\n', {'5" pipe': ['5" pipe', 2, 1]}),
        ("a.tsv", 'q\tn\tc\n"half a quote\t2\t1\n', {'"half a quote': ['"half a quote', 2, 1]}),
        ("a.csv", "q,n,c\na\x00b,2,1\n", {"ab": ["ab", 2, 1]}),
        ("a.csv", f"q,n,c\n{LONG},2,1\nshort,1,0\n", {LONG: [LONG, 2, 1], "short": ["short", 1, 0]}),
        ("a.csv", "q,n,c\n\u202bשלום\u202c,2,1\n\u200fשלום,1,0\n", {"שלום": ["\u202bשלום\u202c", 3, 1]}),
        ("a.csv", b"\xef\xbb\xbfq,n,c\r\na,2,1\r\n\r\n", {"a": ["a", 2, 1]}),
        ("a.csv", "q,n,c\r\na,2,1\nb,1,0\r\n", {"a": ["a", 2, 1], "b": ["b", 1, 0]}),
        ("a.csv", "q,n,c\na, 2 ,\nb,3.0,1.00\n", {"a": ["a", 2, 0], "b": ["b", 3, 1]}),
        ("a.csv", "q,n,c\nNULL,2,1\nnan,1,0\n", {"null": ["NULL", 2, 1], "nan": ["nan", 1, 0]}),
        ("A.CSV", "q,n,c\na,2,1", {"a": ["a", 2, 1]}),
        ("a.jsonl", '{"q": "a", "n": 2, "c": 1}\n\n{"q": "A", "n": "1"}\n{"q": null, "n": 1}\n', {"a": ["a", 3, 1]}),
        ("a.jsonl", b'\xef\xbb\xbf{"q": "a\\ud800\\u0000", "n": 2.0, "c": null}', {"a\ufffd": ["a\ufffd", 2, 0]}),
        ("a.jsonl", json.dumps({"q": LONG, "n": 1, "c": 0}), {LONG: [LONG, 1, 0]}),
        ("a.csv.gz", gzip.compress(b"q,n,c\na,2,1\n", mtime=0), {"a": ["a", 2, 1]}),
        ("a*?[1] 'x'.csv", "q,n,c\na,2,1\n", {"a": ["a", 2, 1]}),
    ],
    ids=range(16),
)
def test_what_is_odd_is_read_as_it_is(read, tmp_path, name, content, rows):
    found, report = read(file(tmp_path, name, content))
    assert found == rows
    assert report.queries == len(rows)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.csv", "", "a.csv: begins with no line of column names"),
        ("a.csv", "q,n,c\n", "a.csv: no line holds a query"),
        ("a.csv", "q,n,c\n  ,2,1\n", "a.csv: no line holds a query (1 are empty)"),
        ("a.csv", "q\tn\tc\na\t2\t1\n", r"a.csv: no column 'q'; there are 'q\tn\tc'"),
        ("a.csv", "Q,n,c\na,2,1\n", "a.csv: no column 'q'; there are 'Q', 'n', 'c'"),
        ("a.csv", "q,n,q,c\na,2,b,1\n", "a.csv: more than one column 'q'"),
        ("a.csv", 'q,n,c\n"a\nb",2,1\nc,3\n', "a.csv:4: 2 columns; the header has 3"),
        ("a.csv", "q,n,c\na,b,2,1\n", "a.csv:2: 4 columns; the header has 3"),
        ("a.csv", 'q,n,c\na,2,1\n"b,2,1\nc,3,1\n', "a.csv:3: unexpected end of data; a quote may be missing here"),
        ("a.csv", 'q,n,c\na,2,1\n"b"x,2,1\n', "a.csv:3: ',' expected after '\"'; a quote may be missing here"),
        ("a.csv", b"q,n,c\na,2,1\nb\xff,2,1\n", "a.csv:3: not UTF-8"),
        ("a.csv", b"\xff\xfeq\x00,\x00n\x00\n\x00", "a.csv:1: not UTF-8; the file must be UTF-8 text"),
        ("a.csv", 'q,n,c\na,2,1\n"b\nb",0,1\n', "a.csv:3: n '0'; whole numbers from 1 to"),
        ("a.csv", "q,n,c\na,-2,1\n", "a.csv:2: n '-2'; whole"),
        ("a.csv", "q,n,c\na,2.5,1\n", "a.csv:2: n '2.5'; whole"),
        ("a.csv", "q,n,c\na,,1\n", "a.csv:2: n ''; whole"),
        ("a.csv", "q,n,c\na,1e3,1\n", "a.csv:2: n '1e3'; whole"),
        ("a.csv", "q,n,c\na,٣,1\n", "a.csv:2: n '٣'; whole"),
        ("a.csv", "q,n,c\na,2,1\nb,2,x\n", "a.csv:3: c 'x'; whole numbers from 0 to"),
        ("a.csv", f"q,n,c\na,{10**12 + 1},1\n", f"a.csv:2: n '{10**12 + 1}'; whole"),
        ("a.csv", f"q,n,c\na,{10**30},1\n", f"a.csv:2: n '{10**30}'; whole"),
        ("a.jsonl", '{"q": "a", "n": 2, "c": 1}\n{"q": "b"\n', "a.jsonl:2: not JSON"),
        ("a.jsonl", '{"q": "a", "n": 2, "c": 1}\n[1]\n', "a.jsonl:2: a JSON list; an object is accepted"),
        (
            "a.jsonl",
            '{"q": "a", "n": 2, "c": 1}\n{"query": "b", "n": 1}\n',
            "a.jsonl:2: no column 'q'; there are 'query'",
        ),
        ("a.jsonl", '{"q": "a", "n": 2}\n', "a.jsonl: no line has a key 'c'"),
        ("a.jsonl", '{"q": ["a"], "n": 2, "c": 1}\n', "a.jsonl:1: q is a JSON list; text or a number is accepted"),
        ("a.jsonl", '{"q": "a", "n": [1], "c": 1}\n', "a.jsonl:1: n is a JSON list"),
        ("a.jsonl", '{"q": "a", "n": 2, "c": 1}\n\n{"q": "a", "c": 1}\n', "a.jsonl:3: n None; whole"),
        ("a.jsonl", b'{"q": "a", "n": 2, "c": 1}\n{"q": "\xff"}\n', "a.jsonl:2: not UTF-8"),
        ("a.jsonl", "", "a.jsonl: no line"),
        ("a.jsonl", "[" * 100_000, "a.jsonl:1: not JSON"),
        ("a.jsonl", '{"q": "a", "n": ' + "9" * 5_000 + "}", "a.jsonl:1: not JSON (too deep, or too long a number)"),
        ("a.csv.gz", b"q,n,c\na,2,1\n", "a.csv.gz: not a whole gzip file"),
        ("a.csv.gz", gzip.compress(b"q,n,c\na,2,1\n" * 999, mtime=0)[:-9], "a.csv.gz: not a whole gzip file"),
        ("a.parquet", b"q,n,c\n", "a.parquet: not a readable Parquet file"),
        ("a.parquet.gz", b"", "a.parquet.gz: not a query log by its name; accepted are .csv, .tsv, .jsonl, .parquet"),
        ("a.txt", b"", "a.txt: not a query log by its name"),
    ],
    ids=range(37),
)
def test_what_is_broken_is_named(read, tmp_path, name, content, said):
    with pytest.raises(LabelingError, match=re.escape(said)) as error:
        read(file(tmp_path, name, content))
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 600


def test_a_missing_file_is_named(read, tmp_path):
    with pytest.raises(LabelingError, match=r"nowhere\.csv: no such file"):
        read(tmp_path / "nowhere.csv")


def test_a_broken_line_beyond_the_first_batch_is_found(read, tmp_path, monkeypatch):
    monkeypatch.setattr("labeling.tail.log_files._BATCH_LINES", 100)
    lines = [f"a{n},1,0" for n in range(950)]
    lines[777] = "a777,none,0"
    with pytest.raises(LabelingError, match=r"a\.csv:779: n 'none'"):
        read(file(tmp_path, "a.csv", "q,n,c\n" + "\n".join(lines)))


def test_a_broken_row_beyond_the_first_batch_is_found(read, tmp_path, monkeypatch):
    monkeypatch.setattr("labeling.tail.log_files._BATCH_LINES", 100)
    counts = [1] * 950
    counts[777] = 0
    pq.write_table(pa.table({"q": ["a"] * 950, "n": counts}), tmp_path / "a.parquet", row_group_size=150)
    with pytest.raises(LabelingError, match=r"a\.parquet, row 778: n 0"):
        read(tmp_path / "a.parquet", LogColumns("q", "n"))


@pytest.mark.parametrize(
    "counts",
    [
        pa.array([2, 1], pa.int8()),
        pa.array([2, 1], pa.uint64()),
        pa.array([2.0, 1.0], pa.float32()),
        pa.array(["2", "1"], pa.large_string()),
        pa.array(["2", "1"]).dictionary_encode(),
        pa.array([2, 1], pa.int64()).cast(pa.decimal128(21, 2)),
    ],
    ids=lambda column: str(column.type),
)
@pytest.mark.parametrize("texts", [pa.string(), pa.large_string(), pa.dictionary(pa.int8(), pa.string())], ids=str)
def test_parquet_may_hold_any_kind_of_text_and_number(read, tmp_path, counts, texts):
    table = pa.table({"n": counts, "q": pa.array(["a", "A"]).cast(texts), "c": pa.array([None, 1], pa.int32())})
    pq.write_table(table, tmp_path / "a.parquet")
    assert read(tmp_path / "a.parquet")[0] == {"a": ["a", 3, 1]}


@pytest.mark.parametrize(
    ("clicks", "summed"),
    [
        (pa.array(["", "3"]).dictionary_encode(), 3),
        (pa.array([" ", None]).dictionary_encode(), 0),
        (pa.array([None, 3], pa.int64()).dictionary_encode(), 3),
        (pa.nulls(2), 0),
        (pa.nulls(2, pa.string()), 0),
    ],
    ids=range(5),
)
def test_an_empty_cell_of_parquet_is_no_click_however_it_is_stored(read, tmp_path, clicks, summed):
    pq.write_table(pa.table({"q": ["a", "a"], "n": [1, 1], "c": clicks}), tmp_path / "a.parquet")
    assert read(tmp_path / "a.parquet")[0] == {"a": ["a", 2, summed]}


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"q": ["a", "b"], "n": pa.nulls(2)}, "a.parquet, row 1: n None; whole numbers from 1"),
        ({"q": [1, 2], "n": [1, 1]}, "a.parquet, row 1: column 'q' holds int64; text is accepted"),
        ({"q": ["a", "b"], "n": [[1], [1]]}, "a.parquet, row 1: column 'n' holds list<"),
        ({"q": ["a", "b"], "n": [1, 2.5]}, "a.parquet, row 2: n 2.5; whole"),
        ({"q": ["a", "b"], "n": [1, None]}, "a.parquet, row 2: n None; whole"),
        ({"q": ["a", "b"], "n": [1, float("nan")]}, "a.parquet, row 2: n nan; whole"),
        (
            {"q": ["a", "b"], "n": pa.array([1, 2**64 - 1], pa.uint64())},
            "a.parquet, row 2: n 18446744073709551615; whole",
        ),
        ({"q": ["a", "b"], "m": [1, 1]}, "a.parquet: no column 'n'; there are 'q', 'm'"),
    ],
    ids=range(8),
)
def test_parquet_that_holds_something_else_is_named(read, tmp_path, columns, said):
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    with pytest.raises(LabelingError, match=re.escape(said)):
        read(tmp_path / "a.parquet", LogColumns("q", "n"))
