"""`distill labels` on a folder whose texts would break a terminal, a table or a line, if they could."""

import csv
import json
import re

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from distill.collections.beir import write_beir
from distill.collections.collection import Collection, Document
from distill.collections.trec import read_qrels, read_run
from labeling.exports.export import FORMATS
from labeling.job import JobSettings, run_label_job
from labeling.label_lists import CandidateList
from labeling.parts import part_paths, write_table

DOCUMENTS = {
    "d1": Document("d1", "", "[bold]red[/bold] fox"),
    "d2": Document("d2", "[/]", "\x1b[31mred\x1b[0m \u202exof\0"),
    "d3": Document("d3", "", "hen " * 100),
    "d4": Document("d4", "", "blue\nsea"),
}
QUERIES = {"q1": "[red] fox\x07", "q2": "sea", "q3": "fails"}
LISTS = {"q1": ["d1", "d2", "d3"], "q2": ["d4", "d3"], "q3": ["d1"]}


class LengthJudge:
    """Shorter is better; what is longer than a hundred characters is missing; the evidence is the last three."""

    def __init__(self, name="length"):
        self.name = name

    def judge(self, query, documents):
        if query == "fails":
            raise ValueError("[red]no[/red] \x1b[31m luck")
        return [
            {
                "score": -float(len(text)),
                "missing": len(text) > 100,
                "tokens": 9,
                "note": "\x1b[3m[i]odd",
                "truncated": 2 * (len(text) > 100),
            }
            | ({} if len(text) > 100 else {"evidence": (len(text) - 3, len(text)), "reason": "[dim]short"})
            for text in documents
        ]

    def describe(self):
        return {"name": self.name, "note": "[red]"}


@pytest.fixture
def collection():
    return Collection("hostile", dict(DOCUMENTS), dict(QUERIES))


@pytest.fixture
def beir(collection, tmp_path):
    write_beir(collection, tmp_path / "beir")
    return tmp_path / "beir"


@pytest.fixture
def make_labels(collection, tmp_path):
    def make(name="labels", query_ids=LISTS, judge=None):
        lists = [
            CandidateList(query_id, QUERIES[query_id], LISTS[query_id], [collection.text(d) for d in LISTS[query_id]])
            for query_id in query_ids
        ]
        run_label_job(lists, judge or LengthJudge(), tmp_path / name, JobSettings(part_lists=1))
        return tmp_path / name

    return make


@pytest.fixture
def labels(make_labels):
    return make_labels()


def test_show_prints_texts_as_texts(distill, labels, beir):
    code, out, _ = distill("labels", "show", labels, "--collection", beir)
    assert code == 0
    assert "query q1: [red] fox\\x07" in out
    assert "note: \\x1b[3m[i]odd" in out
    rows = [re.split(r"\s*│\s*", line.strip("│ \n")) for line in out.splitlines() if line.startswith("│")]
    length = len("[/] \x1b[31mred\x1b[0m \u202exof\0")
    assert rows == [
        ["1", "-20.0000", "ranked", "d1", "", "[dim]short", "fox"],
        ["2", f"-{length}.0000", "ranked", "d2", "", "[dim]short", "of\\x00"],
        ["3", "-400.0000", "missing", "d3", "2", "", f"{'hen ' * 20} ..."],
    ]
    assert not set("\x1b\x07\0\u202e") & set(out)


def test_show_needs_no_collection_and_tells_why_a_list_failed(distill, labels):
    assert distill("labels", "show", labels, "--query", "q2")[0] == 0
    code, out, _ = distill("labels", "show", labels, "--query", "q3")
    assert code == 0
    assert "failed: ValueError: [red]no[/red] \\x1b[31m luck" in out
    code, _, error = distill("labels", "show", labels, "--query", "q9")
    assert (code, error) == (2, f"error: {labels}: no list of query 'q9'; it has 3 lists, such as 'q1'\n")


def test_show_says_when_a_text_has_changed(distill, labels, collection, tmp_path):
    collection.documents["d1"] = Document("d1", "", "red fox runs")
    del collection.documents["d3"]
    write_beir(collection, tmp_path / "changed")
    _, out, _ = distill("labels", "show", labels, "--collection", tmp_path / "changed")
    assert "(another text than when it was judged)" in out
    assert "(not in this collection)" in out


def test_stats_as_a_table_and_as_json(distill, labels):
    code, out, _ = distill("labels", "stats", labels)
    assert code == 0
    for part in ("3, of them failed 1", "ValueError: 1", "5 (ranked 3, missing 2)", "40.0%", "[red]"):
        assert part in out
    code, out, _ = distill("labels", "stats", labels, "--json")
    found = json.loads(out)
    assert (found["lists"], found["failed"], found["errors"], found["tokens"]) == (3, 1, {"ValueError": 1}, 18)
    assert found["description"] == {"name": "length", "note": "[red]"}


@pytest.mark.parametrize(("form", "name"), [(form, f"out{FORMATS[form].suffixes[0]}") for form in FORMATS])
def test_every_format_is_written_once(distill, labels, beir, tmp_path, form, name):
    command = ("labels", "export", labels, "--format", form, "--out", tmp_path / name, "--collection", beir)
    code, out, error = distill(*command)
    assert (code, error) == (0, "")
    assert "rows of 2 lists; left out: 0 of low confidence, 0 of unknown, 0 that give no row" in out
    code, _, error = distill(*command)
    assert (code, error) == (
        2,
        f"error: {tmp_path / name}: exists already; choose another place, or pass --overwrite\n",
    )
    assert distill(*command, "--overwrite")[0] == 0


