"""Reading with line numbers, and writing whole or not at all."""

import gzip
import os
import shutil
from pathlib import Path

import pytest

from distill.collections.collection import DataError
from distill.collections.files import numbered_lines, refuse_existing, whole_file, whole_folder


def test_blank_lines_are_passed_over_but_counted(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("one\n\n  \nfour\r\n", encoding="utf-8")
    assert list(numbered_lines(path)) == [(1, "one"), (4, "four")]


def test_a_packed_file_reads_as_the_plain_one(tmp_path):
    with gzip.open(tmp_path / "a.txt.gz", "wt", encoding="utf-8") as file:
        file.write("가\nb\n")
    assert list(numbered_lines(tmp_path / "a.txt.gz")) == [(1, "가"), (2, "b")]


@pytest.mark.parametrize("name", ["lines.txt", "lines.txt.gz"])
def test_a_byte_order_mark_is_no_part_of_the_first_line(tmp_path, name):
    content = "\ufeffq0 Q0 d0\n\ufeffq1\n".encode()
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    assert list(numbered_lines(tmp_path / name)) == [(1, "q0 Q0 d0"), (2, "\ufeffq1")]


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match=r"absent\.txt: no such file"):
        list(numbered_lines(tmp_path / "absent.txt"))


def test_a_line_that_is_not_utf_8_is_named(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"fine\n\xff\n")
    with pytest.raises(DataError, match=r"a\.txt:\d+: not UTF-8"):
        list(numbered_lines(tmp_path / "a.txt"))


# without a time in its header, as the content names the test
@pytest.mark.parametrize("content", [b"plain text", gzip.compress(b"cut off " * 50, mtime=0)[:-12]])
def test_a_broken_gzip_file_is_named(tmp_path, content):
    (tmp_path / "a.gz").write_bytes(content)
    with pytest.raises(DataError, match=r"a\.gz: not a whole gzip file"):
        list(numbered_lines(tmp_path / "a.gz"))


def test_an_error_while_writing_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(RuntimeError), whole_file(path) as beside:
        beside.write_text("half of the new")
        raise RuntimeError
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]
    assert path.read_text() == "old"


def test_an_error_while_writing_leaves_the_old_folder_and_nothing_else(tmp_path):
    folder = tmp_path / "f"
    folder.mkdir()
    (folder / "old").touch()
    with pytest.raises(RuntimeError), whole_folder(folder) as beside:
        (beside / "new").touch()
        raise RuntimeError
    assert [str(p.relative_to(tmp_path)) for p in sorted(tmp_path.rglob("*"))] == ["f", "f/old"]


def test_a_whole_folder_takes_the_place_of_the_old_one(tmp_path):
    folder = tmp_path / "deep" / "f"
    for name in ("old", "new"):
        with whole_folder(folder) as beside:
            (beside / name).touch()
    assert [p.name for p in folder.iterdir()] == ["new"]


def test_what_exists_is_refused_unless_overwrite(tmp_path):
    (tmp_path / "empty").mkdir()
    refuse_existing(tmp_path / "empty", overwrite=False)
    refuse_existing(tmp_path / "absent", overwrite=False)
    refuse_existing(tmp_path, overwrite=True)
    with pytest.raises(DataError, match="exists already; choose another place, or pass --overwrite"):
        refuse_existing(tmp_path, overwrite=False)


@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_what_is_written_whole_may_be_read_by_whom_the_umask_lets(tmp_path, umask):
    before = os.umask(umask)
    try:
        with whole_file(tmp_path / "a.txt") as beside:
            beside.write_text("new")
        with whole_folder(tmp_path / "f") as beside:
            (beside / "b.txt").write_text("new")
    finally:
        os.umask(before)
    assert (tmp_path / "a.txt").stat().st_mode & 0o777 == 0o666 & ~umask
    assert (tmp_path / "f").stat().st_mode & 0o777 == 0o777 & ~umask


def test_an_old_folder_is_removed_only_when_the_new_one_stands(tmp_path, monkeypatch):
    folder = tmp_path / "f"
    folder.mkdir()
    (folder / "old.txt").write_text("hours of work")
    stood = []
    monkeypatch.setattr(shutil, "rmtree", lambda path, **_: stood.append((folder / "new.txt").exists()))
    with whole_folder(folder) as beside:
        (beside / "new.txt").write_text("new")
    assert stood and all(stood)


def test_a_link_is_written_through_and_what_is_no_file_is_left_alone(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link.txt").symlink_to(tmp_path / "real" / "a.txt")
    with whole_file(tmp_path / "link.txt") as beside:
        beside.write_text("new")
    assert (tmp_path / "link.txt").is_symlink() and (tmp_path / "real" / "a.txt").read_text() == "new"
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DataError, match="pipe: no file, and is not replaced"):
        whole_file(tmp_path / "pipe").__enter__()
    with pytest.raises(DataError, match="pipe: neither a file nor a folder, and is not replaced"):
        refuse_existing(tmp_path / "pipe", overwrite=True)
    assert (tmp_path / "pipe").is_fifo()


def test_the_working_directory_is_not_replaced(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match="the working directory cannot be replaced"), whole_folder(Path()):
        pass
    assert tmp_path.is_dir()
