import errno
import fcntl
import os
import subprocess
import sys

import pytest

from labeling import LabelingError
from labeling.lock import exclusive

HOLD = """
import sys
from pathlib import Path
from labeling.lock import exclusive
with exclusive(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_holder_is_refused_and_told_of_the_first(tmp_path):
    with exclusive(tmp_path), pytest.raises(LabelingError, match=f"at work here .process {os.getpid()} on "):
        exclusive(tmp_path).__enter__()
    with exclusive(tmp_path):
        pass


def test_a_killed_holder_holds_no_longer(tmp_path):
    holder = subprocess.Popen([sys.executable, "-c", HOLD, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(LabelingError, match=f"process {holder.pid} on "):
            exclusive(tmp_path).__enter__()
    finally:
        holder.kill()
        holder.communicate()
    with exclusive(tmp_path):
        pass


def test_where_nothing_can_be_locked_a_job_works_all_the_same(tmp_path, monkeypatch, caplog):
    def refuse(file, operation):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with exclusive(tmp_path):
        assert (tmp_path / "lock").read_text().startswith(f"process {os.getpid()} on ")
    assert "cannot be locked (No locks available)" in caplog.text
