"""What reading heads costs in time and memory, beside bare passes of the same tokens and beside eager maps."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from distill.collections.docstrings import DocstringSettings, build_docstring_collection
from teachers.prompt import cut_words
from tests.benchmarks.teacher_memory import memory_of
from tests.benchmarks.teacher_variants import DEPTH, VARIANTS, Subject, load_subject

_AGAINST = {
    "full_bare_forward": "one pass of the real prompt, all layers, sdpa",
    "bare_forward": "one pass of the real prompt, {depth} layers, sdpa",
    "teacher": "head scores, {depth} layers: documents once, then the real and the null query",
    "eager_maps": "eager output_attentions, {depth} layers, two whole prompts: the simple way shares no documents",
}
List = tuple[str, list[str]]


@dataclass(frozen=True, slots=True)
class Size:
    """Lists of ``documents`` of ``words`` each; ``eager`` where whole maps fit into memory."""

    documents: int
    words: int
    lists: int
    eager: bool = False

    def __str__(self) -> str:
        return f"{self.documents} documents of {self.words} words"


# The last one is that of the figures we claim. Few lists where one pass takes many seconds.
SIZES = (Size(50, 40, 3), Size(100, 40, 3), Size(20, 40, 5, eager=True), Size(20, 100, 3, eager=True))


def teacher_cost(sizes: Sequence[Size] = SIZES, depth: int = DEPTH) -> list[dict[str, Any]]:
    """Seconds and MiB of every variant and size, and the ratios between variants, medians over lists.

    The variants take turns on each list in one process; memory is that of a fresh process each, on the first list.
    """
    texts, queries = _texts()
    lists = {size: _lists(size, texts, queries) for size in sizes}
    # before this process has loaded a model, so that both never stand in memory together
    memory = {size: {v: memory_of(v, *lists[size][0], depth) for v in _variants(size)} for size in sizes}
    subject = load_subject(depth)
    for variant in VARIANTS.values():
        variant(subject, *lists[sizes[-1]][0])
    figures = []
    for size in sizes:
        seconds = _alternating(subject, size, lists[size])
        tokens = statistics.median(subject.prompt(*entry).token_count for entry in lists[size])
        shown = {"documents": size.documents, "words": size.words, "tokens": tokens, "depth": depth}
        figures += _ratios(seconds, size, shown)
        figures += [_cost(variant, taken, memory[size][variant], size, shown) for variant, taken in seconds.items()]
    Console().print(_table(figures))
    return figures


def _variants(size: Size) -> list[str]:
    return [name for name in VARIANTS if size.eager or name != "eager_maps"]


def _texts() -> tuple[list[str], list[str]]:
    """Real docstrings and queries."""
    collection = build_docstring_collection(DocstringSettings(documents=2000, train=12, dev=1, test=1))
    return [document.text for document in collection.documents.values()], list(collection.queries.values())


def _lists(size: Size, texts: Sequence[str], queries: Sequence[str]) -> list[List]:
    long = [cut_words(text, size.words)[0] for text in texts if len(text.split()) >= size.words]
    starts = range(0, size.lists * size.documents, size.documents)
    return [(query, long[start : start + size.documents]) for query, start in zip(queries, starts, strict=False)]


def _alternating(subject: Subject, size: Size, lists: Sequence[List]) -> dict[str, list[float]]:
    """Seconds of each variant on each list; each list starts with another variant."""
    names = _variants(size)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for number, (query, documents) in enumerate(lists):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            seconds[name].append(_seconds(lambda n=name, q=query, d=documents: VARIANTS[n](subject, q, d)))
    return seconds


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - started


def _ratios(seconds: dict[str, list[float]], size: Size, shown: dict[str, Any]) -> list[dict[str, Any]]:
    pairs = [("teacher_over_bare_forward", "teacher", "bare_forward"), ("eager_over_teacher", "eager_maps", "teacher")]
    return [
        {
            "name": name,
            "value": statistics.median(a / b for a, b in zip(seconds[above], seconds[below], strict=True)),
            "unit": "ratio of seconds",
            "against": f"{size}; {_AGAINST[below].format(**shown)}",
            "n": len(seconds[above]),
            **shown,
        }
        for name, above, below in pairs
        if above in seconds
    ]


def _cost(
    variant: str, seconds: Sequence[float], memory: dict[str, float], size: Size, shown: dict[str, Any]
) -> dict[str, Any]:
    return {
        "name": f"{variant}_cost",
        "value": statistics.median(seconds),
        "unit": f"seconds per query, {memory['peak_mib']:.0f} MiB at the peak",
        "against": f"{size}; {_AGAINST[variant].format(**shown)}",
        "n": len(seconds),
        **shown,
        **memory,
    }


def _table(figures: Sequence[dict[str, Any]]) -> Table:
    table = Table("list", "tokens", "pass", "seconds", "peak MiB", "loaded MiB")
    for figure in figures:
        if "peak_mib" in figure:
            size = f"{figure['documents']} x {figure['words']} words"
            tokens, peak, loaded = (f"{figure[name]:.0f}" for name in ("tokens", "peak_mib", "loaded_mib"))
            table.add_row(size, tokens, figure["name"].removesuffix("_cost"), f"{figure['value']:.2f}", peak, loaded)
    return table
