"""Where a folder has its graph; apart from what reads it, as whoever asks may have no use for a tokenizer."""

from __future__ import annotations

import os
from pathlib import Path

GRAPH = Path("onnx", "model.onnx")
_WEIGHTS = ("model.safetensors", "model.safetensors.index.json")


def holds_graph_alone(folder: str | os.PathLike[str]) -> bool:
    """Whether a folder has a graph and no weights, so that nothing but ONNX Runtime can run it."""
    path = Path(folder)
    return (path / GRAPH).is_file() and not any((path / name).is_file() for name in _WEIGHTS)
