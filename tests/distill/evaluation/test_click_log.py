"""Click logs as they come: the same sums in every format, and what is broken named by its line."""

import gzip
import json
import re

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from distill.collections.collection import DataError
from distill.evaluation import click_log
from distill.evaluation.click_log import ClickLogColumns, read_click_log
from labeling import LabelingError
from labeling.tail import log_files

ROWS = [("q2", "d1", 1, 1), ("q1", "d<script>", 2, 0), ("q1", "d1", 1, 1), ("q1", "d1", 1, 0), ("q1", "\u202ed", 2, 1)]
SUMS = [("q1", "d1", 1, 2, 1), ("q1", "d<script>", 2, 1, 0), ("q1", "\u202ed", 2, 1, 1), ("q2", "d1", 1, 1, 1)]
COLUMNS = ClickLogColumns("q", "d", "rank", "c")


def entries(log):
    return list(
        zip(
            log.query_ids, log.doc_ids, *(x.tolist() for x in (log.positions, log.impressions, log.clicks)), strict=True
        )
    )


def delimited(rows, delimiter):
    return "\n".join(delimiter.join(map(str, row)) for row in [("q", "d", "rank", "c"), *rows]) + "\n"


def write(path, rows=ROWS):
    kind = path.name.removesuffix(".gz").rsplit(".", 1)[1]
    if kind == "parquet":
        columns = list(zip(*rows, strict=True))
        clicked = pa.array([bool(click) for click in columns[3]])
        pq.write_table(pa.table({"q": columns[0], "d": columns[1], "rank": columns[2], "c": clicked}), path)
        return path
    if kind == "jsonl":
        text = "".join(json.dumps(dict(zip(("q", "d", "rank", "c"), row, strict=True))) + "\n" for row in rows)
    else:
        text = delimited(rows, "," if kind == "csv" else "\t")
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.jsonl", "a.parquet", "a.csv.gz"])
def test_every_format_has_the_same_sums(tmp_path, name):
    log = read_click_log(write(tmp_path / name), COLUMNS)
    assert entries(log) == SUMS
    assert log.lines == 5


def test_the_order_of_lines_does_not_matter(tmp_path):
    there = read_click_log(write(tmp_path / "a.csv"), COLUMNS)
    back = read_click_log(write(tmp_path / "b.csv", ROWS[::-1]), COLUMNS)
    assert entries(there) == entries(back)


