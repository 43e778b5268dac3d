"""Every rule: a good folder broken in exactly its way fails it, and no other."""

from __future__ import annotations

import json
import shutil

import onnx
import pytest
from onnx import TensorProto
from safetensors.numpy import load_file, save_file

from distill.export.check import check_folder, examine
from distill.export.config_rules import CONFIG_RULES
from distill.export.file_rules import FILE_RULES
from distill.export.graph_rules import GRAPH_RULES
from distill.export.model_folder import SIGMOID, read_model_folder
from tests.distill.export.conftest import change

INDEX = "model.safetensors.index.json"


def failing(folder, state="fail"):
    return {finding.rule for finding in examine(read_model_folder(folder)) if finding.state == state}


def config(**entries):
    return lambda folder: change(folder / "config.json", **entries)


def without(*keys):
    return lambda folder: change(folder / "config.json", *keys)


def tokenizer_config(**entries):
    return lambda folder: change(folder / "tokenizer_config.json", **entries)


def write(name, text):
    return lambda folder: (folder / name).write_text(text)


def rename_tensors(old, new):
    def rename(folder):
        tensors = load_file(folder / "model.safetensors")
        save_file({name.replace(old, new): tensor for name, tensor in tensors.items()}, folder / "model.safetensors")

    return rename


def head_without_a_shape(folder):
    tensors = load_file(folder / "model.safetensors")
    tensors["classifier.weight"] = tensors["classifier.bias"].reshape(())
    save_file(tensors, folder / "model.safetensors")


def sigmoid(folder):
    change(folder / "config.json", sentence_transformers={"activation_fn": SIGMOID, "version": "4.1.0"})
    change(folder / "export.json", activation=SIGMOID)


def joined_pair(folder):
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    tokenizer["post_processor"] = None
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))


def two_modules(folder):
    (folder / "modules.json").write_text(json.dumps([{"idx": 0}, {"idx": 1}]))


def modules_without_length(folder):
    (folder / "modules.json").write_text(json.dumps([{"idx": 0, "type": "Transformer"}]))
    (folder / "sentence_bert_config.json").write_text("{}")


def modules_with_a_length_that_is_none(folder):
    modules_without_length(folder)
    (folder / "sentence_bert_config.json").write_text("3")


def edited_graph(edit):
    def change_graph(folder):
        model = onnx.load(folder / "onnx" / "model.onnx")
        edit(model.graph)
        onnx.save(model, folder / "onnx" / "model.onnx")

    return change_graph


def int32_input(graph):
    graph.input[0].type.tensor_type.elem_type = TensorProto.INT32


def fixed_length(graph):
    graph.input[0].type.tensor_type.shape.dim[1].dim_value = 128


def no_token_types(graph):
    del graph.input[2]


def other_output(graph):
    graph.output[0].name = "output_0"


def two_outputs_wide(graph):
    graph.output[0].type.tensor_type.shape.dim[1].dim_value = 2


def weights_apart(graph):
    tensor = graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "model.onnx.data"


def huge_graph(folder):
    with (folder / "onnx" / "model.onnx").open("r+b") as file:
        file.truncate(2 * 1024**3)  # a sparse file: it takes no room


def failed_gate(folder):
    facts = json.loads((folder / "export.json").read_text())
    change(folder / "export.json", gate={**facts["gate"], "passed": False, "failures": ["Kendall tau-b 0.4"]})


