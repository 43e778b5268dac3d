"""A cross-encoder as one ONNX file, by torch's own exporter, and proof that it scores as the model does."""

from __future__ import annotations

import contextlib
import inspect
import io
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from distill.errors import ModelError, first_line
from distill.export.model_folder import reads_token_types
from distill.export.servers import GRAPH_LIMIT

TOLERANCE = 1e-4
"""Largest difference in logits between graph and model that is taken for rounding."""

# batch and length: one and many rows, one token and many
_SHAPES = ((1, 1), (1, 7), (3, 16), (5, 33))


class _Logits(nn.Module):
    """The model with its inputs in a fixed order and its logits as the only output; a decoder keeps no cache."""

    def __init__(self, model: Any, inputs: list[str]) -> None:
        super().__init__()
        self.model = model
        self.inputs = inputs
        takes_cache = "use_cache" in inspect.signature(model.forward).parameters
        self.options = {"use_cache": False} if takes_cache else {}

    def forward(self, *values: Tensor) -> Tensor:
        logits: Tensor = self.model(**dict(zip(self.inputs, values, strict=True)), **self.options).logits
        return logits


def graph_inputs(config: dict[str, Any]) -> list[str]:
    """Names of the inputs of a model of this configuration, in their order."""
    return ["input_ids", "attention_mask", *(["token_type_ids"] if reads_token_types(config) else [])]


def write_graph(model: Any, path: Path) -> float:
    """Write the model as one ONNX file of dynamic batch and length, and compare the two.

    Args:
        model: a sequence classifier with one output, in fp32, evaluation mode and on the processor.
        path: of the file; its folder exists.

    Returns:
        The largest difference in logits over batches of one and of many rows, padded on either side.

    Raises:
        ModelError: the file would be too large for one, torch cannot export the family, or the graph does not score as
            the model does; it is not left behind.
    """
    family = model.config.model_type
    import onnxscript  # noqa: F401  (the exporter would tell of its absence in a long error of its own)

    size = sum(parameter.numel() * parameter.element_size() for parameter in model.parameters())
    if size >= GRAPH_LIMIT:
        raise ModelError(
            f"{family}: {size / 1024**3:.1f} GiB of weights; one ONNX file holds less than 2, and servers look for one "
            "file: export it with --target hf"
        )
    inputs = graph_inputs(model.config.to_dict())
    wrapper = _Logits(model, inputs).eval()
    example = _batch(model.config, inputs, 2, 9, "right")
    attention = model.config._attn_implementation
    # the plain form of attention gives a graph without guards against rows that are masked whole: a tenth faster
    model.set_attn_implementation("eager")
    free = {0: torch.export.Dim.DYNAMIC, 1: torch.export.Dim.DYNAMIC}
    try:
        with torch.no_grad(), _silence():
            torch.onnx.export(
                wrapper, tuple(example.values()), path, input_names=inputs, output_names=["logits"], dynamo=True,
                external_data=False, dynamic_shapes=(tuple(free for _ in inputs),), verbose=False,
            )  # fmt: skip
    except Exception as error:  # the exporter's errors have no class in common
        path.unlink(missing_ok=True)
        reason = first_line(error)
        raise ModelError(f"{family}: torch cannot export this family to ONNX ({reason}); use --target hf") from error
    finally:
        model.set_attn_implementation(attention)
    difference = compare_graph(model, path)
    if not difference <= TOLERANCE:
        path.unlink()
        raise ModelError(
            f"{family}: the ONNX graph's logits differ from the model's by up to {difference:.1e}, more than rounding "
            f"({TOLERANCE:.0e}); an inexact graph is not written, use --target hf"
        )
    return difference


def compare_graph(model: Any, path: Path) -> float:
    """Largest difference in logits between a graph and its model over made-up batches; NaN is none that is small."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    inputs = [node.name for node in session.get_inputs()]
    worst = 0.0
    for side in ("right", "left"):
        for rows, tokens in _SHAPES:
            batch = _batch(model.config, inputs, rows, tokens, side)
            with torch.inference_mode():
                expected = model(**batch).logits.numpy()
            (found,) = session.run(["logits"], {name: value.numpy() for name, value in batch.items()})
            difference = float(np.abs(found - expected).max()) if found.shape == expected.shape else float("nan")
            worst = max(worst, difference) if difference == difference else float("inf")
    return worst


def _batch(config: Any, inputs: list[str], rows: int, tokens: int, side: str) -> dict[str, Tensor]:
    """Made-up token ids, the rows after the first shorter and padded on ``side``."""
    generator = torch.Generator().manual_seed(rows * 1000 + tokens)
    padding = int(config.pad_token_id)
    ids = torch.randint(0, config.vocab_size, (rows, tokens), generator=generator)
    ids[ids == padding] = (padding + 1) % config.vocab_size
    mask = torch.ones_like(ids)
    for row in range(1, rows):
        cut = int(torch.randint(0, tokens, (1,), generator=generator))
        if cut:
            mask[row, -cut:] = 0
    types = (torch.arange(tokens) >= tokens // 2).long().expand(rows, tokens) * mask
    if side == "left":
        mask, types = mask.flip(1), types.flip(1)
    ids = torch.where(mask == 1, ids, torch.full_like(ids, padding))
    values = {"input_ids": ids, "attention_mask": mask, "token_type_ids": types.contiguous()}
    return {name: values[name] for name in inputs}


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """The exporter prints and warns about packages that it does not need."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
