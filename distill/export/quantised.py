"""An ONNX graph in eight-bit weights, by onnxruntime; how much it changes rankings is for the gate to say."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from distill.errors import ModelError
from distill.export.smoothing import Peaks, smooth

_OPERATIONS = ["MatMul", "Gemm", "Gather"]
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
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ModelError(f"{graph}: onnxruntime cannot quantise this graph ({reason}); use --target onnx") from error


def read_graph(path: Path) -> Any:
    """The graph as an `onnx.ModelProto`, without notes of inner shapes."""
    import onnx

    model = onnx.load(path)
    # shapes that the exporter noted contradict what the quantiser puts in: BERT's graphs would be refused
    del model.graph.value_info[:]
    return model


def _channels(model: Any, path: Path, peaks: Peaks) -> None:
    _dynamic(model, path, _OPERATIONS)


def _smoothed_channels(model: Any, path: Path, peaks: Peaks) -> None:
    """Outliers of single channels go into the weights; those of single tokens cannot.

    These are read by the projections back from a block's wide inner layer, which stay in fp32.
    """
    smooth(model, peaks)
    shapes = {tensor.name: list(tensor.dims) for tensor in model.graph.initializer}
    weights = {node.name: shapes.get(node.input[1]) for node in model.graph.node if node.op_type == "MatMul"}
    down = [name for name, shape in weights.items() if shape and shape[0] > shape[1]]
    _dynamic(model, path, _OPERATIONS, down)


def _blocks(model: Any, path: Path, peaks: Peaks) -> None:
    """Weights and activations in blocks of 32 with a scale each, which outliers cannot spoil; the embeddings a row."""
    import onnx
    from onnxruntime.quantization.matmul_nbits_quantizer import DefaultWeightOnlyQuantConfig, MatMulNBitsQuantizer

    settings = {"block_size": _BLOCK, "is_symmetric": True, "accuracy_level": 4}
    config = DefaultWeightOnlyQuantConfig(bits=8, **settings)
    quantiser = MatMulNBitsQuantizer(model, bits=8, algo_config=config, **settings)
    quantiser.process()
    products = path.with_suffix(".products.onnx")
    onnx.save(quantiser.model.model, products)
    _dynamic(onnx.load(products), path, ["Gather"])
    products.unlink()


def _dynamic(model: Any, path: Path, operations: list[str], excluded: list[str] | None = None) -> None:
    """A scale for each output, not one a matrix: tau-b with fp32 .91 instead of .84, at four fifths of the speed.

    With Gather the embeddings too: 22 MB instead of 56 for a MiniLM at the same agreement. All eight bits, as
    processors with VNNI add them without overflow.
    """
    from onnxruntime.quantization import QuantType, quantize_dynamic

    quantize_dynamic(
        model, path, op_types_to_quantize=operations, nodes_to_exclude=excluded or [], per_channel=True,
        weight_type=QuantType.QInt8,
    )  # fmt: skip


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

SCHEMES: dict[str, Write] = {
    "a scale a channel": _channels,
    "smoothed, a scale a channel, projections down in fp32": _smoothed_channels,
    _IN_BLOCKS: _blocks,
}
"""Ways to quantise, the fastest first; the first that passes the gate is taken. On a Xeon with VNNI they take
.48, .6 and 1.2 times the fp32 graph's time. By the first the quickstart's encoder has a tau-b of .91; its decoder has
.42, .93 and .94 by the three."""
