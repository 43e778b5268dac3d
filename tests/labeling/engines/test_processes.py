import os
import signal
import threading
import time
from collections import Counter

import pytest

from labeling import LabelingError
from labeling.engines.local import LocalEngine
from labeling.engines.processes import ProcessEngine
from labeling.job import JobSettings, run_on_engine
from labeling.parts import COLUMNS
from tests.labeling.engines.sources import WordSource, judged, word_lists
from tests.labeling.whole_folder import read_labels

TIMELESS = [name for name in COLUMNS.names if name not in ("seconds", "created")]


def rows(folder):
    return [read_labels(folder, TIMELESS, status).to_pylist() for status in ("ok", "failed")]


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    """The rows of 60 lists judged in this process."""
    folder = tmp_path_factory.mktemp("local")
    run_on_engine(word_lists(60), LocalEngine(WordSource(folder / "calls").open()), folder / "labels")
    return rows(folder / "labels")


def test_two_processes_give_the_rows_of_one_whatever_befalls_a_worker(tmp_path, unbroken):
    """One list ends its worker the first time: it is judged again, and no other list is."""
    lists, calls = word_lists(60), tmp_path / "calls"
    source = WordSource(calls, kills_once=lists[20].query)
    report = run_on_engine(lists, ProcessEngine(source, 2), tmp_path / "labels")
    assert (report.labelled, report.failed) == (59, 1)  # list 4 has no documents
    assert rows(tmp_path / "labels") == unbroken
    asked = Counter(judged(calls))
    assert asked.pop(lists[20].query) == 2
    assert set(asked.values()) == {1}
    assert len({line.rpartition(" by ")[2] for line in calls.read_text().splitlines()}) >= 2  # the lost one's successor


def test_a_list_that_always_ends_its_worker_fails_and_the_others_do_not(tmp_path, unbroken):
    lists = word_lists(60)
    source = WordSource(tmp_path / "calls", kills=lists[20].query)
    report = run_on_engine(lists, ProcessEngine(source, 2), tmp_path / "labels")
    assert (report.labelled, report.failed) == (58, 2)
    good, failed = rows(tmp_path / "labels")
    assert good == [row for row in unbroken[0] if row["query_id"] != "q20"]
    assert {row["query_id"]: row["error"] for row in failed} == {
        "q4": "LabelingError: the list has no documents",
        "q20": "WorkerLost: a worker ended with SIGKILL, 2 times with this list",
    }
    mended = ProcessEngine(WordSource(tmp_path / "calls"), 2)
    report = run_on_engine(lists, mended, tmp_path / "labels", JobSettings(retry_failed=True))
    assert (report.resumed, report.labelled, report.failed) == (58, 1, 1)
    assert rows(tmp_path / "labels") == unbroken


def test_a_job_goes_on_under_another_engine(tmp_path, unbroken):
    lists, calls = word_lists(60), tmp_path / "calls"
    run_on_engine(lists[:30], ProcessEngine(WordSource(calls), 2), tmp_path / "labels")
    report = run_on_engine(lists, LocalEngine(WordSource(calls).open()), tmp_path / "labels")
    assert (report.resumed, report.labelled) == (30, 30)
    assert rows(tmp_path / "labels") == unbroken
    assert len(judged(calls)) == 59


@pytest.mark.parametrize("opened_as", ["nothing", "another teacher"])
def test_workers_without_the_teacher_end_the_job(tmp_path, opened_as):
    with pytest.raises(LabelingError, match="cannot be opened|not the one that the job was started with"):
        run_on_engine(
            word_lists(5), ProcessEngine(WordSource(tmp_path / "calls", opened_as=opened_as), 2), tmp_path / "labels"
        )


def test_nothing_to_do_starts_no_worker(tmp_path):
    lists, folder = word_lists(5), tmp_path / "labels"
    run_on_engine(lists, LocalEngine(WordSource(tmp_path / "calls").open()), folder)
    unable = ProcessEngine(WordSource(tmp_path / "calls", opened_as="nothing"), 2)
    assert run_on_engine(lists, unable, folder).resumed == 5


def test_few_lists_are_taken_ahead_of_the_workers(tmp_path):
    lists, taken = word_lists(40), []

    def drawn():
        for candidates in lists:
            taken.append(candidates.query_id)
            yield candidates

    ahead = []
    engine = ProcessEngine(WordSource(tmp_path / "calls"), 2)
    run_on_engine(drawn(), engine, tmp_path / "labels", on_progress=lambda job: ahead.append(len(taken) - job.lists))
    assert max(ahead) <= 2


@pytest.mark.parametrize(("number", "error"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)])
def test_a_job_asked_to_stop_keeps_the_lists_at_hand(tmp_path, number, error):
    """Ctrl-C and a scheduler's end reach the workers too; they leave it to the job."""
    lists, calls, folder = word_lists(200), tmp_path / "calls", tmp_path / "labels"
    threading.Thread(target=_interrupt_after, args=(calls, 10, number), daemon=True).start()
    with pytest.raises(error):
        run_on_engine(lists, ProcessEngine(WordSource(calls, seconds=0.05), 2), folder)
    asked = len(judged(calls))
    assert 10 <= asked < 150
    report = run_on_engine(lists, LocalEngine(WordSource(calls).open()), folder)
    assert report.resumed in (asked, asked + 1)  # list 4 fails without a call
    assert len(judged(calls)) == 199  # nothing was judged twice


def _interrupt_after(calls, count, number):
    while len(judged(calls)) < count:
        time.sleep(0.002)
    workers = {int(line.rpartition(" by ")[2]) for line in calls.read_text().splitlines()}
    for process in workers - {os.getpid()}:
        os.kill(process, number)
    os.kill(os.getpid(), number)
