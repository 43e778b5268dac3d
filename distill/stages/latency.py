"""Times models on the candidates of a run: opens them, makes lists of the asked lengths, and says on what machine."""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from itertools import chain
from typing import Any

import psutil

from distill.collections.collection import Collection, DataError, Run
from distill.collections.trec import ranking
from distill.evaluation.latency import LatencyReport, TimedList, measure_latency
from distill.progress import Advance
from distill.serving.threads import default_threads
from distill.stages.rankers import RankerReference, check_device, open_ranker
from distill.stages.resident_memory import memory_of
from labeling.texts import well_formed


def models_latency(
    models: Mapping[str, str],
    lists: Mapping[int, Sequence[TimedList]],
    warmup: int,
    device: str | None = None,
    memory: bool = True,
    on_progress: Advance | None = None,
) -> LatencyReport:
    """Time models in turns on the same lists.

    Args:
        models: what `open_ranker` opens, such as ``./folder``, ``onnx:./folder`` or ``bfloat16:./folder``, by the names
            that the report gives them.
        lists: from `timed_lists`.
        warmup: queries that do not count.
        device: such as "cuda"; the first accelerator, or the processor, where None.
        memory: also load each in a process of its own, which takes seconds.
        on_progress: is told the queries done.

    Raises:
        ModelError: a model cannot be found or loaded, or the device is not there.
    """
    references = {name: RankerReference.parse(model).settled() for name, model in models.items()}
    if any(reference.backend == "torch" for reference in references.values()):
        check_device(device)
    threads = _threads(references.values())
    rankers = {name: open_ranker(reference, device, threads) for name, reference in references.items()}
    machine = {
        **_machine(device, threads),
        "backends": {name: _backend(reference) for name, reference in references.items()},
    }
    figures = measure_latency(rankers, lists, warmup, on_progress=on_progress)
    machine["load_average_after"] = psutil.getloadavg()[0]
    longest = lists[max(lists)][0]
    taken = {
        name: memory_of(model, device, longest.query, longest.documents) for name, model in models.items() if memory
    }
    return LatencyReport(figures, taken, machine)


def timed_lists(
    collection: Collection, run: Run, lengths: Sequence[int], queries: int, source: str = "the run"
) -> dict[int, list[TimedList]]:
    """For each length, a list of as many documents for each of ``queries`` queries, spread evenly over the run.

    A query's best candidates come first. Where they do not suffice, those of the queries after it follow, each
    document once.

    Args:
        collection: has the texts.
        run: the candidates.
        lengths: documents of a list.
        queries: most queries; all of the run's where it has fewer.
        source: names the run in an error.

    Raises:
        DataError: the whole run has fewer documents than a length, or no query.
    """
    ranked = {query_id: ranking(scores) for query_id, scores in run.items() if scores}
    if not ranked:
        raise DataError(f"{source}: no query at all; at least one query with candidates is needed")
    most = len(set(chain.from_iterable(ranked.values())))
    if max(lengths) > most:
        raise DataError(f"{source}: it has {most} documents in all, too few for lists of {max(lengths)}")
    order = list(ranked)
    count = min(queries, len(order))
    places = [number * len(order) // count for number in range(count)]
    return {length: [_timed(collection, ranked, order, place, length) for place in places] for length in lengths}


def _timed(
    collection: Collection, ranked: Mapping[str, Sequence[str]], order: Sequence[str], place: int, length: int
) -> TimedList:
    own = ranked[order[place]][:length]
    documents = dict.fromkeys(own)
    for query_id in chain(order[place + 1 :], order[:place]):
        if len(documents) >= length:
            break
        documents.update(dict.fromkeys(ranked[query_id]))
    # no tokenizer takes half a character
    texts = tuple(well_formed(collection.text(doc_id)) for doc_id in list(documents)[:length])
    return TimedList(well_formed(collection.query(order[place])), texts, len(own))


def _backend(reference: RankerReference) -> str:
    """What runs the model, as a reader of a table knows it."""
    return "onnx" if reference.backend == "onnx" else f"torch {reference.dtype}"


def _threads(references: Iterable[RankerReference]) -> int:
    """Torch's where torch runs one of them, so that all run on as many."""
    if all(reference.backend == "onnx" for reference in references):
        return default_threads()
    import torch

    return torch.get_num_threads()


def _machine(device: str | None, threads: int) -> dict[str, Any]:
    """What the figures depend on; a process that needed no torch is not made to load it."""
    torch = sys.modules.get("torch")
    accelerator = torch and torch.accelerator.current_accelerator(check_available=True)
    return {
        "device": str(device or accelerator or "cpu"),
        "accelerator": torch.cuda.get_device_name() if torch and torch.cuda.is_available() else None,
        "processor": platform.processor() or platform.machine(),
        "cores": psutil.cpu_count(),
        "threads": threads,
        "versions": dict(_versions("distill", "torch", "transformers", "sentence-transformers", "onnxruntime")),
        "load_average_before": psutil.getloadavg()[0],
    }


def _versions(*names: str) -> Iterator[tuple[str, str]]:
    """Of those packages that are installed."""
    for name in names:
        try:
            yield name, version(name)
        except PackageNotFoundError:
            continue
