"""`distill data tail` as a user meets it."""

from __future__ import annotations

import json

import pytest

from distill.collections.beir import read_beir

LOG = "query,times,clicks\n" + "".join(
    f"{query},{times},{clicks}\n"
    for query, times, clicks in [
        ("shoes", 60, 30), ("Shoes", 10, 5), ("red shoes", 8, 0), ("the red shoe", 5, 0), ("boots for snow", 5, 9),
        ("laces", 4, 0), ("sole of old boots", 4, 1), ("  ", 4, 0),
    ]
)  # fmt: skip


@pytest.fixture
def log(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text(LOG)
    return path


def one_line(error):
    assert error.startswith("error: ")
    assert error.count("\n") == 1, error
    return error.removeprefix("error: ").rstrip("\n")


def test_the_tail_is_written_and_what_was_left_out_is_told(distill, log, tmp_path):
    out = tmp_path / "it's the tail"
    command = ("data", "tail", log, "--out", out, "--query", "query", "--frequency", "times", "--clicks", "clicks")
    code, shown, _ = distill(*command, "--max-clicks", 1, "--min-words", 2, "--near-duplicates")
    assert code == 0
    queries = [json.loads(line) for line in (out / "queries.jsonl").read_text().splitlines()]
    assert [(query["text"], query["metadata"]) for query in queries] == [
        ("red shoes", {"frequency": 8, "clicks": 0}),
        ("sole of old boots", {"frequency": 4, "clicks": 1}),
    ]
    # traffic 96, of which the head carries 70: 70 is over half, so it is all tail by share, and cut by its clicks
    report = json.loads((out / "report.json").read_text())
    assert report["read"] == {"lines": 8, "empty": 1, "spellings": 7, "queries": 6}
    assert [(cut["name"], cut["queries"]) for cut in report["tail"]["cuts"]] == [
        ("head_share", 0), ("max_clicks", 2), ("min_words", 1), ("near_duplicates", 1)
    ]  # fmt: skip
    assert "tail: 2 of 6 queries, in 7 spellings on 8 lines (1 of them empty)" in shown
    assert "merging duplicates" in shown
    assert "red shoe" not in shown.replace("red shoes", "")

    code, _, error = distill(*command)
    assert code == 2
    assert "exists already; choose another place, or pass --overwrite" in one_line(error)
    code, shown, _ = distill(*command, "--overwrite", "--near-duplicates", "--examples")
    assert code == 0
    assert "near_duplicates: 5 x 'the red shoe'" in shown


def test_the_tail_is_a_collections_queries(distill, log, beir_folder, tmp_path):
    command = ("data", "tail", log, "--query", "query", "--frequency", "times", "--max-frequency", 7)
    out = tmp_path / "tail"
    assert distill(*command, "--out", out, "--sample", 2)[0] == 0
    (out / "corpus.jsonl").write_bytes((beir_folder / "corpus.jsonl").read_bytes())
    collection = read_beir(out)
    assert len(collection.queries) == 2
    assert all(collection.query_metadata[query_id]["frequency"] <= 7 for query_id in collection.queries)


@pytest.mark.parametrize(
    ("files", "named"),
    [
        ({"thesis.txt": "all of it"}, "thesis.txt"),
        ({"precious.txt": "all of it", "report.json": "{}"}, "precious.txt"),
        ({"queries.jsonl": "{}"}, "queries.jsonl"),
        ({"queries.jsonl": "{}", "report.json": '{"log": "of another kind"}'}, "report.json"),
        ({"report.json": "[[["}, "report.json"),
    ],
)
def test_nothing_but_a_tail_is_replaced(distill, log, tmp_path, files, named):
    mine = tmp_path / "mine"
    mine.mkdir()
    for name, text in files.items():
        (mine / name).write_text(text)
    command = ("data", "tail", log, "--query", "query", "--overwrite", "--out")
    for out, said in ((mine, mine / named), (log, log)):
        code, _, error = distill(*command, out)
        assert code == 2
        assert f"{said}: is not what `data tail` writes, and is not replaced" in one_line(error)
    assert {path.name: path.read_text() for path in mine.iterdir()} == files


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--query", "text"), "log.csv: no column 'text'; there are 'query', 'times', 'clicks'"),
        (("--query", "query", "--frequency", "query"), "log.csv:2: query 'shoes'; whole numbers from 1 to"),
        (("--query", "query", "--max-clicks", 3), "the settings need the column of clicks"),
        (("--query", "query", "--head-share", 1), "--head-share: Input should be less than 1; got 1"),
        (("--query", "query", "--language", "klingon"), "--language: no stemmer for 'klingon'"),
        (("--query", "query", "--min-words", 3, "--max-words", 2), "min_words (3) cannot exceed max_words (2)"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_leaves_nothing(distill, log, tmp_path, options, said):
    code, _, error = distill("data", "tail", log, "--out", tmp_path / "tail", *options)
    assert code == 2
    assert said in one_line(error)
    assert [path.name for path in tmp_path.iterdir()] == ["log.csv"]
