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
