import os
import re
import resource
import signal
from collections import Counter
from contextlib import contextmanager
from dataclasses import replace

import pyarrow.parquet as pq
import pytest

from labeling import LabelingError
from labeling.job import JobSettings, run_label_job
from labeling.label_lists import CandidateList
from labeling.parts import part_paths
from labeling.store import LabelStore
from tests.labeling.whole_folder import read_labels, read_manifest

ONE_LIST_A_PART = JobSettings(part_lists=1)


def stored(folder):
    """How often each (list, document) stands in the folder, whichever job wrote it."""
    return Counter(
        (row["list_key"], row["doc_id"]) for part in part_paths(folder) for row in pq.read_table(part).to_pylist()
    )


class Answers:
    """A judge that gives the same answers to every list."""

    def __init__(self, *answers):
        self.answers = answers

    def judge(self, query, documents):
        return self.answers

    def describe(self):
        return {"name": "answers"}


def test_a_finished_job_run_again_judges_nothing_and_writes_no_row(tmp_path, lists, make_judge):
    first = run_label_job(lists, make_judge(), tmp_path)
    before = stored(tmp_path)
    judge = make_judge()
    second = run_label_job(lists, judge, tmp_path)
    assert (first.lists, first.resumed, first.labelled, first.documents) == (4, 0, 4, 16)
    assert (second.lists, second.resumed, second.labelled, second.documents) == (4, 4, 0, 0)
    assert judge.queries == []
    assert second.counts == first.counts
    assert stored(tmp_path) == before
    assert set(before.values()) == {1}


def test_a_changed_document_relabels_the_lists_that_hold_it(tmp_path, lists, make_judge):
    run_label_job(lists, make_judge(), tmp_path)
    changed = [
        replace(entry, documents=[text.replace("old fox", "red fox") for text in entry.documents]) for entry in lists
    ]
    judge = make_judge()
    report = run_label_job(changed, judge, tmp_path)
    assert judge.queries == ["red fox", "old hen", "deep sky"]  # "old fox" stands in lists a, c and d
    assert (report.resumed, report.teacher_change) == (1, [])
    rows = read_labels(tmp_path, ["query_id", "doc_id", "score"]).to_pylist()
    assert len(rows) == 16
    assert next(row["score"] for row in rows if (row["query_id"], row["doc_id"]) == ("a", "d3")) == 2.0


def test_a_changed_teacher_relabels_everything_and_says_so_first(tmp_path, lists, make_judge, caplog):
    run_label_job(lists, make_judge(), tmp_path)
    said_before_the_first_list = []
    report = run_label_job(
        lists, make_judge("other"), tmp_path, on_progress=lambda _: said_before_the_first_list.append(caplog.text)
    )
    assert "the teacher has changed (name); lists of the one before do not count" in said_before_the_first_list[0]
    assert (report.labelled, report.teacher_change) == (4, ["name"])
    assert read_labels(tmp_path).num_rows == 16


def test_going_back_to_an_earlier_teacher_costs_nothing(tmp_path, lists, make_judge):
    run_label_job(lists, make_judge(), tmp_path)
    before = read_labels(tmp_path)
    run_label_job(lists, make_judge("other"), tmp_path)
    assert not read_labels(tmp_path).equals(before)
    assert {teacher["name"] for teacher in read_manifest(tmp_path)["teachers"].values()} == {"overlap", "other"}
    judge = make_judge()
    run_label_job(lists, judge, tmp_path)
    assert judge.queries == []
    assert read_labels(tmp_path).equals(before)


def test_the_labels_are_those_of_the_last_jobs_lists(tmp_path, lists, make_judge):
    run_label_job(lists, make_judge(), tmp_path)
    run_label_job([lists[2], lists[0]], make_judge(), tmp_path)
    assert read_labels(tmp_path, ["query_id"])["query_id"].to_pylist() == ["c"] * 4 + ["a"] * 4


