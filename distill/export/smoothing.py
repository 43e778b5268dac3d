"""Moves outliers of a graph's activations into its weights, so that one scale in eight bits can hold both.

Source: Xiao et al., SmoothQuant: Accurate and Efficient Post-Training Quantization for Large Language Models, ICML 2023
(arXiv 2211.10438). Here it works on the ONNX graph, whatever the model's family: where the input of products is itself
a product, with a norm's weights or with another projection's output, a channel can be made smaller there and larger in
the weights behind, and the graph computes what it did.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from distill.serving.onnx_folder import read_onnx_folder
from distill.serving.onnx_reranker import OnnxReranker

Peaks = Mapping[str, NDArray[np.float32]]
"""Largest absolute value of each channel of a tensor of the graph, by the tensor's name."""

# How much of the difficulty goes from activations to weights. The quickstart's decoder on 20 lists, projections down in
# fp32: tau-b with the fp32 graph .877 without, .903 with .5, .927 with .8
_ALPHA = 0.8
_LEAST = 1e-5


@dataclass(frozen=True)
class _Place:
    """Where channels can be scaled.

    Args:
        tensor: the products' input.
        before: initializer whose last axis are the channels, which feeds nothing else.
        behind: weights of the products that read ``tensor``, channels first.
    """

    tensor: str
    before: str
    behind: list[str]


def channel_peaks(folder: Path, graph: Any, pairs: Sequence[tuple[str, str]]) -> Peaks:
    """Run the graph over real pairs and note each channel's largest value where it could be smoothed.

    Args:
        folder: has the tokenizer and the configuration of ``graph``.
        graph: an `onnx.ModelProto` of a re-ranker.
        pairs: queries and documents.
    """
    from onnx import ModelProto, helper

    tensors = [place.tensor for place in _places(graph)]
    if not tensors:
        return {}
    probe = ModelProto()
    probe.CopyFrom(graph)
    probe.graph.output.extend(helper.make_empty_tensor_value_info(tensor) for tensor in tensors)
    session: Any = _NotingSession(probe, tensors)
    OnnxReranker(read_onnx_folder(folder), session).score_many([(query, [document]) for query, document in pairs])
    return session.peaks


class _NotingSession:
    """Runs a graph as a session does and notes the peaks of inner tensors on the way."""

    def __init__(self, probe: Any, tensors: Sequence[str]) -> None:
        self._session = onnxruntime.InferenceSession(probe.SerializeToString(), providers=["CPUExecutionProvider"])
        self._tensors = list(tensors)
        self.get_inputs = self._session.get_inputs
        self.peaks: dict[str, NDArray[np.float32]] = {}

    def run(self, outputs: Sequence[str], features: Mapping[str, NDArray[np.int64]]) -> list[Any]:
        """The asked outputs; padding has no part in the peaks."""
        found = self._session.run([*outputs, *self._tensors], dict(features))
        read = features["attention_mask"].astype(bool)
        for tensor, values in zip(self._tensors, found[len(outputs) :], strict=True):
            peak = np.abs(values[read]).max(0)
            self.peaks[tensor] = np.maximum(self.peaks.get(tensor, peak), peak)
        return found[: len(outputs)]


def smooth(graph: Any, peaks: Peaks) -> None:
    """Scale channels of ``graph``, an `onnx.ModelProto`, in place; what it computes stays but for rounding."""
    from onnx import numpy_helper

    tensors = {tensor.name: tensor for tensor in graph.graph.initializer}

    def scale(name: str, factors: NDArray[np.float32]) -> None:
        values = numpy_helper.to_array(tensors[name]) * factors
        tensors[name].CopyFrom(numpy_helper.from_array(values.astype(np.float32), name))

    for place in _places(graph):
        weights = [np.abs(numpy_helper.to_array(tensors[name])).max(1) for name in place.behind]
        heaviest = np.maximum(np.max(weights, axis=0), _LEAST)
        factors = np.maximum(peaks[place.tensor], _LEAST) ** _ALPHA / heaviest ** (1 - _ALPHA)
        # around one, so that neither side leaves the range that it had
        factors /= np.exp(np.log(factors).mean())
        scale(place.before, 1 / factors)
        for name in place.behind:
            scale(name, factors[:, None])


def _places(graph: Any) -> list[_Place]:
    """Every place of the graph, in the order of its nodes."""
    produced = {output: node for node in graph.graph.node for output in node.output}
    readers: dict[str, list[Any]] = {}
    for node in graph.graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    shapes = {tensor.name: list(tensor.dims) for tensor in graph.graph.initializer}

    def weights_of(node: Any) -> str | None:
        """The weights of a product that has them for itself."""
        if node.op_type != "MatMul":
            return None
        name = str(node.input[1])
        return name if len(shapes.get(name, [])) == 2 and len(readers[name]) == 1 else None

    def source(factor: str, channels: int) -> str | None:
        """The initializer that a factor of a product takes its channels from, and nothing else does."""
        if len(readers[factor]) != 1:
            return None
        name = weights_of(produced[factor]) if factor in produced else factor
        return name if name is not None and shapes.get(name, [0])[-1] == channels else None

    places = []
    for tensor, node in produced.items():
        behind = [weights_of(reader) if reader.input[0] == tensor else None for reader in readers.get(tensor, [])]
        if node.op_type != "Mul" or not behind or None in behind:
            continue
        channels = shapes[str(behind[0])][0]
        before = next((name for factor in node.input if (name := source(factor, channels))), None)
        if before is not None:
            places.append(_Place(tensor, before, [str(name) for name in behind]))
    return places