def test_our_own_readers_read_judgments_and_run(distill, labels, tmp_path):
    for form in ("qrels", "run"):
        assert distill("labels", "export", labels, "--format", form, "--out", tmp_path / f"labels.{form}")[0] == 0
    grades = {"q1": {"d1": 3, "d2": 2, "d3": 1}, "q2": {"d4": 2, "d3": 1}}
    assert read_qrels(tmp_path / "labels.qrels") == grades
    assert read_run(tmp_path / "labels.run") == grades


def test_options_reach_the_file(distill, labels, beir, tmp_path):
    out = tmp_path / "ratings.csv"
    options = ("--max-grade", 3, "--details", "--random", 1, "--max-missing", 0, "--seed", 7)
    command = ("labels", "export", labels, "--format", "judgments", "--out", out, "--collection", beir)
    assert distill(*command, *options)[0] == 0
    with out.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    first = [(row["docid"], row["rating"], row["group"]) for row in rows if row["query_id"] == "q1"]
    assert first == [("d1", "3", "ranked"), ("d2", "2", "ranked"), ("d4", "0", "random")]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--format", "tevatron", "--out", "a.jsonl"), "format tevatron holds texts, which a label folder does not"),
        (("--format", "qrels", "--out", "a.jsonl"), "a.jsonl: format qrels goes into a file that ends in .txt or"),
        (("--format", "qrels", "--out", "a.txt", "--values", "scores"), "qrels has no use for values; it is for st-"),
        (("--format", "run", "--out", "a.run", "--max-grade", "3"), "no use for max_grade; it is for qrels, judgments"),
    ],
)
def test_a_bad_export_is_one_line(distill, labels, tmp_path, monkeypatch, options, said):
    monkeypatch.chdir(tmp_path)
    code, _, error = distill("labels", "export", labels, *options)
    assert code == 2
    assert said in error
    assert error.count("\n") == 1


def test_merge_writes_a_folder_or_nothing(distill, make_labels, tmp_path):
    first, second = make_labels("first", ["q1"]), make_labels("second", ["q2", "q3"])
    code, out, _ = distill("labels", "merge", tmp_path / "all", first, second)
    assert code == 0
    assert "3 lists of 2 folders, 5 documents, 1 lists failed; 0 stood more than once" in out
    assert distill("labels", "verify", tmp_path / "all")[0] == 0
    assert distill("labels", "merge", tmp_path / "all", first)[2].endswith("exists already; choose another place\n")
    other = make_labels("other", ["q1"], LengthJudge("another"))
    code, _, error = distill("labels", "merge", tmp_path / "mixed", first, other)
    assert code == 2
    assert "they differ in name" in error
    assert sorted(path.name for path in tmp_path.iterdir()) == ["all", "first", "other", "second"]


def test_verify_ends_with_one_where_something_is_wrong(distill, labels, make_labels, beir):
    code, out, _ = distill("labels", "verify", labels, "--collection", beir)
    assert (code, out) == (0, f"{labels}: 3 lists, 6 rows, no problems\n")
    part = part_paths(labels)[1]
    part.write_bytes(part.read_bytes()[:-9])
    code, out, _ = distill("labels", "verify", labels)
    assert code == 1
    assert re.match(r"part-00001.parquet: .*not a readable label file .*\nlists.parquet: query 'q2': its list is", out)
    assert out.endswith(f"{labels}: 2 lists, 4 rows, 2 problems\n")
    code, out, _ = distill("labels", "verify", labels, "--repair")
    assert code == 1
    assert "note: part-00001.parquet set aside as part-00001.broken" in out
    assert "note: marked unfinished: run the label job again" in out
    make_labels()
    assert distill("labels", "verify", labels)[0] == 0
    part_paths(labels)[0].unlink()
    _, out, _ = distill("labels", "verify", labels, "--repair")
    assert "note: marked unfinished: run the label job again" in out


def test_verify_names_texts_that_have_changed(distill, labels, collection, tmp_path):
    collection.documents["d3"] = Document("d3", "", "hen")
    write_beir(collection, tmp_path / "changed")
    code, out, _ = distill("labels", "verify", labels, "--collection", tmp_path / "changed")
    assert code == 1
    assert "collection: document 'd3' has another text than when it was judged; lists that hold it: 2\n" in out
    assert "hen hen" not in out


def test_what_another_program_left_out_is_told_or_named(distill, labels):
    part = part_paths(labels)[0]

    def without(column):
        table = pq.read_table(part)
        place = table.schema.get_field_index(column)
        return table.set_column(place, column, pa.nulls(table.num_rows, table.schema.field(place).type))

    write_table(without("seconds"), part)
    write_table(without("created"), part)
    code, shown, _ = distill("labels", "show", labels, "--query", "q1")
    assert code == 0 and "time not known; tokens 9; written at an unknown time" in shown
    write_table(without("rank"), part)
    code, _, error = distill("labels", "show", labels, "--query", "q1")
    assert code == 2 and "the list of query 'q1' has a document without id, rank, group or finite score" in error


def test_what_is_no_label_folder_is_one_line(distill, tmp_path):
    for command in ("show", "stats"):
        code, _, error = distill("labels", command, tmp_path)
        assert (code, error) == (2, f"error: {tmp_path}: no manifest.json, so no label folder\n")
