"""The ONNX graph beside the model: every family, batches of one and many, padded on either side, any length."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
import torch
from transformers import AutoConfig, AutoModelForSequenceClassification

from distill.errors import ModelError
from distill.export import graph
from distill.export.graph import compare_graph, graph_inputs, write_graph

SMALL = {
    "vocab_size": 120, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64,
    "max_position_embeddings": 66, "num_labels": 1, "pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 3,
    "initializer_range": 0.3,
}  # fmt: skip
DECODER = {**SMALL, "num_key_value_heads": 2, "head_dim": 8, "initializer_range": 0.1}
TWO_KINDS = {"sliding_window": 8, "layer_types": ["sliding_attention", "full_attention"]}
DEBERTA_V3 = {
    "relative_attention": True, "position_buckets": 8, "norm_rel_ebd": "layer_norm", "share_att_key": True,
    "pos_att_type": ["p2c", "c2p"], "position_biased_input": False, "max_relative_positions": -1, "type_vocab_size": 0,
}  # fmt: skip
# by family: its model type and what is its own
FAMILIES = {
    "BERT": ("bert", SMALL),
    "RoBERTa": ("roberta", {**SMALL, "pad_token_id": 1, "type_vocab_size": 1}),
    "XLM-R": ("xlm-roberta", {**SMALL, "pad_token_id": 1, "type_vocab_size": 1}),
    "DeBERTa-v2": ("deberta-v2", {**SMALL, "type_vocab_size": 2}),
    "DeBERTa-v3": ("deberta-v2", {**SMALL, **DEBERTA_V3}),
    "ModernBERT": ("modernbert", {**SMALL, "global_attn_every_n_layers": 2, "local_attention": 8, "cls_token_id": 2,
                                  "sep_token_id": 3}),
    "DistilBERT": ("distilbert", {"vocab_size": 120, "dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 64,
                                  "max_position_embeddings": 66, "num_labels": 1, "pad_token_id": 0,
                                  "initializer_range": 0.3}),
    "ELECTRA": ("electra", {**SMALL, "embedding_size": 16}),
    "MPNet": ("mpnet", {**SMALL, "pad_token_id": 1}),
    "ALBERT": ("albert", {**SMALL, "embedding_size": 16}),
    "Llama": ("llama", DECODER),
    "Qwen2": ("qwen2", DECODER),
    "Qwen3": ("qwen3", DECODER),
    "Mistral": ("mistral", {**DECODER, "sliding_window": 8}),
    "Gemma": ("gemma", DECODER),
    "Gemma 2": ("gemma2", {**DECODER, **TWO_KINDS}),
    "Gemma 3": ("gemma3_text", {**DECODER, **TWO_KINDS}),
}  # fmt: skip
# an export takes 7 to 15 seconds of a core, so the rest is tried where there is time
QUICK = ["RoBERTa", "Mistral"]
SLOW = [
    pytest.mark.slow,
    pytest.mark.skipif("'slow' not in config.getoption('-m')", reason="a quarter of a minute each; run with -m slow"),
]
SHAPES = [(1, 1), (1, 2), (1, 64), (2, 9), (7, 63), (33, 17)]


def model_of(family):
    torch.manual_seed(0)
    model_type, settings = FAMILIES[family]
    if family in QUICK:
        settings = {**settings, "num_hidden_layers": 1}
    return AutoModelForSequenceClassification.from_config(AutoConfig.for_model(model_type, **settings)).eval()


def padded(side, rows, tokens, padding):
    """Ids from 5 on, so that no text holds the padding id; the first row is whole, the others of any length."""
    ids = torch.randint(5, 120, (rows, tokens))
    mask = torch.ones_like(ids)
    for row in range(1, rows):
        length = int(torch.randint(1, tokens + 1, (1,)))
        if side == "right":
            mask[row, length:] = 0
        else:
            mask[row, : tokens - length] = 0
    ids[mask == 0] = padding
    types = torch.zeros_like(ids)
    types[:, tokens // 2 :] = 1
    return {"input_ids": ids, "attention_mask": mask, "token_type_ids": types}


@pytest.mark.parametrize("family", [name if name in QUICK else pytest.param(name, marks=SLOW) for name in FAMILIES])
def test_the_graph_of_each_family_scores_as_the_model_does(family, tmp_path):
    model = model_of(family)
    path = tmp_path / "model.onnx"
    assert write_graph(model, path) < 1e-4
    assert [entry.name for entry in tmp_path.iterdir()] == ["model.onnx"]  # one file
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [node.name for node in session.get_inputs()]
    assert ("token_type_ids" in names) == (getattr(model.config, "type_vocab_size", 0) > 1)
    scores = []
    for side in ("right", "left"):
        for rows, tokens in SHAPES:
            batch = padded(side, rows, tokens, model.config.pad_token_id)
            batch = {name: batch[name] for name in names}
            with torch.no_grad():
                expected = model(**batch).logits.numpy()
            (found,) = session.run(["logits"], {name: values.numpy() for name, values in batch.items()})
            assert found.shape == (rows, 1)
            np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)
            scores += expected[:, 0].tolist()
    assert np.std(scores) > 0.05  # scores all alike would prove nothing


def test_a_graph_of_another_model_is_seen(exported, student):
    path = exported("encoder", "onnx") / "onnx" / "model.onnx"
    model = AutoModelForSequenceClassification.from_pretrained(student("encoder")).eval()
    assert compare_graph(model, path) < 1e-5
    with torch.no_grad():
        model.classifier.bias += 0.01
    assert compare_graph(model, path) == pytest.approx(0.01, abs=1e-5)


def test_a_family_that_torch_cannot_export_is_refused_by_name(tmp_path):
    model = model_of("RoBERTa")

    def forward(input_ids, attention_mask):  # a way through the values: torch's exporter knows none
        if float(input_ids.float().mean()) > 3:
            return model.classifier(input_ids)
        return None

    model.forward = forward
    with pytest.raises(ModelError, match="roberta: torch cannot export this family to ONNX .*; use --target hf"):
        write_graph(model, tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


def test_a_graph_that_differs_is_not_left_behind(tmp_path, exported, student, monkeypatch):
    good = (exported("encoder", "onnx") / "onnx" / "model.onnx").read_bytes()
    model = AutoModelForSequenceClassification.from_pretrained(student("encoder")).eval()
    with torch.no_grad():
        model.classifier.bias += 1
    # the exporter of another model's graph: what an exporter with a fault would leave
    monkeypatch.setattr(torch.onnx, "export", lambda *_, **__: (tmp_path / "model.onnx").write_bytes(good))
    with pytest.raises(ModelError, match="bert: the ONNX graph's logits differ from the model's by up to 1.0e"):
        write_graph(model, tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


def test_two_gib_of_weights_are_refused_before_any_work(tmp_path, monkeypatch):
    monkeypatch.setattr(graph, "GRAPH_LIMIT", 1000)
    with pytest.raises(ModelError, match="one ONNX file holds less than 2"):
        write_graph(model_of("RoBERTa"), tmp_path / "model.onnx")


def test_inputs_follow_the_configuration():
    assert graph_inputs({"type_vocab_size": 2}) == ["input_ids", "attention_mask", "token_type_ids"]
    assert graph_inputs({"type_vocab_size": 1}) == graph_inputs({}) == ["input_ids", "attention_mask"]
