"""A job killed with SIGKILL and run again must end as if nothing had happened."""

import random
import runpy
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from labeling.job import JobSettings, run_label_job
from labeling.parts import COLUMNS, part_paths
from tests.labeling.whole_folder import read_labels

PROGRAM = Path(__file__).with_name("killable_job.py")
LISTS, LISTS_IN_A_PART = 500, 3
RANDOM_MOMENTS = 25
TIMELESS = [name for name in COLUMNS.names if name not in ("seconds", "created")]


def job(folder, calls, *die_at):
    return subprocess.Popen([sys.executable, PROGRAM, folder, calls, *map(str, die_at)], stderr=subprocess.DEVNULL)


def judged(calls):
    """The queries that the judge was asked, one entry a call."""
    return calls.read_text().splitlines() if calls.exists() else []


def on_disk(folder):
    """Ids of the queries whose lists stand in whole parts."""
    return {query for part in part_paths(folder) for query in pq.read_table(part)["query_id"].to_pylist()}


def rows(folder):
    """Every labelled and every failed row, but for times."""
    return [read_labels(folder, TIMELESS, status).to_pylist() for status in ("ok", "failed")]


def check_nothing_is_stored_twice(folder):
    stored = Counter(
        (row["query_id"], row["doc_id"]) for part in part_paths(folder) for row in pq.read_table(part).to_pylist()
    )
    assert set(stored.values()) == {1}


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    """The rows of a job that was left alone."""
    folder = tmp_path_factory.mktemp("unbroken")
    assert job(folder / "labels", folder / "calls").wait() == 0
    assert len(judged(folder / "calls")) == LISTS
    assert [len(found) for found in rows(folder / "labels")] == [(LISTS - 1) * 5, 1]
    return rows(folder / "labels")


def kill_at_random(folder, calls, *options, held):
    """Starts the job, kills it within a few lists and looks at what that cost; whether it was still at work.

    ``held``: lists that may be out of the parts at any moment.
    """
    safe, before = on_disk(folder), len(judged(calls))
    process = job(folder, calls, *options)
    while len(judged(calls)) == before and process.poll() is None:
        time.sleep(0.0005)
    time.sleep(random.uniform(0, 0.015))
    process.kill()
    killed = process.wait() == -9
    if options:
        wait_for_workers(calls)
    now = judged(calls)[before:]
    assert not {f"q{query.split()[0]}" for query in now} & safe  # no list on disk was judged again
    assert len(set(now)) == len(now)
    assert len(now) - len(on_disk(folder) - safe) <= held  # what one kill costs
    return killed


def wait_for_workers(calls):
    """Workers that the killed job has left end with their list; then nobody writes any more."""
    seen = -1
    while seen != len(judged(calls)):
        seen = len(judged(calls))
        time.sleep(0.1)


@pytest.mark.parametrize(
    ("options", "moments", "held"), [((), RANDOM_MOMENTS, LISTS_IN_A_PART), (("workers",), 4, LISTS_IN_A_PART + 2)]
)
def test_killed_at_random_moments(unbroken, tmp_path, options, moments, held):
    folder, calls = tmp_path / "labels", tmp_path / "calls"
    killed = sum(kill_at_random(folder, calls, *options, held=held) for _ in range(moments))
    assert killed == moments
    assert job(folder, calls, *options).wait() == 0
    assert rows(folder) == unbroken
    check_nothing_is_stored_twice(folder)
    assert LISTS <= len(judged(calls)) <= LISTS + killed * held


def test_killed_before_every_file_operation_in_turn(tmp_path):
    """Each run dies one operation later than the one before, in a folder of its own, and is then resumed."""
    program = runpy.run_path(str(PROGRAM))

    def run_whole(folder, calls):
        run_label_job(program["lists"](8), program["SlowJudge"](calls), folder, JobSettings(part_lists=LISTS_IN_A_PART))

    run_whole(tmp_path / "whole", tmp_path / "calls")
    die_at = 0
    while True:
        die_at += 1
        folder, calls = tmp_path / f"killed-{die_at}", tmp_path / f"calls-{die_at}"
        if job(folder, calls, die_at).wait() == 0:
            break
        safe, before = on_disk(folder), len(judged(calls))
        run_whole(folder, calls)
        assert not {f"q{query.split()[0]}" for query in judged(calls)[before:]} & safe
        assert rows(folder) == rows(tmp_path / "whole")
        check_nothing_is_stored_twice(folder)
        assert not list(folder.glob("*.tmp"))
    # lock; then for each of manifest, 3 parts, lists and manifest at least a rename and two synchronisations
    assert die_at > 1 + 6 * 3
