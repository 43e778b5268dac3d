"""Smoothing moves outliers of activations into weights: the same logits, channels of one size, better in eight bits."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import numpy_helper
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from distill.export.folder import ExportRequest, export_model
from distill.export.pairs import BUILT_IN
from distill.export.quantised import SCHEMES, read_graph, write_int8
from distill.export.smoothing import channel_peaks, smooth
from distill.export.source import open_source
from distill.serving.onnx_folder import read_onnx_folder
from distill.serving.onnx_reranker import OnnxReranker

IN_TOKENS = next(iter(SCHEMES))
OUTLIERS = 300


@pytest.fixture(scope="module")
def outlying(student, tmp_path_factory) -> Path:
    """The decoder with a channel of its norm, and one of its inner layer, far larger than the rest, to no effect."""
    model = AutoModelForSequenceClassification.from_pretrained(student("decoder"))
    layer = model.model.layers[0]
    with torch.no_grad():
        # the exporter writes equal weights once, and what is shared cannot be scaled
        for norm in (layer.input_layernorm, layer.post_attention_layernorm, model.model.norm):
            norm.weight.uniform_(0.5, 1.5)
        layer.post_attention_layernorm.weight[3] *= OUTLIERS
        for product in (layer.mlp.gate_proj, layer.mlp.up_proj):
            product.weight[:, 3] /= OUTLIERS
        layer.mlp.up_proj.weight[5] *= OUTLIERS
        layer.mlp.down_proj.weight[:, 5] /= OUTLIERS
    folder = tmp_path_factory.mktemp("outlying")
    model.save_pretrained(folder / "model")
    AutoTokenizer.from_pretrained(student("decoder")).save_pretrained(folder / "model")
    source = open_source(str(folder / "model"), activation="logit")
    export_model(source, ExportRequest("onnx", folder / "onnx", BUILT_IN))
    return folder / "onnx"


def scores(folder: Path, graph: Path) -> np.ndarray:
    reranker = OnnxReranker(read_onnx_folder(folder), onnxruntime.InferenceSession(str(graph)))
    return np.array([row[0] for row in reranker.score_many([(query, [document]) for query, document in BUILT_IN])])


def weights(graph: onnx.ModelProto) -> dict[str, np.ndarray]:
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.graph.initializer}


def test_a_smoothed_graph_computes_what_it_did_and_its_channels_are_as_hard_as_its_weights(outlying, tmp_path):
    file = outlying / "onnx" / "model.onnx"
    graph = read_graph(file)
    peaks = channel_peaks(outlying, graph, BUILT_IN)
    # the inputs of the attention's, of the inner layer's and of the last products
    assert sorted(len(peak) for peak in peaks.values()) == [32, 32, 32, 64]
    before, was = scores(outlying, file), weights(graph)
    smooth(graph, peaks)
    onnx.save(graph, tmp_path / "smooth.onnx")
    assert np.abs(scores(outlying, tmp_path / "smooth.onnx") - before).max() < 1e-4

    now, after = weights(graph), channel_peaks(outlying, graph, BUILT_IN)
    for tensor, peak in after.items():
        behind = [node.input[1] for node in graph.graph.node if node.op_type == "MatMul" and node.input[0] == tensor]
        assert any(not np.array_equal(now[name], was[name]) for name in behind)
        if len(behind) == 2:
            continue  # gate and up: what comes out of up is scaled once more, for the product down
        heaviest = np.max([np.abs(now[name]).max(1) for name in behind], axis=0)
        # SmoothQuant's equation 4 with alpha .8: a channel's factor is peak^.8 / weight^.2, so that behind it
        # peak^.8 / weight^.2 is the same for all
        evened = peak**0.8 / heaviest**0.2
        assert evened.max() / evened.min() == pytest.approx(1, abs=1e-3)
    tensor = max(peaks, key=lambda name: peaks[name].max() / np.median(peaks[name]))
    assert peaks[tensor].max() / np.median(peaks[tensor]) > 100 > 10 > after[tensor].max() / np.median(after[tensor])


def test_eight_bits_hold_a_smoothed_graph_better(outlying, tmp_path):
    file = outlying / "onnx" / "model.onnx"
    fp32, peaks = scores(outlying, file), channel_peaks(outlying, read_graph(file), BUILT_IN)
    errors = []
    for name, known in (("plain", {tensor: np.ones_like(peak) for tensor, peak in peaks.items()}), ("smooth", peaks)):
        write_int8(file, tmp_path / f"{name}.onnx", IN_TOKENS, known)
        errors.append(np.abs(scores(outlying, tmp_path / f"{name}.onnx") - fp32).mean())
    plain, smoothed = errors
    assert smoothed < plain / 3


def test_a_graph_whose_norms_feed_more_than_products_is_left_alone(exported):
    folder = exported("encoder", "onnx")
    graph = read_graph(folder / "onnx" / "model.onnx")
    peaks, before = channel_peaks(folder, graph, BUILT_IN), graph.SerializeToString()
    assert peaks == {}
    smooth(graph, peaks)
    assert graph.SerializeToString() == before
