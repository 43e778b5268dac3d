"""A real Ray cluster of two workers on this machine, started once for all tests here."""

import logging

import pytest

from labeling import LabelingError
from labeling.engines.local import LocalEngine
from labeling.job import run_on_engine
from labeling.parts import COLUMNS
from tests.labeling.engines.sources import WordSource, judged, word_lists
from tests.labeling.whole_folder import read_labels

pytest.importorskip("ray", reason="the extra `ray` is not installed")

from labeling.engines.ray_data import RayEngine, _Cluster, connected_engine

TIMELESS = [name for name in COLUMNS.names if name not in ("seconds", "created")]
LISTS = 60


def rows(folder):
    return [read_labels(folder, TIMELESS, status).to_pylist() for status in ("ok", "failed")]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """Connected to Ray; gives engines around other sources on the same cluster."""
    nothing = WordSource(tmp_path_factory.mktemp("ray") / "calls")
    with connected_engine(nothing, workers=2):
        yield lambda source, **options: RayEngine(source, _Cluster(workers=2, cpus=1, gpus=0), **options)


def test_workers_that_die_cost_no_list_but_the_one_that_kills_them(cluster, tmp_path):
    """A job begun here goes on under Ray, in two waves: one list kills a worker, another every worker it gets."""
    lists, calls, folder = word_lists(LISTS), tmp_path / "calls", tmp_path / "labels"
    run_on_engine(lists, LocalEngine(WordSource(tmp_path / "local").open()), tmp_path / "local labels")
    good, failed = rows(tmp_path / "local labels")
    run_on_engine(lists[:10], LocalEngine(WordSource(calls).open()), folder)
    begun = judged(calls)
    report = run_on_engine(lists, cluster(WordSource(calls, kills=lists[20].query, kills_once=lists[30].query)), folder)
    assert (report.resumed, report.labelled, report.failed) == (10, LISTS - 11, 1)
    assert rows(folder)[0] == [row for row in good if row["query_id"] != "q20"]
    assert [row["query_id"] for row in rows(folder)[1]] == ["q4", "q20"]
    assert rows(folder)[1][0] == failed[0]
    assert rows(folder)[1][1]["error"].startswith("WorkerLost: every worker that was given this list alone")
    now = judged(calls)[len(begun) :]
    assert not set(now) & set(begun)  # what stood was not judged again
    assert now.count(lists[20].query) in (2, 3)  # a bound, where Ray's default is none
    assert now.count(lists[30].query) == 2
    assert len(now) - len(set(now)) <= 3 * 2 * 4  # three deaths, each with two blocks of four lists out

    again = run_on_engine(lists, LocalEngine(WordSource(calls).open()), folder)
    assert (again.resumed, again.labelled) == (LISTS, 0)  # and back to this process


def test_actors_without_the_teacher_end_the_job(cluster, tmp_path):
    engine = cluster(WordSource(tmp_path / "calls", opened_as="other"))
    with pytest.raises(LabelingError, match="not the one that the job was started with"):
        run_on_engine(word_lists(3), engine, tmp_path / "labels")


def test_no_cluster_at_the_address_is_one_clear_error(tmp_path, monkeypatch):
    logging.getLogger("ray").setLevel(logging.CRITICAL)
    monkeypatch.setenv("RAY_GCS_SERVER_REQUEST_TIMEOUT_SECONDS", "1")
    source = WordSource(tmp_path / "calls")
    with (
        pytest.raises(LabelingError, match="no Ray cluster can be used at 127.0.0.1:1"),
        connected_engine(source, address="127.0.0.1:1"),
    ):
        pytest.fail("connected to nothing")