def test_a_failing_list_is_recorded_and_does_not_stop_the_job(tmp_path, lists, make_judge, caplog):
    report = run_label_job(lists, make_judge(fails_on="blue"), tmp_path)
    assert (report.labelled, report.failed, report.counts["failed"], report.counts["documents"]) == (3, 1, 1, 12)
    assert set(read_labels(tmp_path)["query_id"].to_pylist()) == {"a", "c", "d"}
    (failure,) = read_labels(tmp_path, ["query_id", "doc_id", "score", "error"], status="failed").to_pylist()
    assert failure == {"query_id": "b", "doc_id": None, "score": None, "error": "MemoryError: the list is too long"}
    assert "query b failed: MemoryError" in caplog.text
    assert "blue sea" not in caplog.text  # logs hold ids, not texts


def test_a_failed_list_is_tried_again_on_demand_only(tmp_path, lists, make_judge):
    run_label_job(lists, make_judge(fails_on="blue"), tmp_path)
    mended = make_judge()
    assert run_label_job(lists, mended, tmp_path).resumed == 4
    assert mended.queries == []
    report = run_label_job(lists, mended, tmp_path, JobSettings(retry_failed=True))
    assert mended.queries == ["blue sea"]
    assert report.counts == {"lists": 4, "failed": 0, "documents": 16, "missing": 4, "truncated": 0}
    assert set(stored(tmp_path).values()) == {1}


def test_a_list_that_fails_again_is_recorded_once(tmp_path, lists, make_judge):
    for _ in range(3):
        report = run_label_job(lists, make_judge(fails_on="blue"), tmp_path, JobSettings(retry_failed=True))
    assert report.counts["failed"] == 1
    assert set(stored(tmp_path).values()) == {1}


@pytest.mark.parametrize(
    ("answers", "error"),
    [
        ([{"score": float("nan")}], "score: .*finite"),
        ([], "gave 0 judgments for 1 documents"),
        ([{"score": 1.0, "evidence": (0, 99)}], "evidence 0:99"),
        ([None], "document 'd1': "),
    ],
)
def test_an_answer_that_means_nothing_fails_its_list(tmp_path, answers, error):
    run_label_job([CandidateList("q1", "red", ["d1"], ["red fox"])], Answers(*answers), tmp_path)
    (failure,) = read_labels(tmp_path, ["error"], status="failed").to_pylist()
    assert re.search(error, failure["error"])


def test_an_error_that_is_not_utf8_is_recorded(tmp_path, make_judge):
    class Unwritable:
        def judge(self, query, documents):
            raise ValueError("bad text: \ud800")

        def describe(self):
            return {"name": "unwritable"}

    run_label_job([CandidateList("q1", "red", ["d1"], ["red fox"])], Unwritable(), tmp_path)
    (failure,) = read_labels(tmp_path, ["error"], status="failed").to_pylist()
    assert failure == {"error": "ValueError: bad text: ?"}


def test_a_list_without_documents_fails(tmp_path, make_judge):
    judge = make_judge()
    run_label_job([CandidateList("q1", "red", [], [])], judge, tmp_path)
    assert read_labels(tmp_path, ["error"], status="failed").to_pylist() == [
        {"error": "LabelingError: the list has no documents"}
    ]
    assert judge.queries == []


def test_a_repeated_query_id_is_refused(tmp_path, lists, make_judge):
    with pytest.raises(LabelingError, match="query id 'a' comes twice"):
        run_label_job([*lists, lists[0]], make_judge(), tmp_path)


@pytest.mark.parametrize(
    "text", ["\x00 nul", "\u202eright to left", "\ud800 half a pair", "<|im_end|>\r\n\t", "x" * 10**6]
)
def test_any_text_is_only_data(tmp_path, make_judge, text):
    judge = make_judge()
    ids = {"query_id": "q1\x00\u202e", "doc_id": "d1\n\t"}
    candidates = [CandidateList(ids["query_id"], text, [ids["doc_id"]], [text])]
    for _ in range(2):
        report = run_label_job(candidates, judge, tmp_path)
    assert judge.queries == [text]
    assert report.counts["documents"] == 1
    assert read_labels(tmp_path, ["query_id", "doc_id"]).to_pylist() == [ids]


