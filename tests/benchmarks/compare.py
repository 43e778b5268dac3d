"""How long a large comparison takes: ten systems, a thousand queries, ten measures, every pair tested."""

import time
from typing import Any

import numpy as np
from scipy import stats

from distill.evaluation.comparison import compare

SYSTEMS, QUERIES, DOCUMENTS, RESAMPLES = 10, 1_000, 50, 10_000
MEASURES = ("nDCG@10", "nDCG@5", "RR@10", "AP", "P@10", "P@5", "R@10", "R@50", "Success@1", "Success@5")
ALONE = 5


def compare_seconds() -> list[dict[str, Any]]:
    """Seconds of `compare`, and how much longer scipy's two calls a contrast would take (timed on a few of them)."""
    chance = np.random.default_rng(0)
    qrels = {f"q{i}": {f"d{j}": int(chance.random() < 0.1) for j in range(DOCUMENTS)} for i in range(QUERIES)}
    runs = {
        f"system {noise}": {
            query: {doc: grade + (1 + noise / 20) * chance.normal() for doc, grade in docs.items()}
            for query, docs in qrels.items()
        }
        for noise in range(SYSTEMS)
    }
    begun = time.perf_counter()
    found = compare(runs, qrels, MEASURES, resamples=RESAMPLES)
    ours = time.perf_counter() - begun
    begun = time.perf_counter()
    for contrast in found.contrasts[:ALONE]:
        values = found.values[contrast.system][contrast.measure] - found.values[contrast.reference][contrast.measure]
        stats.permutation_test((values,), np.mean, permutation_type="samples", n_resamples=RESAMPLES, batch=500)
        stats.bootstrap((values,), np.mean, n_resamples=RESAMPLES, method="percentile", batch=500)
    theirs = (time.perf_counter() - begun) / ALONE * len(found.contrasts)
    return [
        {
            "name": "compare_seconds",
            "value": ours,
            "unit": f"seconds for {len(found.contrasts)} contrasts",
            "against": f"scipy one contrast at a time, from {ALONE}: {theirs:.0f}",
            "n": 1,
        }
    ]
