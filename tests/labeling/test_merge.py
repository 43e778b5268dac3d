import pyarrow.parquet as pq
import pytest

from labeling import LabelingError
from labeling.job import JobSettings, run_label_job
from labeling.label_lists import CandidateList
from labeling.merge import merge_labels
from labeling.parts import part_paths
from labeling.store import open_store
from labeling.verify import verify_labels
from tests.labeling.whole_folder import read_labels, read_manifest

WITHOUT_TIMES = ["query_id", "doc_id", "position", "score", "rank", "group", "tokens", "list_key", "doc_hash"]


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def label(tmp_path, make_judge):
    def label(name, lists, judge=None):
        run_label_job(lists, judge or make_judge(), tmp_path / name, JobSettings(part_lists=1))
        return tmp_path / name

    return label


def test_shards_joined_are_the_job_in_one(label, lists, tmp_path):
    whole = label("whole", lists)
    first, second = label("first", lists[:1]), label("second", lists[1:])
    before = contents(first), contents(second)
    report = merge_labels([first, second], tmp_path / "joined")
    assert (report.lists, report.failed, report.documents, report.repeated) == (4, 0, 16, 0)
    assert read_labels(tmp_path / "joined", WITHOUT_TIMES).equals(read_labels(whole, WITHOUT_TIMES))
    assert verify_labels(tmp_path / "joined").problems == []
    assert (contents(first), contents(second)) == before
    # one part, although the shards had one a list; each row still says which teacher made it and when
    (part,) = part_paths(tmp_path / "joined")
    assert pq.read_table(part).column_names == pq.read_table(part_paths(whole)[0]).column_names
    times = {row["created"] for row in read_labels(first, ["created"]).to_pylist()}
    assert times < {row["created"] for row in read_labels(tmp_path / "joined", ["created"]).to_pylist()}
    manifest = read_manifest(tmp_path / "joined")
    assert manifest["counts"] == read_manifest(whole)["counts"]
    assert [entry["counts"]["lists"] for entry in manifest["merged"]] == [1, 3]
    assert str(tmp_path) not in (tmp_path / "joined" / "manifest.json").read_text()


@pytest.mark.parametrize("name", ["first", "thesis", "thesis/thesis.tex"])
def test_nothing_is_merged_into_what_stands_there(label, lists, tmp_path, name):
    first, second = label("first", lists[:1]), label("second", lists[1:])
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "thesis.tex").write_text("all of it")
    before = contents(first)
    with pytest.raises(LabelingError, match=rf"{name}: there is something already; give an empty or missing folder"):
        merge_labels([first, second], tmp_path / name)
    assert contents(first) == before
    assert (tmp_path / "thesis" / "thesis.tex").read_text() == "all of it"


def test_a_merged_folder_is_resumed_like_any_other(label, lists, tmp_path, make_judge):
    merge_labels([label("first", lists[:2]), label("second", lists[2:3])], tmp_path / "joined")
    judge = make_judge()
    assert run_label_job(lists, judge, tmp_path / "joined").resumed == 3
    assert judge.queries == ["deep sky"]


def test_identical_lists_are_taken_once_and_what_did_not_fail_is_preferred(label, lists, tmp_path, make_judge):
    first, second = label("first", lists, make_judge(fails_on="hen")), label("second", lists[1:])
    report = merge_labels([first, second], tmp_path / "joined")
    assert (report.lists, report.failed, report.repeated) == (4, 0, 3)
    assert read_labels(tmp_path / "joined").num_rows == 16
    failing = label("failing", lists, make_judge(fails_on="hen"))
    assert merge_labels([failing], tmp_path / "copy").failed == 1
    assert read_labels(tmp_path / "copy", ["query_id"], "failed")["query_id"].to_pylist() == ["c"]


def test_other_teachers_are_refused_by_the_entries_that_differ(label, lists, tmp_path, make_judge):
    first, second = label("first", lists), label("second", lists, make_judge("other"))
    with pytest.raises(LabelingError, match=r"second: made by another teacher than .*first \(they differ in name\)"):
        merge_labels([first, second], tmp_path / "joined")
    assert not (tmp_path / "joined").exists()


def test_a_query_with_two_different_lists_is_refused(label, lists, tmp_path):
    a = lists[0]
    other = CandidateList("a", a.query, a.doc_ids[:3], a.documents[:3])
    first, second = label("first", lists), label("second", [other])
    with pytest.raises(LabelingError, match=r"query 'a' has two different lists, in .*first and in .*second"):
        merge_labels([first, second], tmp_path / "joined")


def test_an_unfinished_folder_is_taken_only_when_asked(label, lists, tmp_path, make_judge):
    first, second = label("first", lists[:2]), label("second", lists[2:])
    with open_store(second, make_judge().describe()):
        pass
    with pytest.raises(LabelingError, match=r"second: the label job has not finished"):
        merge_labels([first, second], tmp_path / "joined")
    assert merge_labels([first, second], tmp_path / "joined", unfinished=True).lists == 4
    assert read_labels(tmp_path / "joined").num_rows == 16


def test_older_lists_in_the_parts_are_not_taken(label, lists, tmp_path):
    first = label("first", lists)
    assert label("first", lists[:2]) == first
    assert merge_labels([first], tmp_path / "joined").lists == 2
    assert sum(pq.read_metadata(part).num_rows for part in part_paths(tmp_path / "joined")) == 8


def test_no_folder_at_all_is_refused(tmp_path):
    with pytest.raises(LabelingError, match="no label folder to merge"):
        merge_labels([], tmp_path / "joined")
