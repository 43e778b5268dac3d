"""An ONNX graph in eight-bit weights, by onnxruntime; how much it changes rankings is for the gate to say."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from distill.errors import ModelError, first_line
from distill.export.smoothing import Peaks, smooth
from distill.export.token_scales import scale_tokens

_BLOCK = 32

Write = Callable[[Any, Path, Peaks], None]


def write_int8(graph: Path, path: Path, scheme: str, peaks: Peaks) -> None:
    """Quantise ``graph`` by one of `SCHEMES` and write it to ``path``, one file.

    Args:
        graph: an fp32 graph.
        path: of the file.
        scheme: how.
        peaks: of the graph's activations, from `distill.export.smoothing.channel_peaks`.

    Raises:
        ModelError: onnxruntime cannot quantise it.
    """
    model = read_graph(graph)
    try:
        with _silence():
            SCHEMES[scheme](model, path, peaks)
    except Exception as error:  # its errors have no class in common
        path.unlink(missing_ok=True)
        reason = first_line(error)
        raise ModelError(f"{graph}: onnxruntime cannot quantise this graph ({reason}); use --target onnx") from error


def read_graph(path: Path) -> Any:
    """The graph as an `onnx.ModelProto`, without notes of inner shapes."""
    import onnx

    model = onnx.load(path)
    # shapes that the exporter noted contradict what the quantiser puts in: BERT's graphs would be refused
    del model.graph.value_info[:]
    return model


def _tokens(model: Any, path: Path, peaks: Peaks) -> None:
    """A scale a token holds the outliers of single tokens; those of single channels go into the weights before."""
    smooth(model, peaks)
    scale_tokens(model)
    _embeddings(model, path)


def _blocks(model: Any, path: Path, peaks: Peaks) -> None:
    """Weights and activations in blocks of 32 with a scale each, which outliers cannot spoil; the embeddings a row."""
    from onnxruntime.quantization.matmul_nbits_quantizer import DefaultWeightOnlyQuantConfig, MatMulNBitsQuantizer

    settings = {"block_size": _BLOCK, "is_symmetric": True, "accuracy_level": 4}
    config = DefaultWeightOnlyQuantConfig(bits=8, **settings)
    quantiser = MatMulNBitsQuantizer(model, bits=8, algo_config=config, **settings)
    quantiser.process()
    _embeddings(quantiser.model.model, path)


def _embeddings(model: Any, path: Path) -> None:
    """Quantise a scale an embedding and write the graph: 22 MB instead of 56 for a MiniLM at the same agreement."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    quantize_dynamic(model, path, op_types_to_quantize=["Gather"], per_channel=True, weight_type=QuantType.QInt8)


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """The quantisers advise and report on the root logger."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


_IN_BLOCKS = "blocks of 32"
NOT_FASTER = {
    _IN_BLOCKS: "blocks of 32 are smaller than fp32 but not faster: on a Xeon with VNNI they took 1.2 times its time"
}
"""What is told of schemes that save memory and no time."""

SCHEMES: dict[str, Write] = {"a scale a token": _tokens, _IN_BLOCKS: _blocks}
"""Ways to quantise, the fastest first; the first that passes the gate is taken."""
