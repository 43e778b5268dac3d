"""Scores that travel with a folder, and each loader beside them: servers must return what was trained."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distill.errors import ModelError, first_line
from distill.export.model_folder import ACTIVATIONS, IDENTITY, SIGMOID, ModelFolder
from distill.export.pairs import Pair

PARITY = "parity.json"
TOLERANCE = 1e-3
"""Largest difference in logits that an fp32 loader may show: far below what moves a rank, far above rounding."""
INT8_SPEARMAN = 0.9
"""Least rank correlation with the fp32 scores for an int8 graph; its logits are others."""


@dataclass(frozen=True, slots=True)
class LoaderParity:
    """One loader's logits beside those that travel with the folder.

    Args:
        loader: its name.
        pairs: how many were scored.
        largest: largest absolute difference in logits; infinite where the loader failed.
        spearman: rank correlation; not a number where the scores are all alike.
        passed: whether that is near enough.
        scores: what this loader returns unless told otherwise: a raw logit or a probability.
        problem: why it could not be loaded; None where it could.
    """

    loader: str
    pairs: int
    largest: float
    spearman: float
    passed: bool
    scores: str
    problem: str | None = None


def write_parity(path: Path, pairs: Sequence[Pair], scores: Sequence[float]) -> None:
    """Write the pairs with their raw fp32 logits."""
    rows = [{"query": q, "document": d, "score": s} for (q, d), s in zip(pairs, scores, strict=True)]
    path.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


def read_parity(path: Path) -> tuple[list[Pair], list[float]]:
    """The pairs and their logits.

    Raises:
        ModelError: no such file, or not what `write_parity` writes.
    """
    if not path.is_file():
        raise ModelError(f"{path}: missing; export the model again, its scores travel in this file")
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
        pairs = [(str(row["query"]), str(row["document"])) for row in rows]
        scores = [float(row["score"]) for row in rows]
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
        raise ModelError(f"{path}: not a list of query, document and score: {error!r}") from None
    if not pairs:
        raise ModelError(f"{path}: no pairs; one or more are needed")
    wrong = [score for score in scores if not math.isfinite(score)]
    if wrong:
        raise ModelError(f"{path}: {len(wrong)} of {len(scores)} scores are not finite, as {wrong[0]}")
    return pairs, scores


def compare_loaders(folder: ModelFolder, quantised: bool) -> list[LoaderParity]:
    """Load the folder with everything that can, as a stranger would, and compare with its `PARITY` file.

    Args:
        folder: an exported folder.
        quantised: whether its graph is an int8 one, which is held to ranks instead of differences.

    Raises:
        ModelError: it has no such file.
    """
    pairs, expected = read_parity(folder.path / PARITY)
    loaders: dict[str, Callable[[Path, Sequence[Pair]], tuple[list[float], str]]] = {}
    if folder.has_weights:
        loaders |= {"transformers": _transformers, "CrossEncoder": _cross_encoder}
    if folder.has_graph:
        loaders["ONNX Runtime"] = _onnx_runtime
    return [_compare(name, load, folder.path, pairs, expected, quantised) for name, load in loaders.items()]


def _compare(
    name: str,
    load: Callable[[Path, Sequence[Pair]], tuple[list[float], str]],
    path: Path,
    pairs: Sequence[Pair],
    expected: Sequence[float],
    quantised: bool,
) -> LoaderParity:
    try:
        scores, meaning = load(path, pairs)
    except Exception as error:  # a loader may fail in any way of its libraries'; that is a finding, not a fault here
        problem = first_line(error)
        return LoaderParity(name, len(pairs), math.inf, math.nan, False, "", problem)
    differences = [abs(found - wanted) for found, wanted in zip(scores, expected, strict=True)]
    largest = max(differences) if all(map(math.isfinite, differences)) else math.inf
    spearman = _spearman(scores, expected)
    near = spearman >= INT8_SPEARMAN if quantised and name == "ONNX Runtime" else largest <= TOLERANCE
    return LoaderParity(name, len(pairs), largest, spearman, near, meaning)


def _transformers(path: Path, pairs: Sequence[Pair]) -> tuple[list[float], str]:
    """One pair at a time, so that padding cannot hide a difference."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    model = AutoModelForSequenceClassification.from_pretrained(path).eval()
    tokenizer: Any = AutoTokenizer.from_pretrained(path)
    with torch.inference_mode():
        scores = [
            # in lists: a tokenizer takes a single empty document for none, and leaves out its separator
            float(model(**tokenizer([query], [document], truncation=True, return_tensors="pt")).logits[0, 0])
            for query, document in pairs
        ]
    return scores, ACTIVATIONS[IDENTITY]


def _cross_encoder(path: Path, pairs: Sequence[Pair]) -> tuple[list[float], str]:
    """Its logits in one batch, so that padding shows; and what it makes of them by itself."""
    from sentence_transformers import CrossEncoder
    from torch import nn

    model = CrossEncoder(str(path), device="cpu")
    kind = type(model.activation_fn)
    named = {nn.Identity: IDENTITY, nn.Sigmoid: SIGMOID}.get(kind)
    meaning = ACTIVATIONS[named] if named else kind.__name__
    scores = model.predict(list(pairs), batch_size=len(pairs), activation_fn=nn.Identity())
    return [float(score) for score in scores], meaning


def _onnx_runtime(path: Path, pairs: Sequence[Pair]) -> tuple[list[float], str]:
    from distill.serving.onnx_reranker import OnnxReranker

    lists = [(query, [document]) for query, document in pairs]
    return [scores[0] for scores in OnnxReranker.load(path, in_passages=False).score_many(lists)], ACTIVATIONS[IDENTITY]


def _spearman(scores: Sequence[float], expected: Sequence[float]) -> float:
    from scipy import stats

    if len(set(scores)) < 2 or len(set(expected)) < 2:
        return math.nan
    return float(stats.spearmanr(scores, expected).statistic)
