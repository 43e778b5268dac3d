import resource

import pyarrow as pa
import pytest

from labeling import LabelingError
from labeling.parts import next_part_number, part_paths, read_table, remove_unfinished, write_beside, write_table

NAMES = ["doc_id", "score"]


@pytest.fixture
def table():
    return pa.table({"doc_id": [f"document {number}" for number in range(200)], "score": [i / 7 for i in range(200)]})


def test_a_table_comes_back_as_written(table, tmp_path):
    write_table(table, tmp_path / "part.parquet")
    assert read_table(tmp_path / "part.parquet", NAMES).equals(table)
    assert [path.name for path in tmp_path.iterdir()] == ["part.parquet"]


def test_a_table_of_any_shorter_length_is_refused(table, tmp_path):
    path = tmp_path / "part.parquet"
    write_table(table, path)
    whole = path.read_bytes()
    for length in range(0, len(whole), 97):
        path.write_bytes(whole[:length])
        with pytest.raises(LabelingError, match=r"part.parquet: not a readable label file \(.*\); run the label job"):
            read_table(path, NAMES)


def test_an_altered_value_is_never_read_as_good(table, tmp_path):
    path = tmp_path / "part.parquet"
    write_table(table, path)
    whole = path.read_bytes()
    footer = int.from_bytes(whole[-8:-4], "little") + 8
    refused = 0
    for place in range(4, len(whole) - footer, 11):
        altered = bytearray(whole)
        altered[place] ^= 0x10
        path.write_bytes(altered)
        try:
            assert read_table(path, NAMES).equals(table)  # a header entry that no reader looks at
        except LabelingError:
            refused += 1
    assert refused > 0.9 * (len(whole) - footer) / 11


def test_a_missing_column_is_refused(table, tmp_path):
    write_table(table, tmp_path / "part.parquet")
    with pytest.raises(LabelingError, match="rank"):
        read_table(tmp_path / "part.parquet", ["doc_id", "rank"])


def test_a_write_that_fails_leaves_what_stood_there(tmp_path):
    path = tmp_path / "manifest.json"
    path.write_text("old")

    def write_half(unfinished):
        unfinished.write_text("ne")
        raise OSError(28, "No space left on device")

    with pytest.raises(LabelingError, match=r"manifest.json: cannot be written \(No space left on device\)"):
        write_beside(path, write_half)
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("manifest.json", "old")]


def test_a_limit_of_the_system_on_writing_is_one_clear_error(table, tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500, hard))
    try:
        with pytest.raises(LabelingError, match=r"part.parquet: cannot be written .*written before is safe"):
            write_table(table, tmp_path / "part.parquet")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(tmp_path.iterdir()) == []


def test_parts_come_by_number(tmp_path):
    names = ["part-00002.parquet", "part-99998.parquet", "part-99999.parquet", "part-100000.parquet"]
    for name in reversed(names):
        (tmp_path / name).touch()
    assert [path.name for path in part_paths(tmp_path)] == names


def test_numbers_of_parts_set_aside_are_not_used_again(tmp_path):
    for name in ("part-00000.parquet", "part-00002.broken", "part-00007.parquet.tmp", "lists.parquet", "lock"):
        (tmp_path / name).touch()
    assert next_part_number(tmp_path) == 3
    assert [path.name for path in part_paths(tmp_path)] == ["part-00000.parquet"]
    remove_unfinished(tmp_path)
    assert not (tmp_path / "part-00007.parquet.tmp").exists()
    assert len(list(tmp_path.iterdir())) == 4
