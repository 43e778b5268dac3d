"""A saved student: files that transformers 4 needs, which knows other keys than 5, and that any user may read."""

import json
import os

import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from students.saving import save_student

LLAMA3 = {
    "rope_type": "llama3", "rope_theta": 5e4, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
    "original_max_position_embeddings": 32,
}  # fmt: skip


@pytest.mark.parametrize("rope", [{"rope_type": "default", "rope_theta": 3e4}, LLAMA3], ids=["default", "llama3"])
def test_both_versions_of_transformers_find_the_rotary_settings(tiny_decoder, tmp_path, rope):
    start = tiny_decoder("llama", rope_parameters=rope)
    model = AutoModelForSequenceClassification.from_pretrained(start, num_labels=1).eval()
    tokenizer = AutoTokenizer.from_pretrained(start)
    save_student(model, tokenizer, tmp_path / "student", body="A student of a test.")

    config = json.loads((tmp_path / "student" / "config.json").read_text())
    assert config["rope_parameters"] == rope
    assert config["rope_theta"] == rope["rope_theta"]
    # version 4 has the base beside the rest, and no rest where positions are turned plainly
    rest = {key: value for key, value in rope.items() if key != "rope_theta"}
    assert config.get("rope_scaling") == (rest if rope is LLAMA3 else None)
    assert config["torch_dtype"] == config["dtype"] == "float32"
    named = json.loads((tmp_path / "student" / "tokenizer_config.json").read_text())["tokenizer_class"]
    assert named != "TokenizersBackend"

    loaded = AutoModelForSequenceClassification.from_pretrained(tmp_path / "student").eval()
    ids = tokenizer("red cats", return_tensors="pt")
    with torch.no_grad():
        assert torch.equal(loaded(**ids).logits, model(**ids).logits)
    assert AutoTokenizer.from_pretrained(tmp_path / "student")("red cats")["input_ids"] == ids["input_ids"][0].tolist()


@pytest.mark.parametrize("umask", [0o022, 0o027])
def test_whoever_may_read_the_configuration_may_read_the_weights(tiny_decoder, tmp_path, umask):
    # servers run as users of their own, and safetensors 0.8 writes for the owner alone
    model = AutoModelForSequenceClassification.from_pretrained(start := tiny_decoder("llama"), num_labels=1)
    before = os.umask(umask)
    try:
        save_student(model, AutoTokenizer.from_pretrained(start), tmp_path / "student", body="A student of a test.")
    finally:
        os.umask(before)
    for path in (tmp_path / "student").iterdir():
        assert path.stat().st_mode & 0o777 == 0o666 & ~umask, path.name
