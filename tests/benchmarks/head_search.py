"""How long the head search takes on as many queries as a large fitting set has."""

from __future__ import annotations

import time
from typing import Any

import torch

from teachers.features import JudgedLists
from teachers.head_search import SearchSettings, search_sets, soft_labels

QUERIES, HEADS, DOCUMENTS = 10_000, 32, 50


def head_search_seconds(queries: int = QUERIES) -> list[dict[str, Any]]:
    """Seconds of one search over ``queries``, and of the bootstrapped labels of a tenth of them; one run each."""
    lists, settings = _random_lists(queries), SearchSettings()
    tenth = lists.take(range(queries // 10))
    size = f"{HEADS} heads, {DOCUMENTS} documents, random features"
    # the first search of a process waits for libraries to load
    search_sets(lists.take(range(64)), settings)
    started = time.perf_counter()
    search_sets(lists, settings)
    searched = time.perf_counter()
    soft_labels(tenth, settings)
    labelled = time.perf_counter()
    return [
        {
            "name": "head_search_seconds", "value": searched - started, "unit": f"s for {queries} queries",
            "against": f"at most 60 s; {size}", "n": 1,
        },
        {
            "name": "head_soft_labels_seconds", "value": labelled - searched, "unit": f"s for {len(tenth)} queries",
            "against": f"{settings.bootstraps} bootstraps; {size}", "n": 1,
        },
    ]  # fmt: skip


def _random_lists(queries: int) -> JudgedLists:
    """Lists with one to three relevant documents each, and heads that know nothing of them."""
    generator = torch.Generator().manual_seed(0)
    gains = torch.zeros(queries, DOCUMENTS)
    relevant = torch.rand(queries, DOCUMENTS, generator=generator).argsort(1)[:, :3]
    counts = torch.randint(1, 4, (queries, 1), generator=generator)
    gains.scatter_(1, relevant, (torch.arange(3) < counts).float())
    features = torch.randn(queries, HEADS, DOCUMENTS, generator=generator)
    return JudgedLists(features, torch.ones(queries, DOCUMENTS, dtype=torch.bool), gains, torch.zeros(queries, 1))
