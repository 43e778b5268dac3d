"""Memory of one model, in a process of its own: beside others it could not be told whose the memory is.

`python -m distill.stages.resident_memory` reads ``[model, device, query, documents]`` as JSON on its standard input.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict

import psutil

from distill.errors import ModelError
from distill.evaluation.latency import MemoryUse


def memory_of(model: str, device: str | None, query: str, documents: Sequence[str]) -> MemoryUse:
    """What a fresh process takes that loads the model and scores these documents.

    Raises:
        ModelError: the process failed, as where the memory does not suffice.
    """
    command = [sys.executable, "-m", "distill.stages.resident_memory"]
    given = json.dumps([model, device, query, list(documents)])
    done = subprocess.run(command, input=given, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        said = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise ModelError(f"model {model!r}: its memory could not be measured in a process of its own: {said}")
    return MemoryUse(**json.loads(done.stdout.splitlines()[-1]))


def _measure(model: str, device: str | None, query: str, documents: list[str]) -> MemoryUse:
    from distill.stages.rankers import open_ranker

    open_ranker(model, device).score_pairs(query, documents)
    resident = psutil.Process().memory_info().rss / 2**20
    # not loaded for the question: an ONNX graph runs without torch, and is measured without it
    torch = sys.modules.get("torch")
    # nothing was taken where the model runs on the processor
    taken = torch.cuda.max_memory_allocated() / 2**20 if torch and torch.cuda.is_available() else 0.0
    return MemoryUse(resident, taken or None)


if __name__ == "__main__":
    print(json.dumps(asdict(_measure(*json.load(sys.stdin)))))
