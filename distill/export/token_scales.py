"""Products in eight bits with a scale for each token, so that a score does not depend on the batch around it.

ONNX Runtime's own dynamic quantisation scales activations by the largest value in the batch: one token with an
outlier spoils the resolution of all others, and a pair scores differently beside other pairs. Here each token has a
scale of its own and each output of a product another.

Source: Yao et al., ZeroQuant, NeurIPS 2022 (arXiv 2206.01861), token-wise quantisation of activations.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_LEVELS = 127
# of unsigned eight bits, which x86 multiplies by signed weights; with VNNI it adds these without overflow
_MIDDLE = 128
_LEAST = 1e-12
_RUNTIME = "com.microsoft"


def scale_tokens(graph: Any) -> None:
    """Put integer products in the place of those with weights, in place; heads with a single output stay as they are.

    Args:
        graph: an fp32 `onnx.ModelProto` of opset 18 or later.
    """
    from onnx import helper, numpy_helper

    weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.graph.initializer}
    writer = _Writer()
    for node in graph.graph.node:
        weight = weights.get(node.input[1]) if node.op_type == "MatMul" else None
        if weight is None or weight.ndim != 2 or weight.shape[1] == 1:
            writer.nodes.append(node)
        else:
            writer.product(node, weight)
    if all(opset.domain != _RUNTIME for opset in graph.opset_import):
        graph.opset_import.append(helper.make_opsetid(_RUNTIME, 1))
    read = {name for node in writer.nodes for name in node.input}
    kept = [tensor for tensor in graph.graph.initializer if tensor.name in read]
    for field, content in (("node", writer.nodes), ("initializer", [*kept, *writer.tensors()])):
        graph.graph.ClearField(field)
        getattr(graph.graph, field).extend(content)


class _Writer:
    """Nodes and constants of the new graph, in order; what several products read is written once."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self._constants: dict[str, NDArray[Any]] = {
            "token_axis": np.array([-1], np.int64),
            "token_least": np.array([_LEAST], np.float32),
            "token_levels": np.array([_LEVELS], np.float32),
            "token_step": np.array(1, np.float32),
            "token_middle": np.array(_MIDDLE, np.uint8),
        }
        self._quantised: set[str] = set()

    def tensors(self) -> list[Any]:
        from onnx import numpy_helper

        return [numpy_helper.from_array(values, name) for name, values in self._constants.items()]

    def product(self, node: Any, weight: NDArray[np.float32]) -> None:
        """``node``, a MatMul of tokens and a weight (inputs, outputs), in eight bits."""
        tokens, name, (out,) = node.input[0], node.input[1], node.output
        if tokens not in self._quantised:
            self._quantise(tokens)
        if f"{name}_int8" not in self._constants:
            scale = np.maximum(np.abs(weight).max(0), _LEAST) / _LEVELS
            self._constants[f"{name}_int8"] = np.rint(weight / scale).astype(np.int8)
            self._constants[f"{name}_scale"] = (scale / _LEVELS).astype(np.float32)
        factors = [f"{tokens}_uint8", f"{name}_int8", "token_step", f"{name}_scale", "token_middle"]
        # ONNX Runtime's own; the three standard operations that it stands for take 15 % more of the graph's time
        self._add("MatMulIntegerToFloat", factors, f"{out}_scaled", domain=_RUNTIME)
        self._add("Mul", [f"{out}_scaled", f"{tokens}_peak"], out)

    def _quantise(self, tokens: str) -> None:
        """Each token by its own largest value to 1 ... 255 around the middle."""
        self._quantised.add(tokens)
        self._add("Abs", [tokens], f"{tokens}_size")
        self._add("ReduceMax", [f"{tokens}_size", "token_axis"], f"{tokens}_largest", keepdims=1)
        self._add("Max", [f"{tokens}_largest", "token_least"], f"{tokens}_peak")
        self._add("Div", ["token_levels", f"{tokens}_peak"], f"{tokens}_factor")
        self._add("Mul", [tokens, f"{tokens}_factor"], f"{tokens}_steps")
        self._add("QuantizeLinear", [f"{tokens}_steps", "token_step", "token_middle"], f"{tokens}_uint8")

    def _add(self, operation: str, inputs: list[str], output: str, **attributes: Any) -> None:
        from onnx import helper

        self.nodes.append(helper.make_node(operation, inputs, [output], **attributes))
