import time

import pytest

from labeling import LabelingError
from labeling.estimate import spread_sample, time_lists
from labeling.job import JobSettings, run_label_job
from labeling.label_lists import CandidateList
from labeling.parts import part_paths
from labeling.survey import survey
from tests.labeling.engines.sources import WordSource, word_lists


def sized(number, characters):
    return CandidateList(f"q{number}", "red", ["d1"], ["x" * characters])


def test_a_sample_is_spread_over_lengths():
    """Of lists with 0 to 99 characters, five: the middles of five fifths."""
    lists = [sized(number, (number * 37) % 100) for number in range(100)]
    sample = spread_sample(lists, 5)
    assert [len(one.documents[0]) for one in sample] == [10, 30, 50, 70, 90]
    assert len(spread_sample(lists[:3], 5)) == 3
    assert spread_sample([], 5) == []


def test_a_list_takes_as_long_as_it_takes(tmp_path):
    class Sleeper:
        def judge(self, query, documents):
            time.sleep(len(documents[0]) / 1000)
            return [{"score": 1.0, "tokens": len(documents[0])}]

        def describe(self):
            return {"name": "sleeper"}

    cost = time_lists([sized(1, 10), sized(2, 30)], Sleeper())
    assert cost.tokens == 20
    assert 0.02 <= cost.seconds < 0.2
    assert (cost.sample, cost.failed) == (2, 0)


def test_the_disk_is_told_within_a_quarter(tmp_path):
    source, lists = WordSource(tmp_path / "calls", seconds=0), word_lists(200)
    cost = time_lists(spread_sample(lists, 8), source.open())
    run_label_job(lists, source.open(), tmp_path / "labels", JobSettings(part_lists=16))
    used = sum(path.stat().st_size for path in part_paths(tmp_path / "labels"))
    assert cost.disk_bytes(200, 16) == pytest.approx(used, rel=0.25)


def test_nothing_is_not_timed(tmp_path):
    with pytest.raises(LabelingError, match="no list to time"):
        time_lists([], WordSource(tmp_path / "calls").open())


def test_a_survey_counts_by_hand_and_touches_nothing(tmp_path):
    lists, folder, source = word_lists(10), tmp_path / "labels", WordSource(tmp_path / "calls")
    new = survey(lists, source.describe(), folder)
    assert (new.lists, new.documents, new.finished, new.failed, new.to_judge) == (10, 45, 0, 0, 10)
    assert new.teacher_change == []
    run_label_job(lists[:6], source.open(), folder)
    before = {path: path.read_bytes() for path in folder.iterdir()}
    begun = survey(lists, source.describe(), folder)
    assert (begun.finished, begun.failed, begun.to_judge, begun.teacher_change) == (5, 1, 4, [])
    other = survey(lists, {"name": "other", "heads": 3}, folder)
    assert (other.finished, other.failed, other.to_judge) == (0, 0, 10)
    assert other.teacher_change == ["heads", "name"]
    assert {path: path.read_bytes() for path in folder.iterdir()} == before
