import json

import pytest
import torch
from datasets import Dataset
from safetensors import safe_open
from sentence_transformers import CrossEncoder
from transformers import AutoModelForSequenceClassification, AutoTokenizer, Gemma3Config

from students import StudentError
from students.decoder import TRAINER_DEFAULTS, DecoderSettings, _build, load_first_layers, train_decoder
from students.scoring import Reranker
from students.training import TrainingRequest, UntrainedStudent, train_student

FAMILIES = ["llama", "qwen2", "qwen3", "mistral", "gemma", "gemma2", "gemma3_text"]
QUERY, DOCUMENTS = "the w1", ["w1 w2", "w9 [SEP]", "w5 w6 w7 w8 w9 w10 w11"]
JOINT = {
    "precision": "fp32",
    "max_tokens": 60,
    "label_weight": 0.5,
    "reason_weight": 0.3,
    "trainer": {"max_steps": 2, "per_device_train_batch_size": 4, "learning_rate": 1e-2, "logging_steps": 1},
}


@pytest.mark.parametrize("family", FAMILIES)
def test_a_student_of_each_family_scores_alike_wherever_it_is_loaded(family, tiny_decoder, joint_lists, tmp_path):
    start, settings = tiny_decoder(family), DecoderSettings(**JOINT)
    trained: list[list[float]] = []

    def build() -> UntrainedStudent:
        student = _build(start, settings)
        cross_encoder = student.objective.model

        def finish():
            reranker = Reranker(cross_encoder.transformers_model, cross_encoder.tokenizer)
            trained.append(reranker.score_pairs(QUERY, DOCUMENTS))
            return student.finished_model()

        return UntrainedStudent(student.objective, finish)

    out = tmp_path / "student"
    report = train_student(TrainingRequest(start, joint_lists, [], settings, out, None), build, TRAINER_DEFAULTS)
    assert report.steps == 2
    for load in (with_transformers, with_cross_encoder):
        tokenizer, score = load(out)
        for tokenizer.padding_side in ("left", "right"):
            torch.testing.assert_close(score(), torch.tensor(trained[0]), rtol=0, atol=1e-5)
    a_server_finds_the_head(out)


def with_transformers(folder):
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()

    @torch.no_grad()
    def score() -> torch.Tensor:
        return model(**tokenizer([QUERY] * 3, DOCUMENTS, padding=True, return_tensors="pt")).logits[:, 0]

    return tokenizer, score


def with_cross_encoder(folder):
    model = CrossEncoder(str(folder), device="cpu")
    return model.tokenizer, lambda: torch.tensor(model.predict([(QUERY, document) for document in DOCUMENTS]))


def a_server_finds_the_head(folder) -> None:
    """What vLLM's loader needs: a classifier's architecture, one linear `score`, all else the backbone's."""
    config = json.loads((folder / "config.json").read_text())
    assert len(config["architectures"]) == 1 and config["architectures"][0].endswith("ForSequenceClassification")
    with safe_open(folder / "model.safetensors", "pt") as weights:
        shapes = {name: weights.get_slice(name).get_shape() for name in weights.keys()}  # noqa: SIM118
    assert [name for name in shapes if not name.startswith("model.")] == ["score.weight"]
    assert shapes["score.weight"] == [1, config["hidden_size"]]
    model = AutoModelForSequenceClassification.from_pretrained(folder, device_map="meta")
    heads = [module for name, module in model.named_modules() if name.rpartition(".")[2] == "score"]
    assert [type(head) for head in heads] == [torch.nn.Linear] and heads[0].out_features == 1


def test_a_family_without_a_linear_score_is_refused(encoder_start):
    with pytest.raises(ValueError, match="of type 'bert', which has no sequence classifier with a linear head `score`"):
        load_first_layers(encoder_start, None)


def test_a_model_of_texts_and_images_is_refused_in_one_line(tmp_path):
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    vision = sizes | {"image_size": 8, "patch_size": 4}
    Gemma3Config(text_config=sizes | {"vocab_size": 64}, vision_config=vision).save_pretrained(tmp_path)
    with pytest.raises(StudentError, match=r"reads more than text \(gemma3\); save its text model and start there"):
        load_first_layers(str(tmp_path), 1)


def test_lora_settings_reach_peft_and_the_head_is_always_trained(tiny_decoder):
    lora = {"r": 2, "target_modules": ["q_proj"], "modules_to_save": ["embed_tokens"]}
    settings = DecoderSettings(max_tokens=60, lora=lora)
    model = _build(tiny_decoder("llama"), settings).objective.model.transformers_model
    trained = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert {name.split(".lora_")[0].rpartition(".")[2] for name in trained if "lora_" in name} == {"q_proj"}
    assert {parameter.shape[0] for name, parameter in trained.items() if "lora_A" in name} == {2}
    whole = {name.partition(".modules_to_save")[0] for name in trained if "lora_" not in name}
    assert whole == {"score", "model.embed_tokens"}


def test_an_unknown_lora_setting_is_named():
    with pytest.raises(ValueError, match="peft.LoraConfig refuses it: .*'rank'"):
        DecoderSettings(lora={"rank": 2})


@pytest.mark.parametrize(
    ("weights", "kept", "message"),
    [
        ({"label_weight": 0.5}, ["evidence"], "label_weight is 0.5, but no training list has groups"),
        ({"reason_weight": 0.5}, ["evidence"], "reason_weight is 0.5, but no training list has groups"),
        ({"reason_weight": 0.5}, ["groups"], "reason_weight is 0.5, but no training list has evidence"),
    ],
)
def test_what_a_weight_needs_of_the_lists_is_named(weights, kept, message, joint_lists, tmp_path):
    lists = joint_lists.select_columns(["query", "docs", "labels", *kept])
    with pytest.raises(ValueError, match=message):
        train_decoder("nowhere", lists, [], DecoderSettings(**weights), tmp_path / "student")


def test_lists_whose_evidence_is_blank_throughout_are_refused(joint_lists, tmp_path):
    blank = Dataset.from_list([row | {"evidence": [""] * len(row["docs"])} for row in joint_lists])
    with pytest.raises(ValueError, match="no training list has evidence"):
        train_decoder("nowhere", blank, [], DecoderSettings(reason_weight=1), tmp_path / "student")
