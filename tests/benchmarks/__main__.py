"""Runs the benchmarks and adds one line a figure to `benchmarks.jsonl`; names on the command line choose among them."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console

from tests.benchmarks.compare import compare_seconds
from tests.benchmarks.gpu_teacher import gpu_teacher
from tests.benchmarks.head_search import head_search_seconds
from tests.benchmarks.int8 import int8_speedup
from tests.benchmarks.korean_terms import korean_terms
from tests.benchmarks.label_memory import label_memory
from tests.benchmarks.label_store import label_store
from tests.benchmarks.labels import label_overhead
from tests.benchmarks.query_log import tail_query_cost
from tests.benchmarks.quickstart import quickstart_seconds
from tests.benchmarks.students import student_speed
from tests.benchmarks.teacher import teacher_cost
from tests.benchmarks.term_selection import term_selection
from tests.benchmarks.training_cost import training_cost

OUT = Path("benchmarks.jsonl")
# a processor with either multiplies bf16, which then is what teacher and training use
BF16_FLAGS = {"amx_bf16": "AMX", "avx512_bf16": "AVX512_BF16"}
BENCHMARKS: dict[str, Callable[[], list[dict[str, Any]]]] = {
    "teacher": teacher_cost,
    "gpu_teacher": gpu_teacher,
    "head_search": head_search_seconds,
    "students": student_speed,
    "training_cost": training_cost,
    "int8_speedup": int8_speedup,
    "korean_terms": korean_terms,
    "labels": lambda: [label_overhead()],
    "label_store": label_store,
    "query_log": tail_query_cost,
    "label_memory": label_memory,
    "term_selection": term_selection,
    "compare": compare_seconds,
    "quickstart": lambda: [quickstart_seconds()],
}


def main(names: list[str]) -> None:
    """Run the named benchmarks, or all."""
    console = Console()
    unknown = set(names) - BENCHMARKS.keys()
    if unknown:
        sys.exit(f"no benchmark {min(unknown)}; there are {', '.join(BENCHMARKS)}")
    for name in names or BENCHMARKS:
        for measured in BENCHMARKS[name]():
            figure = {**measured, "commit": commit(), "machine": machine()}
            with OUT.open("a", encoding="utf-8") as lines:
                lines.write(json.dumps(figure) + "\n")
            shown = f"{figure['name']}: {figure['value']:.3f} {figure['unit']} ({figure['against']}, n={figure['n']})"
            console.print(shown, highlight=False, soft_wrap=True)


def commit() -> str:
    """The commit that is measured, marked where the tree differs from it."""
    described = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False)
    return described.stdout.strip() or "unknown"


def machine() -> str:
    """Processor and cores, as a reader can compare them; nothing that names the host."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    model = models[0] if models else platform.machine()
    flags = {flag for line in lines if line.startswith("flags") for flag in line.split()}
    bf16 = "".join(f", {name}" for flag, name in BF16_FLAGS.items() if flag in flags)
    return f"{model}{bf16}, {os.cpu_count()} cores"


if __name__ == "__main__":
    main(sys.argv[1:])
