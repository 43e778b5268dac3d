"""How long the quickstart's recipe takes from an empty folder."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from subprocess import run
from typing import Any


def quickstart_seconds() -> dict[str, Any]:
    """Wall-clock seconds of `distill run recipes/quickstart.yaml`, set-up not counted; one run."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "distill", "run", "quickstart", "--out", str(Path(folder) / "run")]
        started = time.perf_counter()
        run(command, check=True)
        seconds = time.perf_counter() - started
    return {"name": "quickstart_seconds", "value": seconds, "unit": "s", "against": "900 s allowed", "n": 1}
