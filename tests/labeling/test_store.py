import json

import pyarrow.parquet as pq
import pytest

from labeling import LabelingError
from labeling.job import JobSettings, run_label_job
from labeling.parts import part_paths
from labeling.reading import LabelReader
from labeling.store import open_store
from labeling.verify import repair_labels
from tests.labeling.whole_folder import read_labels, read_manifest

ONE_LIST_A_PART = JobSettings(part_lists=1)


@pytest.fixture
def folder(tmp_path, lists, make_judge):
    run_label_job(lists, make_judge(), tmp_path / "labels", ONE_LIST_A_PART)
    return tmp_path / "labels"


def read_lists(folder):
    return list(LabelReader(folder).lists(["query_id"]))


def test_every_row_carries_the_teacher(folder):
    manifest = read_manifest(folder)
    assert manifest["teachers"][manifest["teacher"]] == {"name": "overlap", "settings": {"stem": False}}
    for part in part_paths(folder):
        for row in pq.read_table(part).to_pylist():
            assert row["teacher"] == manifest["teacher"]
            assert (row["teacher_name"], row["teacher_settings"]) == ("overlap", '{"stem":false}')


def test_the_manifest_counts_by_hand(folder):
    # one of four documents shares no word in each of the four lists; in list d "old fox" is the one
    counts = {"lists": 4, "failed": 0, "documents": 16, "missing": 4, "truncated": 0}
    assert read_manifest(folder)["counts"] == counts


def test_rows_come_in_the_order_of_the_lists_and_their_candidates(folder, lists):
    rows = read_labels(folder, ["query_id", "doc_id"]).to_pylist()
    assert [(row["query_id"], row["doc_id"]) for row in rows] == [
        (candidates.query_id, doc_id) for candidates in lists for doc_id in candidates.doc_ids
    ]


def test_rows_tell_scores_ranks_and_groups(folder):
    rows = read_labels(folder, ["query_id", "score", "rank", "group", "tokens"]).to_pylist()
    assert [tuple(row.values()) for row in rows[:4]] == [
        ("a", 2.0, 1, "ranked", 7),
        ("a", 1.0, 2, "ranked", 7),
        ("a", 1.0, 2, "ranked", 7),
        ("a", 0.0, 4, "missing", 7),
    ]


def test_a_truncated_part_is_set_aside_and_its_list_made_again(folder, lists, make_judge, caplog):
    before = read_labels(folder, ["query_id", "doc_id", "score"])
    part = part_paths(folder)[1]
    part.write_bytes(part.read_bytes()[:-100])
    with pytest.raises(LabelingError, match="part-00001.parquet: not a readable label file"):
        read_lists(folder)
    judge = make_judge()
    report = run_label_job(lists, judge, folder, ONE_LIST_A_PART)
    assert (report.resumed, report.labelled, judge.queries) == (3, 1, ["blue sea"])
    assert read_labels(folder, ["query_id", "doc_id", "score"]).equals(before)
    assert "set aside as part-00001.broken" in caplog.text
    assert (folder / "part-00001.broken").exists()


def test_labels_are_not_read_before_the_job_has_finished(folder, lists, make_judge):
    with open_store(folder, make_judge("another").describe()):
        pass
    with pytest.raises(LabelingError, match="has not finished; run it again"):
        read_lists(folder)


def test_two_jobs_do_not_share_a_folder(folder, lists, make_judge):
    with open_store(folder, make_judge().describe()), pytest.raises(LabelingError, match="a label job is at work here"):
        run_label_job(lists, make_judge(), folder)


def test_a_folder_with_something_else_is_left_alone(tmp_path, lists, make_judge):
    (tmp_path / "thesis.tex").write_text("do not touch")
    with pytest.raises(LabelingError, match=r"holds thesis.tex but no manifest.json"):
        run_label_job(lists, make_judge(), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (json.dumps({"format": 1}), "labels of format 1; this version reads format 2"),
        ("{", "manifest.json: not a manifest of labels"),
        ("[]", "manifest.json: not a manifest of labels"),
        ("{}", "manifest.json: not a manifest of labels"),
        ("[" * 100_000, "manifest.json: not a manifest of labels"),
        ({"complete": 1}, r"manifest.json: not a manifest of labels \(entry 'complete'\)"),
        ({"teacher": None}, r"manifest.json: not a manifest of labels \(entry 'teacher'\)"),
        ({"teachers": {"t": "a description"}}, r"not a manifest of labels \(entry 'teachers.t'\)"),
        ({"counts": ["many"]}, r"not a manifest of labels \(entry 'counts'\)"),
        ({"versions": {"python": 3}}, r"not a manifest of labels \(entry 'versions.python'\)"),
        ({"teacher": "t9"}, "manifest.json: its teacher 't9' is not among its teachers"),
    ],
)
def test_a_manifest_that_is_not_ours_is_refused(folder, lists, make_judge, text, message):
    if isinstance(text, dict):
        text = json.dumps(json.loads((folder / "manifest.json").read_text()) | text)
    (folder / "manifest.json").write_text(text)
    with pytest.raises(LabelingError, match=message):
        read_lists(folder)
    with pytest.raises(LabelingError, match=message):
        run_label_job(lists, make_judge(), folder)


