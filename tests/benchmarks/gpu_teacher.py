"""What reading heads costs on a CUDA device, on a model of the size that one would use there."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from transformers import AutoModelForCausalLM, LlamaConfig

from distill.models import ModelReference, load_tokenizer
from teachers.head_scores import HeadReader
from teachers.prompt import PromptSettings
from tests.benchmarks.teacher_variants import MODEL, Subject, bare_forward, teacher

# The shape of Llama 3 8B; what a pass costs does not depend on what the weights are.
SHAPE = LlamaConfig(
    hidden_size=4096, num_hidden_layers=32, num_attention_heads=32, num_key_value_heads=8, intermediate_size=14336,
    vocab_size=128256, max_position_embeddings=131072,
)  # fmt: skip
DOCUMENTS, WORDS, REPEATS = (20, 100), 100, 5


def gpu_teacher() -> list[dict[str, Any]]:
    """Seconds of the bare pass and of ours at full depth in bf16, one list at a time; nothing without a CUDA device."""
    if not torch.cuda.is_available():
        return []
    subject = random_subject(SHAPE, torch.device("cuda"))
    rate = matrix_rate(torch.device("cuda"))
    return [figure for documents in DOCUMENTS for figure in gpu_figures(subject, documents, rate)]


def random_subject(config: LlamaConfig, device: torch.device) -> Subject:
    """A model of this shape with random weights in bf16; the tokenizer is that of the embedded model."""
    torch.manual_seed(0)
    with device:
        model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16).eval()
    return Subject(model, HeadReader(model, load_tokenizer(ModelReference.parse(MODEL)), PromptSettings()))


def matrix_rate(device: torch.device, size: int = 8192) -> float:
    """Operations a second of a large bf16 matrix product, the best of several."""
    left, right = (torch.randn(size, size, device=device, dtype=torch.bfloat16) for _ in range(2))
    return 2 * size**3 / min(_timed(lambda: left @ right, 10))


def gpu_figures(subject: Subject, documents: int, rate: float) -> list[dict[str, Any]]:
    """Seconds of both passes on one list, with the share of ``rate`` that the bare pass's operations make."""
    query, texts = _list(documents)
    tokens = subject.real_ids(query, texts).shape[1]
    figures = []
    for name, work in (("gpu_bare_forward", bare_forward), ("gpu_teacher", teacher)):
        seconds = statistics.median(_timed(lambda w=work: w(subject, query, texts), REPEATS))
        share = operations(subject.model.config, tokens) / seconds / rate
        figures.append({
            "name": f"{name}_seconds", "value": seconds, "unit": "s per query",
            "against": f"{documents} documents of {WORDS} words, {tokens} tokens, {100 * share:.0f} % of this card's "
            f"{rate / 1e12:.0f} TFLOP/s",
            "n": REPEATS, "documents": documents, "words": WORDS, "tokens": tokens, "share_of_matrix_rate": share,
        })  # fmt: skip
    return figures


def operations(config: LlamaConfig, tokens: int) -> float:
    """Operations of one causal pass through all layers: two a weight and token, and those of attention."""
    hidden, heads_dim = config.hidden_size, config.head_dim
    projections = hidden * heads_dim * (2 * config.num_attention_heads + 2 * config.num_key_value_heads)
    weights = projections + 3 * hidden * config.intermediate_size
    # scores and sums over values, each two operations a pair of tokens, of which half are in sight
    attention = 2 * tokens**2 * config.num_attention_heads * heads_dim
    return float(config.num_hidden_layers * (2 * weights * tokens + attention))


def _list(documents: int) -> tuple[str, list[str]]:
    chance = random.Random(0)
    words = ["array", "sort", "value", "return", "index", "shape", "the", "of", "given", "matrix", "file", "name"]
    return "how to sort an array", [" ".join(chance.choices(words, k=WORDS)) for _ in range(documents)]


def _timed(work: Callable[[], object], repeats: int) -> Sequence[float]:
    seconds = []
    for _ in range(repeats + 1):
        started = time.perf_counter()
        work()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - started)
    # the first warms up
    return seconds[1:]
