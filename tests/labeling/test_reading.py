import shutil
import tracemalloc

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from labeling import LabelingError
from labeling.formats import label_lists
from labeling.job import JobSettings, run_label_job
from labeling.judge import ScoreAdapter
from labeling.label_lists import CandidateList
from labeling.merge import merge_labels
from labeling.parts import part_paths, write_table
from labeling.reading import LabelReader
from labeling.store import open_store
from labeling.summary import summarize_labels
from labeling.verify import repair_labels
from tests.labeling.whole_folder import read_labels

COLUMNS = ["query_id", "doc_id", "rank", "list_key"]


@pytest.fixture
def folder(tmp_path, lists, make_judge):
    run_label_job(lists, make_judge(), tmp_path / "labels", JobSettings(part_lists=2))
    return tmp_path / "labels"


def rows_by_reader(folder):
    return [row for table in LabelReader(folder).lists(COLUMNS) for row in table.to_pylist()]


def test_lists_one_by_one_are_the_table(folder):
    assert rows_by_reader(folder) == read_labels(folder, COLUMNS).to_pylist()


def test_lists_come_in_the_order_of_the_last_job_wherever_they_stand(folder, lists, make_judge):
    run_label_job([lists[3], lists[0], lists[2]], make_judge(), folder)
    assert [row["query_id"] for row in rows_by_reader(folder)[::4]] == ["d", "a", "c"]
    assert rows_by_reader(folder) == read_labels(folder, COLUMNS).to_pylist()
    # the first list of each part is none of the job's
    run_label_job([lists[3], lists[1]], make_judge(), folder)
    assert [row["query_id"] for row in rows_by_reader(folder)[::4]] == ["d", "b"]
    assert rows_by_reader(folder) == read_labels(folder, COLUMNS).to_pylist()


def test_a_job_whose_lists_are_many_chunks_is_read_and_counted_as_any_other(
    folder, lists, make_judge, tmp_path, monkeypatch
):
    monkeypatch.setattr("labeling.compact._CHUNK_LISTS", 1)
    report = run_label_job(lists, make_judge(), tmp_path / "chunks", JobSettings(part_lists=2))
    # four lists of four documents, the last of each shares no word with its query
    assert report.counts == {"lists": 4, "failed": 0, "documents": 16, "missing": 4, "truncated": 0}
    assert rows_by_reader(tmp_path / "chunks") == rows_by_reader(folder)


def test_a_list_in_two_parts_or_in_none_is_refused(folder):
    copy = folder / "part-00002.parquet"
    shutil.copy(part_paths(folder)[0], copy)
    with pytest.raises(LabelingError, match="list of query 'a' stands twice in the parts; `distill labels verify"):
        rows_by_reader(folder)
    copy.unlink()
    whole = pq.read_table(part_paths(folder)[0])
    write_table(pa.concat_tables([whole, whole.slice(0, 4)]), part_paths(folder)[0])
    with pytest.raises(LabelingError, match="list of query 'a' stands twice"):
        rows_by_reader(folder)
    write_table(whole, part_paths(folder)[0])
    part_paths(folder)[1].unlink()
    with pytest.raises(LabelingError, match="list of query 'c' is in no part, with 1 others"):
        rows_by_reader(folder)


def test_an_unfinished_folder_gives_what_it_has_of_this_teacher(folder, lists, make_judge):
    with open_store(folder, make_judge("other").describe()):
        pass
    with pytest.raises(LabelingError, match="has not finished"):
        LabelReader(folder)
    assert LabelReader(folder, unfinished=True).query_ids.to_pylist() == []
    with open_store(folder, make_judge().describe()):
        pass
    reader = LabelReader(folder, unfinished=True)
    assert reader.query_ids.to_pylist() == ["a", "b", "c", "d"]
    assert not reader.finished


@pytest.fixture
def begun_again(folder, lists, make_judge):
    """The folder, of which a and c were judged again with their candidates turned round, until the job was killed."""

    def killed():
        for place in (2, 0):
            listed = lists[place]
            yield CandidateList(listed.query_id, listed.query, listed.doc_ids[::-1], listed.documents[::-1])
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_label_job(killed(), make_judge(), folder, JobSettings(part_lists=1))
    return folder


NEWEST = {
    "b": ["d4", "d5", "d6", "d1"],
    "d": ["d8", "d5", "d6", "d3"],
    "c": ["d4", "d3", "d2", "d7"],
    "a": ["d4", "d3", "d2", "d1"],
}


def by_query(reader):
    return {table["query_id"][0].as_py(): table["doc_id"].to_pylist() for table in reader.lists(COLUMNS)}


def test_of_an_unfinished_folder_each_query_has_the_list_judged_last(begun_again, tmp_path):
    reader = LabelReader(begun_again, unfinished=True)
    assert reader.query_ids.to_pylist() == list(NEWEST)
    assert by_query(reader) == NEWEST
    assert reader.list_of("a", ["doc_id"])["doc_id"].to_pylist() == NEWEST["a"]
    summary = summarize_labels(begun_again)
    assert (summary.lists, summary.documents) == (4, 16)
    assert merge_labels([begun_again], tmp_path / "merged", unfinished=True).lists == 4
    assert by_query(LabelReader(tmp_path / "merged")) == NEWEST


def test_a_repaired_part_is_the_newest_and_its_lists_are_not(begun_again):
    part = pq.read_table(part_paths(begun_again)[0])  # a and b as they were first
    ranks = pa.array([*part["rank"].to_pylist()[:-1], 9], pa.int32())
    write_table(part.set_column(part.schema.get_field_index("rank"), "rank", ranks), part_paths(begun_again)[0])
    assert any("1 good lists of it kept" in line for line in repair_labels(begun_again)[1])
    reader = LabelReader(begun_again, unfinished=True)
    assert by_query(reader) == {query_id: NEWEST[query_id] for query_id in "dca"}


def test_one_querys_list_is_found(folder):
    assert LabelReader(folder).list_of("b", ["doc_id"])["doc_id"].to_pylist() == ["d4", "d5", "d6", "d1"]
    with pytest.raises(LabelingError, match="no list of query 'e'; it has 4 lists, such as 'a'"):
        LabelReader(folder).list_of("e", ["doc_id"])


def test_a_list_whose_part_is_gone_is_called_so(folder):
    part_paths(folder)[0].unlink()
    reader = LabelReader(folder)
    with pytest.raises(LabelingError, match="the list of query 'a' is in no part; .*--repair"):
        reader.list_of("a", ["score"])


def test_memory_does_not_grow_with_the_number_of_lists(tmp_path):
    class Length:
        def score(self, query, documents):
            return [float(len(document)) for document in documents]

    def peaks(count):
        """Most bytes of Python objects, and of Arrow's, at any list."""
        ids = [f"document {number}" for number in range(50)]
        lists = (CandidateList(f"q{number}", f"query {number}", ids, ids) for number in range(count))
        folder = tmp_path / str(count)
        run_label_job(lists, ScoreAdapter(Length(), {"name": "length"}), folder, JobSettings(part_lists=10))
        before, arrow = pa.total_allocated_bytes(), []
        tracemalloc.start()
        for _ in label_lists(folder):
            arrow.append(pa.total_allocated_bytes() - before)
        _, python = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert len(arrow) == count
        return python, max(arrow)

    peaks(10)  # what is loaded once
    # 10 and 40 parts; a list's key, id and place take some 150 bytes, its rows twenty times that
    for small, large in zip(peaks(100), peaks(400), strict=True):
        assert large < 1.3 * small + 300 * 150
