"""How many threads score; apart from what scores, as a report names them where nothing is loaded yet."""

from __future__ import annotations

import os


def default_threads() -> int:
    """``OMP_NUM_THREADS`` as torch reads it, or the processors that this process may use."""
    told = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0]
    if told.isascii() and told.isdecimal() and int(told) > 0:
        return int(told)
    # ONNX Runtime's own default counts the machine's cores, those included that a container may not use
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