def test_lines_may_sum_up_impressions_and_say_true_or_false(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("query,document,position,clicked,n\nq,d,1,3,7\nq,e,2,True,2\nq,e,2,false,1\n")
    log = read_click_log(path, ClickLogColumns(impressions="n"))
    assert entries(log) == [("q", "d", 1, 7, 3), ("q", "e", 2, 3, 1)]


def test_json_lines_may_say_true_and_false(tmp_path):
    lines = [{"q": "q", "d": "d", "rank": 1, "c": click} for click in (True, False, True)]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert entries(read_click_log(tmp_path / "a.jsonl", COLUMNS)) == [("q", "d", 1, 3, 2)]


def test_whole_numbers_are_ids_in_parquet(tmp_path):
    columns = {"query": [1, 1], "document": [7, 8], "position": [1, 2], "clicked": [1, 0]}
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    log = read_click_log(tmp_path / "a.parquet")
    assert (log.query_ids, log.doc_ids) == (["1", "1"], ["7", "8"])


@pytest.mark.parametrize(
    "kind",
    [
        pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string()),
        pa.dictionary(pa.int8(), pa.large_string()),
    ],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize(("yes", "no"), [("true", "false"), (" True", "FALSE "), ("1", "0"), ("1", "")])
def test_true_and_false_are_read_from_every_kind_of_text_in_parquet(tmp_path, kind, yes, no):
    words = [yes if clicked else no for *_, clicked in ROWS]
    queries, documents, ranks, _ = zip(*ROWS, strict=True)
    columns = {"q": queries, "d": documents, "rank": ranks, "c": pa.array(words).cast(kind)}
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    assert pq.read_schema(tmp_path / "a.parquet").field("c").type.equals(kind) or pa.types.is_dictionary(kind)
    assert entries(read_click_log(tmp_path / "a.parquet", COLUMNS)) == SUMS


def test_pages_are_counted_at_the_position_that_has_most(tmp_path):
    # q1 has two results at position 1 and two at position 2, by different documents
    log = read_click_log(write(tmp_path / "a.csv", [*ROWS, ("q1", "e", 2, 0)]), COLUMNS)
    assert log.query_numbers().tolist() == [0, 0, 0, 0, 1]
    assert log.result_numbers().tolist() == [0, 1, 2, 3, 4]
    assert log.pages().tolist() == [3, 1]
    alone = log.only({"q2", "q9"})
    assert entries(alone) == [("q2", "d1", 1, 1, 1)]
    assert alone.pages().tolist() == [1]


def test_many_lines_in_several_batches(tmp_path):
    # a batch ends within these lines, so that sums of sums are taken
    (tmp_path / "a.tsv").write_text("q\td\trank\tc\n" + "q1\ta\t1\t1\nq1\tb\t2\t0\nq2\ta\t1\t0\n" * 90_000)
    told = []
    log = read_click_log(tmp_path / "a.tsv", COLUMNS, told.append)
    assert entries(log) == [("q1", "a", 1, 90_000, 90_000), ("q1", "b", 2, 90_000, 0), ("q2", "a", 1, 90_000, 0)]
    assert len(told) > 1
    assert told[-1] == log.lines == 270_000


def test_entries_that_stay_distinct_are_not_summed_again_at_every_batch(tmp_path, monkeypatch):
    summed = []
    real = click_log._summed
    monkeypatch.setattr(click_log, "_summed", lambda table: summed.append(len(table)) or real(table))
    monkeypatch.setattr(click_log, "_PENDING", 1_000)
    monkeypatch.setattr(log_files, "_BATCH_LINES", 1_000)
    rows = [(f"q{number}", "d", 1, number % 2) for number in range(40_000)]
    assert len(read_click_log(write(tmp_path / "a.csv", rows), COLUMNS).query_ids) == 40_000
    assert len(summed) > 40 and sum(summed) <= 5 * 40_000


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("q,d,0,1", "a.csv:3: rank '0'; whole numbers from 1"),
        ("q,d,first,1", "a.csv:3: rank 'first'; whole numbers"),
        ("q,d,,1", "a.csv:3: rank ''"),
        ("q,d,1,2", "a.csv:3: c 2; 0 or 1 is accepted"),
        ("q,d,1,-1", "a.csv:3: c '-1'"),
        ("q,d,1,yes", "a.csv:3: c 'yes'"),
        (",d,1,1", "a.csv:3: q is empty; an id is needed"),
        ("q,,1,1", "a.csv:3: d is empty"),
        ("q,d,1", "a.csv:3: 3 columns; the header has 4"),
    ],
)
def test_a_bad_line_is_named(tmp_path, line, said):
    (tmp_path / "a.csv").write_text(f"q,d,rank,c\nq,d,1,0\n{line}\n")
    with pytest.raises((DataError, LabelingError), match=re.escape(said)):
        read_click_log(tmp_path / "a.csv", COLUMNS)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("q,d,rank,c\n", "no line after the column names"),
        ("q,d,rank\nq,d,1\n", "no column 'c'; there are 'q', 'd', 'rank'"),
        ("q,d,rank,c\nq,d,1,1\nq,e,2,1\n", "all 2 results are clicked; the log must hold every result"),
    ],
)
def test_a_log_that_tells_nothing_is_refused(tmp_path, content, said):
    (tmp_path / "a.csv").write_text(content)
    with pytest.raises((DataError, LabelingError), match=said):
        read_click_log(tmp_path / "a.csv", COLUMNS)


def test_more_clicks_than_impressions_are_refused(tmp_path):
    (tmp_path / "a.csv").write_text("query,document,position,clicked,n\nq,d,1,3,2\n")
    with pytest.raises(DataError, match=r"a\.csv:2: clicked 3; at most the 2 impressions are accepted"):
        read_click_log(tmp_path / "a.csv", ClickLogColumns(impressions="n"))


def test_ids_are_text_or_whole_numbers(tmp_path):
    columns = {"query": [0.5], "document": ["d"], "position": [1], "clicked": [1]}
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    with pytest.raises(DataError, match="column 'query' holds double; text is accepted"):
        read_click_log(tmp_path / "a.parquet")


def test_a_column_map_is_read():
    assert ClickLogColumns.parse("query=q, clicked = c") == ClickLogColumns(query="q", clicked="c")
    for wrong in ("query", "query=", "rank=r", "query=a,query=b", ""):
        with pytest.raises(DataError, match="accepted is each of query, document, position, clicked, impressions once"):
            ClickLogColumns.parse(wrong)
