"""The whole way from a log to its tail, beside a second one in plain dictionaries."""

from __future__ import annotations

import csv
import gzip
import hashlib
import json
import random
from collections import Counter, defaultdict

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from labeling import LabelingError
from labeling.tail.from_log import write_tail_queries
from labeling.tail.query_log import LogColumns
from labeling.tail.query_text import content_words_in, merge_key, shown_text
from labeling.tail.settings import TailSettings

COLUMNS = LogColumns("q", "n", "c", "i")
WORDS = [
    "red",
    "Red",
    "RED",
    "ｒｅｄ",
    "shoes",
    "shoe",
    "Shoes",
    "the",
    "for",
    "men",
    "Straße",
    "STRASSE",
    "운동화",
    '5"',
    "a,b",
]
SPACES = [" ", " ", " ", "  ", "\t", "\u00a0"]


@pytest.fixture(scope="module")
def log():
    """Lines (query, frequency, clicks, impressions) with many spellings of few queries, some of them empty."""
    draw = random.Random(3)
    lines = []
    for _ in range(4000):
        words = draw.choices(WORDS, [1 / (1 + n) for n in range(len(WORDS))], k=draw.randint(0, 5))
        impressions = draw.randint(0, 9)
        query = "".join(word + draw.choice(SPACES) for word in words)
        lines.append((query, int(draw.paretovariate(0.8)) % 500 + 1, draw.randint(0, impressions), impressions))
    return lines


def plain_tail(lines, settings):
    """The tail by id, in dictionaries; a query's place in the output does not matter here."""
    counts = defaultdict(Counter)
    for query, *numbers in lines:
        counts[shown_text(query)].update(dict(zip("fci", numbers, strict=True)))
    spellings = defaultdict(list)
    for text in counts:
        if merge_key(text):
            spellings[merge_key(text)].append(text)
    rows = {}
    for key, texts in spellings.items():
        total = {name: sum(counts[text][name] for text in texts) for name in "fci"}
        total["text"] = min(texts, key=lambda text: (-counts[text]["f"], text.encode()))
        rows[hashlib.sha256(key.encode()).hexdigest()[:32]] = total | {"key": key}
    traffic = sum(row["f"] for row in rows.values())
    head, limit = 0, 0
    for frequency in sorted({row["f"] for row in rows.values()}, reverse=True):
        head += sum(row["f"] for row in rows.values() if row["f"] == frequency)
        if head > settings.head_share * traffic:
            limit = frequency
            break
    tail = {
        query_id: row
        for query_id, row in rows.items()
        if settings.min_frequency <= row["f"] <= min(limit, settings.max_frequency or limit)
        and row["c"] <= (row["c"] if settings.max_clicks is None else settings.max_clicks)
        and (settings.max_click_rate is None or row["c"] <= settings.max_click_rate * row["i"])
        and settings.min_words <= len(row["key"].split()) <= (settings.max_words or 99)
    }
    if settings.near_duplicates:
        words, best = content_words_in(settings.language), {}
        for query_id, row in tail.items():
            signature = tuple(words(row["key"]))
            best[signature] = min(best.get(signature, (1,)), (-row["f"], query_id))
        tail = {query_id: tail[query_id] for _, query_id in best.values()}
    return {query_id: (row["text"], row["f"], row["c"], row["i"]) for query_id, row in tail.items()}


def write_csv(path, lines, header=("q", "n", "c", "i"), ends="\n"):
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator=ends)
        writer.writerows([header, *lines])
    return path


def found(folder):
    rows = [json.loads(line) for line in (folder / "queries.jsonl").read_text(encoding="utf-8").splitlines()]
    return {row["_id"]: (row["text"], *row["metadata"].values()) for row in rows}


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"head_share": 0},
        {"head_share": 0.9, "min_words": 2, "max_words": 4},
        {"head_share": 0.2, "max_frequency": 60, "min_frequency": 2, "max_clicks": 9},
        {"head_share": 0, "max_click_rate": 0.4},
        {"head_share": 0.3, "near_duplicates": True},
        {"head_share": 0, "near_duplicates": True, "language": "none", "max_clicks": 30},
    ],
)
def test_the_tail_is_that_of_plain_dictionaries(log, tmp_path, settings):
    settings = TailSettings(**settings)
    read, report = write_tail_queries(write_csv(tmp_path / "log.csv", log), COLUMNS, settings, tmp_path)
    expected = plain_tail(log, settings)
    assert len(expected) > 10
    assert found(tmp_path) == expected
    assert report.chosen == len(expected)
    assert report.chosen_traffic == sum(row[1] for row in expected.values())
    everything = plain_tail(log, TailSettings(head_share=0))
    assert (read.lines, read.queries) == (len(log), len(everything))
    assert read.empty == sum(not query.strip() for query, *_ in log)
    assert report.traffic == sum(row[1] for row in everything.values())
    left = [(report.queries, report.traffic), *((cut.queries_left, cut.traffic_left) for cut in report.cuts)]
    for cut, before, after in zip(report.cuts, left, left[1:], strict=False):
        assert (cut.queries, cut.traffic) == (before[0] - after[0], before[1] - after[1])


