"""A scale a token: numbers worked by NumPy, and scores that no other pair of a batch can change."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from distill.export.pairs import BUILT_IN
from distill.export.quantised import SCHEMES, read_graph, write_int8
from distill.export.smoothing import channel_peaks
from distill.export.token_scales import scale_tokens
from distill.serving.onnx_folder import read_onnx_folder
from distill.serving.onnx_reranker import OnnxReranker

TOKENS = np.array([[[0.5, -1.0, 0.25], [300.0, 20.0, -40.0], [0.0, 0.0, 0.0]]], np.float32)
WEIGHTS = np.array([[1.0, -0.02], [0.5, 0.01], [-2.0, 0.005]], np.float32)
HEAD = np.array([[1.0], [2.0]], np.float32)


def produced(name: str, size: int) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", "length", size])


def graph_of_two_products() -> onnx.ModelProto:
    """Tokens times weights, times a head with a single output."""
    nodes = [
        helper.make_node("MatMul", ["tokens", "weights"], ["states"]),
        helper.make_node("MatMul", ["states", "head"], ["scores"]),
    ]
    graph = helper.make_graph(
        nodes, "products",
        [helper.make_tensor_value_info("tokens", TensorProto.FLOAT, ["batch", "length", 3])],
        [produced("states", 2), produced("scores", 1)],
        [numpy_helper.from_array(WEIGHTS, "weights"), numpy_helper.from_array(HEAD, "head")],
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)


def test_each_token_and_each_output_has_a_scale_of_its_own():
    model = graph_of_two_products()
    scale_tokens(model)
    onnx.checker.check_model(model)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    states, scores = session.run(["states", "scores"], {"tokens": TOKENS})

    peaks = np.abs(TOKENS).max(-1, keepdims=True)
    steps = np.rint(TOKENS * np.divide(127, peaks, out=np.zeros_like(peaks), where=peaks > 0))
    scale = np.abs(WEIGHTS).max(0) / 127
    assert steps[0, 0].tolist() == [64, -127, 32]  # by hand: 63.5 and 31.75, halves to the even
    np.testing.assert_allclose(states, steps @ np.rint(WEIGHTS / scale) * (peaks / 127) * scale, rtol=1e-5)
    # within half a step on either side, for the token beside the large one too
    exact = TOKENS @ WEIGHTS
    assert (np.abs(states - exact) <= 0.01 * (np.abs(TOKENS) @ np.abs(WEIGHTS) + 1e-9)).all()
    np.testing.assert_allclose(scores, states @ HEAD, rtol=1e-6)
    kinds = [node.op_type for node in model.graph.node]
    assert kinds.count("MatMulIntegerToFloat") == 1 and kinds.count("MatMul") == 1
    assert {tensor.name for tensor in model.graph.initializer}.isdisjoint({"weights"})


def test_products_that_read_the_same_tokens_quantise_them_once():
    model = graph_of_two_products()
    twin = helper.make_node("MatMul", ["tokens", "weights"], ["twin"])
    model.graph.node.insert(1, twin)
    model.graph.output.append(produced("twin", 2))
    scale_tokens(model)
    assert [node.op_type for node in model.graph.node].count("QuantizeLinear") == 1
    states, again = onnxruntime.InferenceSession(model.SerializeToString()).run(["states", "twin"], {"tokens": TOKENS})
    assert np.array_equal(states, again)


@pytest.mark.parametrize("kind", ["encoder", "decoder"])
def test_a_pair_scores_the_same_alone_and_beside_others(exported, tmp_path, kind):
    folder = exported(kind, "onnx")
    fp32 = folder / "onnx" / "model.onnx"
    scheme = next(iter(SCHEMES))
    write_int8(fp32, tmp_path / "int8.onnx", scheme, channel_peaks(folder, read_graph(fp32), BUILT_IN))
    session = onnxruntime.InferenceSession(str(tmp_path / "int8.onnx"))
    reranker = OnnxReranker(read_onnx_folder(folder), session)
    requests = [(query, [document]) for query, document in BUILT_IN]
    together = np.concatenate(reranker.score_many(requests))
    alone = np.concatenate([reranker.score_many([request])[0] for request in requests])
    np.testing.assert_allclose(alone, together, atol=1e-5)
    in_fp32 = np.concatenate(OnnxReranker.load(folder).score_many(requests))
    assert not np.allclose(together, in_fp32, atol=1e-5)
    assert np.corrcoef(together, in_fp32)[0, 1] > 0.99
