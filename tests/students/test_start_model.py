"""Start models that a student cannot begin with are refused in one line, before anything is trained."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from transformers import AutoConfig, AutoModelForSequenceClassification

from students import StudentError
from students.decoder import DecoderSettings, _build, train_decoder
from students.encoder import EncoderSettings, fitting_precision, load_encoder, train_encoder
from students.saving import save_student
from tests.students.conftest import WORDS

STUDENTS = {"encoder": (train_encoder, EncoderSettings), "decoder": (train_decoder, DecoderSettings)}
NO_TOKENIZER = "no tokenizer files that can be read; tokenizer.json or vocab.txt is needed"


@pytest.fixture(params=STUDENTS)
def refused(request, lists, tmp_path):
    """Trains each student and gives the one line that it ends with."""
    train, settings = STUDENTS[request.param]

    def refuse(start, **chosen) -> str:
        with pytest.raises(StudentError) as found:
            train(str(start), lists, [], settings(**{"max_tokens": 24} | chosen), tmp_path / "student")
        assert not (tmp_path / "student").exists()
        assert "\n" not in str(found.value)
        return str(found.value)

    refuse.start = request.getfixturevalue(f"{request.param}_start")
    return refuse


def copied(start: str, folder: Path, *left_out: str) -> Path:
    return Path(shutil.copytree(start, folder, ignore=shutil.ignore_patterns(*left_out)))


def test_what_is_no_model_is_named(refused, tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("transformers.utils.hub.is_offline_mode", lambda: True)
    assert refused("somebody/nothing").startswith("model 'somebody/nothing': We couldn't connect to")
    empty = tmp_path / "empty"
    empty.mkdir()
    assert refused(empty).startswith(f"model {str(empty)!r}: Unrecognized model")
    without = copied(refused.start, tmp_path / "without", "*.safetensors")
    assert refused(without).startswith(f"model {str(without)!r}: Error no file named model.safetensors")
    cut = copied(refused.start, tmp_path / "cut")
    weights = cut / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    assert refused(cut).startswith(f"model {str(cut)!r}: ")


@pytest.mark.parametrize("damage", ["missing", "{", "{}"])
def test_a_start_model_without_a_tokenizer_s_files_is_refused(refused, tmp_path, damage):
    """Of BERT's family transformers would make a tokenizer to which every word is unknown."""
    start = copied(refused.start, tmp_path / "start", "tokenizer*")
    if damage != "missing":
        (start / "tokenizer.json").write_text(damage)
    assert refused(start) == f"{start}: {NO_TOKENIZER}"


@pytest.mark.parametrize("family", ["bert", "roberta", "xlm-roberta", "deberta", "deberta-v2", "modernbert", "mpnet"])
def test_no_encoder_family_begins_without_words(family, tmp_path):
    AutoConfig.for_model(family, pad_token_id=0).save_pretrained(tmp_path)
    with pytest.raises(StudentError, match=NO_TOKENIZER):
        load_encoder(str(tmp_path), 24)


def test_a_length_that_leaves_no_room_for_texts_is_refused(encoder_start, decoder_start, lists):
    """Tokenizers would then cut nothing. An encoder's pair has three special tokens; the template below six words."""
    template = "query : {query} document : {document} relevant :"
    assert len(load_encoder(encoder_start, 5)[1]("w1", "w2 " * 9, truncation=True)["input_ids"]) == 5
    with pytest.raises(StudentError, match="max_tokens is 4, .* takes 3 tokens; at least 5 is accepted"):
        load_encoder(encoder_start, 4)
    built = _build(decoder_start, DecoderSettings(max_tokens=8, template=template))
    assert len(built.tokenizer("w1", "w2 " * 9, truncation=True)["input_ids"]) == 8
    with pytest.raises(StudentError, match="max_tokens is 7, but the template .* takes 6 tokens; at least 8 is"):
        _build(decoder_start, DecoderSettings(max_tokens=7, template=template))


def test_a_decoder_reads_no_more_tokens_than_it_has_positions_for(decoder_start):
    with pytest.raises(StudentError, match="max_tokens is 65, but .* reads at most 64 tokens"):
        _build(decoder_start, DecoderSettings(max_tokens=65))
    assert _build(decoder_start, DecoderSettings(max_tokens=64)).tokenizer.model_max_length == 64


def test_an_encoder_without_a_padding_token_is_refused(decoder_start, encoder_tokenizer, tmp_path):
    start = copied(decoder_start, tmp_path / "start")
    config = json.loads((start / "config.json").read_text())
    (start / "config.json").write_text(json.dumps(config | {"pad_token_id": None}))
    with pytest.raises(StudentError, match=r"start \(llama\) has no pad_token_id in its config.json"):
        load_encoder(str(start), 24)
    model = AutoModelForSequenceClassification.from_pretrained(start, num_labels=1)
    with pytest.raises(StudentError, match="LlamaForSequenceClassification has no pad_token_id"):
        save_student(model, encoder_tokenizer, tmp_path / "student", body="")


def test_a_family_that_fails_in_bf16_is_trained_in_fp32(encoder_tokenizer, lists, tmp_path):
    config = AutoConfig.for_model(
        "deberta", vocab_size=len(WORDS), hidden_size=32, num_hidden_layers=1, num_attention_heads=4,
        intermediate_size=64, max_position_embeddings=64, relative_attention=True, pos_att_type=["p2c", "c2p"],
        position_biased_input=False, num_labels=1,
    )  # fmt: skip
    start = tmp_path / "start"
    model = AutoModelForSequenceClassification.from_config(config).eval()
    model.save_pretrained(start)
    encoder_tokenizer.save_pretrained(start)
    pair = encoder_tokenizer("w1", "w2", return_tensors="pt")
    # where this no longer fails, the family needs no precision of its own
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16), pytest.raises(RuntimeError, match="without overflow"):
        model(**pair)
    settings = EncoderSettings(max_tokens=24, trainer={"max_steps": 1})
    train_encoder(str(start), lists, [], settings, tmp_path / "student")
    assert '"precision": "fp32"' in (tmp_path / "student" / "README.md").read_text()
    for chosen, said in (({"precision": "bf16"}, "precision is bf16"), ({"trainer": {"fp16": True}}, "trainer.fp16")):
        with pytest.raises(StudentError, match=f"{said}.*, but transformers runs deberta in fp32 alone"):
            train_encoder(str(start), lists, [], EncoderSettings(**chosen), tmp_path / "other")
    left = EncoderSettings(precision="bf16")
    assert fitting_precision(left, AutoConfig.for_model("bert")) is left
