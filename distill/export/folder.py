"""Exports a student as a plain folder and proves that other loaders give it the same scores."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from distill.errors import ModelError

PARITY = "parity.json"
_WEIGHTS = ("model.safetensors", "model.safetensors.index.json")


@dataclass(frozen=True, slots=True)
class Parity:
    """Largest absolute difference between our scores and each loader's, over the same pairs, in logits."""

    pairs: int
    cross_encoder: float
    transformers: float


def export_student(model: Path, out: Path, pairs: Sequence[tuple[str, str]]) -> Parity:
    """Copy the student to ``out`` with the scores of ``pairs`` beside it, and compare them after loading it there.

    Args:
        model: a student's folder.
        out: the folder to write; it must not exist.
        pairs: (query, document) pairs; their fp32 scores travel in ``parity.json``, for any server to be checked with.

    Raises:
        ModelError: ``model`` is not a student's folder, or ``out`` exists.
    """
    if not (model / "config.json").is_file() or not any((model / name).is_file() for name in _WEIGHTS):
        raise ModelError(f"{model}: no trained student here (config.json with model.safetensors)")
    if out.exists():
        raise ModelError(f"{out}: exists already; choose another --out or remove it")
    expected = _our_scores(model, pairs)
    beside = out.with_name(f".{out.name}.writing")
    shutil.rmtree(beside, ignore_errors=True)
    shutil.copytree(model, beside)
    rows = [{"query": q, "document": d, "score": s} for (q, d), s in zip(pairs, expected, strict=True)]
    (beside / PARITY).write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    parity = compare_loaders(beside, pairs, expected)
    beside.rename(out)
    return parity


def spread_pairs(lists: Sequence[tuple[str, Sequence[str]]], count: int) -> list[tuple[str, str]]:
    """``count`` pairs spread over the (query, documents) lists, so that they differ in more than the document."""
    pairs = [(query, document) for query, documents in lists for document in documents]
    return pairs[:: max(1, len(pairs) // count)][:count]


def compare_loaders(folder: Path, pairs: Sequence[tuple[str, str]], expected: Sequence[float]) -> Parity:
    """Load ``folder`` as a stranger would and compare its scores with ``expected``."""
    return Parity(
        pairs=len(pairs),
        cross_encoder=_largest(_cross_encoder_scores(folder, pairs), expected),
        transformers=_largest(_transformers_scores(folder, pairs), expected),
    )


def _our_scores(folder: Path, pairs: Sequence[tuple[str, str]]) -> list[float]:
    from students.scoring import Reranker

    lists = [(query, [document]) for query, document in pairs]
    return [scores[0] for scores in Reranker.load(folder, in_passages=False).score_many(lists)]


def _cross_encoder_scores(folder: Path, pairs: Sequence[tuple[str, str]]) -> list[float]:
    from sentence_transformers import CrossEncoder

    return [float(score) for score in CrossEncoder(str(folder)).predict(list(pairs))]


def _transformers_scores(folder: Path, pairs: Sequence[tuple[str, str]]) -> list[float]:
    """One pair at a time, so that padding cannot hide a difference."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    with torch.inference_mode():
        return [
            float(model(**tokenizer(query, document, truncation=True, return_tensors="pt")).logits[0, 0])
            for query, document in pairs
        ]


def _largest(scores: Sequence[float], expected: Sequence[float]) -> float:
    return max(abs(a - b) for a, b in zip(scores, expected, strict=True))
