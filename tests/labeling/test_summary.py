import numpy as np
import pytest

from labeling.job import JobSettings, run_label_job
from labeling.parts import part_paths
from labeling.store import open_store
from labeling.summary import summarize_labels
from tests.labeling.whole_folder import read_labels


class FullJudge:
    """Every field that a judge can give, by the place of the document in its list."""

    def judge(self, query, documents):
        if query == "old hen":
            raise MemoryError("the list is too long")
        confidence = {"red fox": 0.25, "blue sea": 0.75}.get(query)
        return [
            {"score": -place, "missing": place == 3, "truncated": 5 if place == 1 else 0, "tokens": 100}
            | ({"confidence": confidence, "note": "odd"} if confidence is not None else {})
            | ({"evidence": (0, 2), "reason": "because"} if place == 0 else {})
            for place in range(len(documents))
        ]

    def describe(self):
        return {"name": "full", "depth": 3}


@pytest.fixture
def folder(tmp_path, lists):
    run_label_job(lists, FullJudge(), tmp_path / "labels", JobSettings(part_lists=2))
    return tmp_path / "labels"


def test_the_numbers_by_hand(folder):
    summary = summarize_labels(folder)
    # four lists of four documents, of which c failed; the last document of each is missing, the second was cut
    assert (summary.lists, summary.failed, summary.errors) == (4, 1, {"MemoryError": 1})
    assert (summary.documents, summary.groups, summary.missing_share) == (12, {"ranked": 9, "missing": 3}, 0.25)
    assert (summary.truncated, summary.truncated_units, summary.tokens) == (3, 15, 300)
    assert (summary.with_evidence, summary.with_reason, summary.notes) == (3, 3, 2)
    assert (summary.confidence.known, summary.confidence.mean, summary.confidence.median) == (2, 0.5, 0.5)
    assert summary.documents_per_list.median == 4
    assert summary.description == {"name": "full", "depth": 3}
    assert (summary.finished, summary.earlier_teachers) == (True, 0)
    assert summary.folder_bytes == sum(path.stat().st_size for path in folder.iterdir())
    parts = sum(path.stat().st_size for path in folder.glob("part-*.parquet"))
    assert summary.bytes_per_row == parts / 13


def test_seconds_are_those_of_the_lists_once_each(folder):
    rows = read_labels(folder, ["query_id", "seconds"]).to_pylist()
    seconds = list({row["query_id"]: row["seconds"] for row in rows}.values())
    summary = summarize_labels(folder)
    assert summary.seconds_per_list.known == 3
    assert summary.seconds_per_list.high == pytest.approx(np.percentile(seconds, 95))
    assert summary.documents_per_second == pytest.approx(12 / sum(seconds))


def test_what_no_list_tells_is_not_known(tmp_path, make_judge):
    run_label_job([], make_judge(), tmp_path)
    summary = summarize_labels(tmp_path)
    assert (summary.lists, summary.documents) == (0, 0)
    assert summary.missing_share is summary.confidence is summary.seconds_per_list is summary.tokens is None
    assert summary.bytes_per_row is summary.first is summary.documents_per_second is None


def test_an_unfinished_folder_has_numbers_too(folder):
    with open_store(folder, FullJudge().describe()):
        pass
    summary = summarize_labels(folder)
    assert (summary.finished, summary.lists, summary.documents) == (False, 4, 12)


def test_lists_that_are_gone_are_counted(folder):
    assert summarize_labels(folder).absent == 0
    whole = summarize_labels(folder).lists
    part_paths(folder)[0].unlink()
    left = summarize_labels(folder)
    assert left.absent > 0
    assert left.lists + left.absent == whole