def test_a_manifest_that_cannot_be_read_is_named(folder):
    (folder / "manifest.json").unlink()
    (folder / "manifest.json").mkdir()
    with pytest.raises(LabelingError, match=r"manifest.json: cannot be read \(Is a directory\)"):
        read_lists(folder)


def test_a_part_that_cannot_be_reached_stops_the_job_and_is_left_alone(folder, lists, make_judge):
    """Rights or a disk that is away are no damage: the labels may be whole, and must not be paid for again."""
    part = part_paths(folder)[1]
    content = part.read_bytes()
    part.unlink()
    part.symlink_to(part.name)  # its own target: opening it fails for every user
    for read in (read_lists, lambda folder: run_label_job(lists, make_judge(), folder)):
        with pytest.raises(LabelingError, match=r"part-00001.parquet: cannot be read \(Too many levels of symbolic"):
            read(folder)
    assert part.is_symlink()
    part.unlink()
    part.write_bytes(content)
    judge = make_judge()
    assert (run_label_job(lists, judge, folder).resumed, judge.queries) == (4, [])


@pytest.mark.parametrize("name", ["file", "file/labels"])
def test_a_place_where_no_folder_can_be_is_named(tmp_path, lists, make_judge, name):
    (tmp_path / "file").write_text("a thesis")
    with pytest.raises(LabelingError, match=rf"{name}: no folder can be made there \((File exists|Not a directory)\)"):
        run_label_job(lists, make_judge(), tmp_path / name)
    assert (tmp_path / "file").read_text() == "a thesis"


def test_a_folder_without_manifest_is_no_label_folder(tmp_path):
    with pytest.raises(LabelingError, match="no manifest.json, so no label folder"):
        read_lists(tmp_path)


def test_taken_lists_are_kept_when_an_error_ends_the_job(tmp_path, lists, make_judge):
    def lists_with_a_bad_end():
        yield from lists[:3]
        raise LabelingError("query 'd': no text")

    with pytest.raises(LabelingError, match="no text"):
        run_label_job(lists_with_a_bad_end(), make_judge(), tmp_path)
    judge = make_judge()
    assert run_label_job(lists, judge, tmp_path).resumed == 3
    assert judge.queries == ["deep sky"]


def test_what_a_killed_writer_left_is_cleared_away(folder, lists, make_judge):
    (folder / "part-00002.parquet.tmp").write_bytes(b"PAR1 and no more")
    run_label_job(lists, make_judge(), folder)
    assert not list(folder.glob("*.tmp"))
    assert len(part_paths(folder)) == 4


def test_a_reason_that_utf8_cannot_hold_costs_no_list(tmp_path, lists):
    class Quoting:
        def judge(self, query, documents):
            return [{"score": 1.0, "reason": "half \ud83d of one", "note": "\ud83d"} for _ in documents]

        def describe(self):
            return {"name": "quo\udc00ting"}

    run_label_job(lists, Quoting(), tmp_path)
    rows = read_labels(tmp_path, ["reason", "note"]).to_pylist()
    assert all(row == {"reason": "half \ufffd of one", "note": "\ufffd"} for row in rows)


def test_a_part_that_stands_twice_stops_the_job_until_it_is_repaired(folder, lists, make_judge):
    first = part_paths(folder)[0]
    copy = first.with_name("part-00000 (1).parquet")
    copy.write_bytes(first.read_bytes())
    with pytest.raises(LabelingError, match=r"1 lists stand twice in its parts, such as in a copy of one; `distill"):
        run_label_job(lists, make_judge(), folder)
    repair_labels(folder)
    judge = make_judge()
    report = run_label_job(lists, judge, folder)
    assert (judge.queries, report.counts["lists"]) == ([], len(lists))
