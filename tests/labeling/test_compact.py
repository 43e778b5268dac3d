import random

import pyarrow as pa
import pytest

from labeling import compact
from labeling.compact import FinishedLists, JobLists
from labeling.keys import text_hash


def key(number):
    return text_hash(str(number)) + text_hash(f"{number}.")


@pytest.fixture
def parts():
    """300 lists of one to three rows in parts of 50, every seventh failed."""
    draw = random.Random(0)
    rows = [(key(n), "failed" if n % 7 == 0 else "ok") for n in range(300) for _ in range(draw.randint(1, 3))]
    return [pa.table({"list_key": keys, "status": found}) for keys, found in _cut(rows)]


def _cut(rows):
    for start in range(0, len(rows), 50):
        yield tuple(zip(*rows[start : start + 50], strict=True))


def test_finished_lists_are_a_set(parts):
    finished = FinishedLists()
    assert (len(finished), key(1) in finished, bool(finished)) == (0, False, False)
    for part in parts:
        finished.add_part(part)
    assert len(finished) == 300
    assert [n for n in range(600) if key(n) in finished] == list(range(300))
    assert finished.failed == {key(n) for n in range(0, 300, 7)}
    finished.forget_failed()
    assert [n for n in range(600) if key(n) in finished] == [n for n in range(300) if n % 7]
    assert not finished.failed


def test_job_lists_come_back_in_order():
    ids = ["q1", "\u202eleft", "q\x00", "é" * 50, "10"]
    listed = JobLists()
    for number, query_id in enumerate(ids):
        listed.add(query_id, key(number))
    assert list(listed) == ids
    assert listed.table().to_pydict() == {"query_id": ids, "list_key": [key(number) for number in range(5)]}
    assert JobLists().table().to_pydict() == {"query_id": [], "list_key": []}
    with pytest.raises(KeyError, match="10"):
        listed.add("10", key(9))
    assert len(listed) == 5


@pytest.mark.parametrize(
    ("lists", "size", "lengths"), [(2, 1000, [2, 2, 1]), (10, 6, [3, 1, 1]), (10, 1, [1, 1, 1, 1, 1]), (10, 1000, [5])]
)
def test_a_table_is_cut_where_a_chunk_is_full(monkeypatch, lists, size, lengths):
    monkeypatch.setattr("labeling.compact._CHUNK_LISTS", lists)
    monkeypatch.setattr("labeling.compact._CHUNK_BYTES", size)
    ids = ["q1", "é33", "", "4444", "fifth"]  # 2, 4, 0, 4 and 5 bytes
    listed = JobLists()
    for number, query_id in enumerate(ids):
        listed.add(query_id, key(number))
    table = listed.table()
    table.validate(full=True)
    assert table.to_pydict() == {"query_id": ids, "list_key": [key(number) for number in range(5)]}
    assert [len(chunk) for chunk in table["list_key"].chunks] == lengths


def test_no_chunk_passes_what_32_bits_can_point_to():
    assert 64 * compact._CHUNK_LISTS < 2**31 and compact._CHUNK_BYTES < 2**31


def test_two_ids_with_one_hash_are_two(monkeypatch):
    monkeypatch.setattr("labeling.compact.hash", lambda text: len(text), raising=False)
    listed = JobLists()
    for query_id in ("a", "b", "c"):
        listed.add(query_id, key(0))
    assert list(listed) == ["a", "b", "c"]
    with pytest.raises(KeyError, match="b"):
        listed.add("b", key(0))