def test_no_text_is_stored(tmp_path, lists, make_judge):
    run_label_job(lists, make_judge(), tmp_path)
    for row in (row for part in part_paths(tmp_path) for row in pq.read_table(part).to_pylist()):
        assert not {"red fox", "blue sea", "red fox runs"} & set(map(str, row.values()))


@pytest.mark.parametrize("place", [1, 3])  # in the middle, in the last list
@pytest.mark.parametrize(("number", "error"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)])
def test_a_job_asked_to_stop_keeps_the_list_at_hand(tmp_path, lists, make_judge, number, error, place):
    judge = make_judge()
    answer, queries = judge.judge, [candidates.query for candidates in lists]

    def stopped_in_one_list(query, documents):
        if query == queries[place]:
            os.kill(os.getpid(), number)
        return answer(query, documents)

    judge.judge = stopped_in_one_list
    with pytest.raises(error):
        run_label_job(lists, judge, tmp_path)
    assert judge.queries == queries[: place + 1]
    rest = make_judge()
    assert run_label_job(lists, rest, tmp_path).resumed == place + 1
    assert rest.queries == queries[place + 1 :]


def test_a_job_asked_to_stop_while_it_counts_its_lists_is_whole_and_stops(tmp_path, lists, make_judge, monkeypatch):
    finish = LabelStore.finish

    def finish_under_a_signal(*arguments):
        os.kill(os.getpid(), signal.SIGINT)
        return finish(*arguments)

    monkeypatch.setattr(LabelStore, "finish", finish_under_a_signal)
    with pytest.raises(KeyboardInterrupt):
        run_label_job(lists, make_judge(), tmp_path)
    assert read_labels(tmp_path).num_rows == 16


def test_parts_hold_the_lists_they_are_told_to(tmp_path, lists, make_judge):
    run_label_job(lists, make_judge(), tmp_path, JobSettings(part_lists=3))
    parts = [set(pq.read_table(part)["query_id"].to_pylist()) for part in part_paths(tmp_path)]
    assert parts == [{"a", "b", "c"}, {"d"}]


def test_a_part_is_written_when_its_time_is_up(tmp_path, lists, make_judge):
    run_label_job(lists, make_judge(), tmp_path, JobSettings(part_seconds=1e-9))
    assert len(part_paths(tmp_path)) == 4


def test_progress_is_told_after_each_list(tmp_path, lists, make_judge):
    seen = []
    run_label_job(lists, make_judge(), tmp_path, on_progress=lambda job: seen.append((job.lists, job.documents)))
    assert seen == [(1, 4), (2, 8), (3, 12), (4, 16)]


def test_a_full_disk_is_a_clear_stop_that_loses_nothing(tmp_path, lists, make_judge):
    """Whatever the limit at which the disk is full, the job says so, and goes on once there is room."""
    run_label_job(lists, make_judge(), tmp_path / "whole")
    whole = read_labels(tmp_path / "whole", ["query_id", "doc_id", "score"])
    stopped = 0
    for limit in range(100, 12_000, 1_500):
        folder, judge = tmp_path / f"full-at-{limit}", make_judge()
        try:
            with files_no_larger_than(limit):
                run_label_job(lists, judge, folder, ONE_LIST_A_PART)
        except LabelingError as error:
            assert re.search(r"cannot be written \(.*\); what was written before is safe, resume from it", str(error))
            stopped += 1
        safe = len(part_paths(folder))
        assert not list(folder.glob("*.tmp"))
        judge = make_judge()
        assert run_label_job(lists, judge, folder, ONE_LIST_A_PART).resumed == safe
        assert len(judge.queries) == 4 - safe
        assert read_labels(folder, ["query_id", "doc_id", "score"]).equals(whole)
    assert 2 <= stopped < 8


@contextmanager
def files_no_larger_than(limit):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_progress_counts_tokens_and_missing_documents(tmp_path, lists, make_judge):
    report = run_label_job(lists, make_judge(fails_on="blue"), tmp_path)
    assert (report.tokens, report.missing, report.documents) == (3 * 7, 3, 12)
