"""A model that lies on several devices, or waits on disk, must be read as one that lies on one device is."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from teachers.head_scores import HeadReader
from teachers.placement import input_device
from teachers.writer import Writer
from tests.teachers.conftest import CONFIGS, build
from tests.teachers.test_head_scores import SETTINGS

SCRIPT = Path(__file__).with_name("two_device_pass.py")
ROOT = Path(__file__).parents[2]
TENSORS = ("real", "null", "masked", "all_heads", "state", "truncated")
LISTS = [("w7", ["w3 w4", "w5 w6"]), ("w9 w8", [f"w{n} w{n + 3} w{n + 1}" for n in range(30, 35)])]
LAYERS = {f"model.layers.{layer}": "disk" if layer % 2 else "cpu" for layer in range(4)}
ENDS = {"model.embed_tokens": "disk", "model.norm": "cpu", "model.rotary_emb": "cpu", "lm_head": "cpu"}


@pytest.fixture(scope="module", params=["llama", "mistral"])
def folder(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / request.param
    build(request.param).save_pretrained(path)
    return path


def spread(folder, device_map):
    return AutoModelForCausalLM.from_pretrained(
        folder, device_map=device_map, offload_folder=str(folder) + ".offload", dtype=torch.float32
    ).eval()


@pytest.mark.parametrize(("depth", "state_layer"), [(4, 1), (3, 2)])
def test_layers_that_wait_on_disk_read_as_those_in_memory(folder, tokenizer, depth, state_layer):
    whole = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    expected = HeadReader(whole, tokenizer, SETTINGS, depth, state_layer).read_many(LISTS, batch_tokens=1_000)
    model = spread(folder, {**ENDS, **LAYERS})
    waiting = [name for name, weight in model.named_parameters() if weight.device.type == "meta"]
    assert any("layers.1" in name for name in waiting) and any("embed_tokens" in name for name in waiting)
    reader = HeadReader(model, tokenizer, SETTINGS, depth, state_layer)
    # the model itself says that it is nowhere
    assert (model.device.type, reader.device.type) == ("meta", "cpu")
    found = reader.read_many(LISTS, batch_tokens=1_000)
    for read, right in zip(found, expected, strict=True):
        for name in TENSORS:
            torch.testing.assert_close(getattr(read, name), getattr(right, name), rtol=0, atol=0)
    # the pass left no weights behind that accelerate had brought in for it
    assert [name for name, weight in model.named_parameters() if weight.device.type == "meta"] == waiting


def test_a_hook_on_the_whole_decoder_does_not_undo_the_cut(folder, tokenizer):
    whole = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    model = spread(folder, {"model": "disk", "lm_head": "cpu"})
    assert "forward" in vars(model.get_decoder())  # accelerate's, bound to the uncut decoder
    read, right = (HeadReader(one, tokenizer, SETTINGS, 2, 1).read_many(LISTS) for one in (model, whole))
    for found, expected in zip(read, right, strict=True):
        torch.testing.assert_close(found.real, expected.real, rtol=0, atol=0)


def test_a_model_on_disk_writes_what_it_writes_in_memory(folder, tokenizer):
    whole = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    model = spread(folder, {**ENDS, **LAYERS})
    written = [Writer(one, tokenizer, {}).write([40, 41, 42], room=5) for one in (model, whole)]
    assert written[0] == written[1]


def test_a_model_in_one_place_begins_there():
    assert input_device(build("llama")) == torch.device("cpu")
    with torch.device("meta"):
        assert input_device(AutoModelForCausalLM.from_config(CONFIGS["llama"])) == torch.device("meta")


def test_no_operation_mixes_the_devices_of_two_layers():
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, str(SCRIPT)], env=environment, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr[-2_000:]
    assert done.stdout.split() == ["llama", "gemma2", "mistral"]