BREAKS = [
    ("architecture", "encoder", "hf", config(architectures=["BertModel"])),
    ("architecture", "encoder", "hf", config(architectures=None)),
    ("one-label", "encoder", "hf", without("id2label")),
    ("label-names", "encoder", "hf", config(label2id={"LABEL_1": 1})),
    ("pad-token-id", "encoder", "hf", without("pad_token_id")),
    ("pad-token-id", "decoder", "hf", config(pad_token_id=[0])),
    ("pad-token", "encoder", "hf", config(pad_token_id=3)),
    ("pad-token", "decoder", "hf", tokenizer_config(pad_token=None)),
    ("positions", "decoder", "hf", without("max_position_embeddings")),
    ("problem-type", "encoder", "hf", config(problem_type="regression")),
    ("activation", "encoder", "hf", without("sentence_transformers")),
    ("activation", "encoder", "hf", config(sentence_transformers={"activation_fn": "mine.Tanh"})),
    ("activation", "encoder", "hf", config(sentence_transformers={"activation_fn": ["mine.Tanh"]})),
    (
        "old-activation",
        "encoder",
        "hf",
        config(sbert_ce_default_activation_function="torch.nn.modules.linear.Identity"),
    ),
    ("max-length", "encoder", "hf", tokenizer_config(model_max_length=512)),
    ("max-length", "encoder", "hf", lambda folder: change(folder / "tokenizer_config.json", "model_max_length")),
    ("rope-theta", "decoder", "hf", config(rope_theta=10000.0)),
    ("rope-theta", "decoder", "hf", without("rope_theta")),
    ("custom-code", "encoder", "hf", config(auto_map={"AutoModel": "mine.Model"})),
    ("custom-code", "encoder", "hf", write("modeling_mine.py", "print()")),
    ("weights", "encoder", "hf", lambda folder: (folder / "model.safetensors").unlink()),
    ("weights", "encoder", "hf", write(INDEX, "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\n")),
    ("weights", "encoder", "hf", write(INDEX, "[]")),
    ("weights", "encoder", "hf", write(INDEX, '{"weight_map": ["model.safetensors"]}')),
    ("weights", "encoder", "hf", write(INDEX, '{"weight_map": {"score.weight": ["model.safetensors"]}}')),
    ("weights", "encoder", "hf", write(INDEX, '{"weight_map": {"score.weight": "model-1-of-2.safetensors"}}')),
    ("no-pickles", "encoder", "hf", write("pytorch_model.bin", "")),
    ("weight-names", "decoder", "hf", rename_tensors("score.weight", "classifier.weight")),
    ("weight-names", "encoder", "hf", rename_tensors("classifier.", "modules_to_save.classifier.")),
    ("weight-names", "encoder", "hf", head_without_a_shape),
    ("no-adapter", "decoder", "hf", write("adapter_config.json", "{}")),
    ("tokenizer-class", "decoder", "hf", tokenizer_config(tokenizer_class="TokenizersBackend")),
    ("tokenizer-class", "decoder", "hf", tokenizer_config(extra_special_tokens=[])),
    ("pair-separators", "decoder", "hf", joined_pair),
    ("pair-separators", "encoder", "hf", joined_pair),
    ("chat-template", "decoder", "hf", write("chat_template.jinja", "{{ messages }}")),
    ("chat-template", "decoder", "hf", tokenizer_config(chat_template="{{ messages }}")),
    ("modules", "encoder", "hf", two_modules),
    ("modules", "encoder", "hf", modules_without_length),
    ("modules", "encoder", "hf", modules_with_a_length_that_is_none),
    ("model-card", "encoder", "hf", write("README.md", "# no head")),
    ("model-card", "encoder", "hf", write("README.md", "---\npipeline_tag: [\n---\n")),
    ("model-card", "encoder", "hf", lambda folder: (folder / "README.md").unlink()),
    ("parity-file", "encoder", "hf", lambda folder: (folder / "parity.json").unlink()),
    ("parity-file", "encoder", "hf", write("parity.json", '[{"query": "q", "document": "d", "score": NaN}]')),
    ("export-file", "encoder", "hf", lambda folder: change(folder / "export.json", max_tokens=8)),
    ("export-file", "encoder", "hf", lambda folder: (folder / "export.json").unlink()),
    ("graph-file", "encoder", "onnx", lambda folder: shutil.rmtree(folder / "onnx")),
    ("graph-file", "encoder", "onnx", write("onnx/model_quantized.onnx", "")),
    ("graph-file", "encoder", "onnx", write("onnx/model.onnx.data", "")),
    ("graph-readable", "encoder", "onnx", write("onnx/model.onnx", "no graph")),
    ("graph-readable", "encoder", "onnx", edited_graph(weights_apart)),
    ("graph-inputs", "encoder", "onnx", edited_graph(int32_input)),
    ("graph-inputs", "encoder", "onnx", edited_graph(fixed_length)),
    ("graph-inputs", "encoder", "onnx", edited_graph(no_token_types)),
    ("graph-output", "encoder", "onnx", edited_graph(other_output)),
    ("graph-output", "encoder", "onnx", edited_graph(two_outputs_wide)),
    ("gate", "encoder", "onnx-int8", failed_gate),
]
# a folder without its tokenizer breaks no other rule of ours, but these two say nothing of it
MORE = [("fast-tokenizer", "encoder", "hf", lambda folder: (folder / "tokenizer.json").unlink())]


@pytest.mark.parametrize(("rule", "kind", "target", "damage"), [*BREAKS, *MORE], ids=lambda value: str(value)[:20])
def test_a_folder_broken_in_one_way_fails_that_rule_and_no_other(rule, kind, target, damage, copied):
    folder = copied(kind, target)
    damage(folder)
    assert failing(folder) == {rule}


def test_every_rule_is_broken_once(copied):
    tried = {rule for rule, *_ in [*BREAKS, *MORE]}
    rules = [rule.name for rule in (*CONFIG_RULES, *FILE_RULES, *GRAPH_RULES)]
    assert len(rules) == len(set(rules))
    # the first only warns; the others have tests of their own below
    assert set(rules) - tried == {"sigmoid-ties", "graph-size", "graph-kind"}


def test_a_sigmoid_is_warned_of_and_nothing_else(copied):
    folder = copied()
    sigmoid(folder)
    assert failing(folder) == set()
    assert failing(folder, "warn") == {"sigmoid-ties"}


def test_an_int8_graph_that_nobody_judged_is_warned_of(copied):
    folder = copied("encoder", "onnx-int8")
    change(folder / "export.json", gate=None)
    assert failing(folder) == set()
    assert failing(folder, "warn") == {"gate"}


def test_a_graph_of_two_gib_fails_its_size(copied):
    folder = copied("encoder", "onnx")
    huge_graph(folder)
    assert "graph-size" in {rule.name for rule in GRAPH_RULES if rule.name == "graph-size" and rule.check(
        read_model_folder(folder)) is not None}  # fmt: skip


@pytest.mark.parametrize(("target", "name"), [("onnx-int8", "onnx/model.onnx"), ("hf", "model.safetensors")])
def test_what_is_no_file_is_missing_and_no_server_is_promised(copied, target, name):
    folder = copied("encoder", target)
    (folder / name).unlink()
    (folder / name).mkdir()
    report = check_folder(folder)
    assert not report.passed
    assert {verdict.reason for verdict in report.servers if "it reads --target" not in (verdict.reason or "")} == {
        f"no {name} in it"
    }


def test_a_folder_has_one_answer(exported, copied):
    """An int8 graph under an fp32 name, and weights beside an int8 graph."""
    folder = copied("encoder", "onnx")
    shutil.copy(exported("encoder", "onnx-int8") / "onnx" / "model.onnx", folder / "onnx" / "model.onnx")
    assert failing(folder) == {"graph-kind"}
    folder = copied("encoder", "onnx-int8")
    shutil.copy(exported() / "model.safetensors", folder)
    assert failing(folder) == {"weights"}
