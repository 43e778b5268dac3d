"""Peak memory of one list under one variant, in a process of its own: a peak cannot be taken back.

`python -m tests.benchmarks.teacher_memory VARIANT` reads a list as JSON, ``[query, documents, depth]``, on its standard
input and prints MiB as JSON.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from subprocess import run
from typing import Any


def memory_of(variant: str, query: str, documents: list[str], depth: int) -> dict[str, float]:
    """``loaded_mib`` of a fresh process with the model loaded, and its ``peak_mib`` while it reads the list."""
    command = [sys.executable, "-m", "tests.benchmarks.teacher_memory", variant]
    given = json.dumps([query, documents, depth])
    printed = run(command, input=given, capture_output=True, text=True, check=True).stdout
    measured: dict[str, float] = json.loads(printed.splitlines()[-1])
    return measured


def _measure(variant: str, query: str, documents: list[str], depth: int) -> dict[str, Any]:
    from tests.benchmarks.teacher_variants import VARIANTS, load_subject

    subject = load_subject(depth)
    # unpacking the weights peaks higher than a short list does: the pass's own peak counts from here
    Path("/proc/self/clear_refs").write_text("5")
    loaded = _status_mib("VmRSS")
    VARIANTS[variant](subject, query, documents)
    # not getrusage's ru_maxrss, which a child inherits from the process that started it
    return {"loaded_mib": loaded, "peak_mib": _status_mib("VmHWM")}


def _status_mib(field: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:")) / 1024


if __name__ == "__main__":
    print(json.dumps(_measure(sys.argv[1], *json.load(sys.stdin))))