def test_neither_form_nor_order_of_the_log_changes_the_files(log, tmp_path):
    settings = TailSettings(near_duplicates=True, sample=40, max_clicks=50)
    clean = [(" ".join(query.split()), *rest) for query, *rest in log]  # TSV can hold no tab
    clean = random.Random(0).sample(clean, len(clean))
    made = {}
    for name in ("log.csv", "crlf.csv", "log.tsv", "log.jsonl", "log.parquet", "log.csv.gz", "log.jsonl.gz"):
        (folder := tmp_path / name.replace(".", "_")).mkdir()
        path, header = tmp_path / name, ("q", "n", "c", "i")
        lines = log if name == "log.csv" else clean
        if name.startswith("log.jsonl"):
            text = "".join(json.dumps(dict(zip(header, line, strict=True))) + "\n" for line in lines).encode()
            path.write_bytes(gzip.compress(text) if name.endswith("gz") else text)
        elif name == "log.tsv":
            path.write_text("".join("\t".join(map(str, line)) + "\n" for line in [header, *lines]), encoding="utf-8")
        elif name == "log.parquet":
            columns = dict(zip(header, zip(*lines, strict=True), strict=True))
            pq.write_table(pa.table(columns), path, row_group_size=700)
        elif name == "log.csv.gz":
            path.write_bytes(gzip.compress(write_csv(tmp_path / "packed.csv", lines).read_bytes()))
        else:
            write_csv(path, lines, ends="\r\n" if name == "crlf.csv" else "\n")
        write_tail_queries(path, COLUMNS, settings, folder)
        report = json.loads((folder / "report.json").read_text())
        assert report.pop("log") == name
        made[name] = ((folder / "queries.jsonl").read_bytes(), report)
        assert len(found(folder)) == 40
    assert all(files == made["log.csv"] for files in made.values())


def test_a_log_of_events_counts_its_lines(tmp_path):
    path = write_csv(tmp_path / "log.csv", [["a"], ["b"], ["A"], [" a "], ["  "]], header=["q"])
    read, report = write_tail_queries(path, LogColumns("q"), TailSettings(head_share=0), tmp_path)
    assert (read.lines, read.empty, read.spellings, read.queries, report.traffic) == (5, 1, 3, 2, 4)
    rows = (tmp_path / "queries.jsonl").read_text().splitlines()
    a, b = (hashlib.sha256(text).hexdigest()[:32] for text in (b"a", b"b"))
    assert rows == [
        f'{{"_id":"{a}","text":"a","metadata":{{"frequency":3}}}}',
        f'{{"_id":"{b}","text":"b","metadata":{{"frequency":1}}}}',
    ]


def test_the_output_is_sorted_and_leaves_nothing_else_behind(log, tmp_path):
    (out := tmp_path / "out").mkdir()
    write_tail_queries(write_csv(tmp_path / "log.csv", log), COLUMNS, TailSettings(head_share=0), out)
    order = [(-row[1], query_id) for query_id, row in found(out).items()]
    assert order == sorted(order)
    assert sorted(path.name for path in out.iterdir()) == ["queries.jsonl", "report.json"]


def test_the_report_holds_no_query_unless_asked(tmp_path):
    path = write_csv(tmp_path / "log.csv", [["secret words", 9, 1, 1], ["b", 1, 0, 0]])
    settings = TailSettings(max_frequency=5)
    write_tail_queries(path, COLUMNS, settings, tmp_path)
    assert "secret" not in (tmp_path / "report.json").read_text()
    write_tail_queries(path, COLUMNS, settings, tmp_path, with_texts=True)
    assert "secret words" in (tmp_path / "report.json").read_text()


def test_a_setting_without_its_column_is_refused_before_the_log_is_read(tmp_path):
    with pytest.raises(LabelingError, match=r"nowhere\.csv: the settings need the column of clicks"):
        write_tail_queries(tmp_path / "nowhere.csv", LogColumns("q"), TailSettings(max_clicks=1), tmp_path)
