import pytest

from labeling import LabelingError
from labeling.engines.judging import batches, judge_batch, open_judge
from labeling.engines.local import LocalEngine
from labeling.job import run_label_job, run_on_engine
from labeling.keys import teacher_hash
from labeling.label_lists import CandidateList, list_key
from labeling.parts import COLUMNS
from tests.labeling.engines.sources import WordSource
from tests.labeling.whole_folder import read_labels

TIMELESS = [name for name in COLUMNS.names if name not in ("seconds", "created")]


class ManyAtOnce:
    """Wraps a judge; reads lists together, but not where one of them holds the word ``fails_on``."""

    def __init__(self, judge, fails_on=None, lost=0):
        self.one, self.fails_on, self.lost = judge, fails_on, lost
        self.together = []

    def judge(self, query, documents):
        return self.one.judge(query, documents)

    def judge_many(self, lists):
        self.together.append([query for query, _ in lists])
        if any(self.fails_on in query.split() for query, _ in lists):
            raise MemoryError("too much at once")
        return [self.one.judge(query, documents) for query, documents in lists][self.lost :]

    def describe(self):
        return self.one.describe()


def rows(folder):
    return [read_labels(folder, TIMELESS, status).to_pylist() for status in ("ok", "failed")]


def test_lists_judged_together_have_the_rows_of_lists_judged_alone(tmp_path, lists, make_judge):
    run_label_job(lists, make_judge(), tmp_path / "alone")
    judge = ManyAtOnce(make_judge())
    run_on_engine(lists, LocalEngine(judge, batch_lists=3), tmp_path / "together")
    assert judge.together == [["red fox", "blue sea", "old hen"]]  # the fourth list is a batch of one
    assert rows(tmp_path / "together") == rows(tmp_path / "alone")


@pytest.mark.parametrize("judge", [{"fails_on": "hen"}, {"lost": 1}])
def test_a_batch_that_fails_is_judged_one_by_one_and_spoils_no_list(tmp_path, lists, make_judge, judge):
    many = ManyAtOnce(make_judge(fails_on="hen"), **judge)
    run_on_engine(lists, LocalEngine(many, batch_lists=2), tmp_path / "together")
    run_label_job(lists, make_judge(fails_on="hen"), tmp_path / "alone")
    assert len(many.together) == 2
    assert rows(tmp_path / "together") == rows(tmp_path / "alone")
    assert [row["query_id"] for row in rows(tmp_path / "together")[1]] == ["c"]


def test_an_empty_list_in_a_batch_fails_alone(make_judge, lists):
    batch = [("k0", CandidateList("q0", "red", [], [])), ("k1", lists[0])]
    judged = judge_batch(batch, ManyAtOnce(make_judge()))
    assert [rows[0]["status"] for rows in judged] == ["failed", "ok"]
    assert judged[0][0]["error"] == "LabelingError: the list has no documents"


def test_seconds_of_a_batch_add_up_to_its_own(make_judge, lists):
    judge = ManyAtOnce(make_judge())
    rows = judge_batch([(list_key(one, "t"), one) for one in lists], judge)
    seconds = [one[0]["seconds"] for one in rows]
    assert all(0 < part < 1 for part in seconds)
    assert all(row["seconds"] == one[0]["seconds"] for one in rows for row in one)


def test_batches_are_taken_as_they_are_asked_for():
    taken = []

    def work():
        for number in range(7):
            taken.append(number)
            yield str(number), None

    cut = batches(work(), 3)
    assert [key for key, _ in next(cut)] == ["0", "1", "2"]
    assert taken == [0, 1, 2]
    assert [len(batch) for batch in cut] == [3, 1]


def test_a_judge_that_is_not_the_jobs_is_refused(tmp_path):
    agreed = teacher_hash({"name": "words"})
    assert open_judge(WordSource(tmp_path / "calls"), agreed).describe() == {"name": "words"}
    with pytest.raises(LabelingError, match="not the one that the job was started with.*'name': 'other'"):
        open_judge(WordSource(tmp_path / "calls", opened_as="other"), agreed)
    with pytest.raises(LabelingError, match="the teacher cannot be opened: MemoryError: the weights do not fit"):
        open_judge(WordSource(tmp_path / "calls", opened_as="nothing"), agreed)
