"""A decoder that starts from a packed file: unpacked once, by one process, and named by its own name."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from datasets import Dataset
from gguf import GGUFWriter
from tokenizers.pre_tokenizers import ByteLevel

from distill.errors import ModelError
from distill.recipe.students import DecoderSection, EncoderSection
from distill.stages.students import train_student
from students import StudentError

SCRIPT = Path(__file__).with_name("two_process_packed_start.py")
ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def packed(tmp_path_factory) -> Path:
    """A random Llama of two layers and 64 positions with a tokenizer of bytes."""
    path = tmp_path_factory.mktemp("packed") / "tiny.gguf"
    words = ["<|end|>", *sorted(ByteLevel.alphabet()), "th", "the"]
    writer = GGUFWriter(path, "llama")
    writer.add_context_length(64)
    writer.add_embedding_length(32)
    writer.add_block_count(2)
    writer.add_feed_forward_length(48)
    writer.add_head_count(4)
    writer.add_head_count_kv(4)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(len(words))
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(words)
    writer.add_token_types([3] + [1] * (len(words) - 1))
    writer.add_token_merges(["t h", "th e"])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(0)
    shapes: dict[str, tuple[int, ...]] = {"token_embd": (len(words), 32), "output_norm": (32,)}
    for layer in ("blk.0", "blk.1"):
        shapes |= {f"{layer}.attn_{part}": (32, 32) for part in ("q", "k", "v", "output")}
        shapes |= {f"{layer}.attn_norm": (32,), f"{layer}.ffn_norm": (32,)}
        shapes |= {f"{layer}.ffn_gate": (48, 32), f"{layer}.ffn_up": (48, 32), f"{layer}.ffn_down": (32, 48)}
    random = np.random.default_rng(0)
    for name, shape in shapes.items():
        writer.add_tensor(f"{name}.weight", random.normal(size=shape).astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@pytest.fixture(scope="module")
def lists() -> Dataset:
    return Dataset.from_list([{"query": "the", "docs": ["the a", "b"], "labels": [1.0, 0.0]}] * 4)


def test_two_processes_unpack_a_start_model_once(packed, lists, tmp_path):
    lists.to_json(tmp_path / "lists.jsonl")
    # as tests/students/test_multi_process.py starts them
    launch = [sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2"]
    launch += ["--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", "0"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true"}
    arguments = [str(SCRIPT), str(packed), str(tmp_path / "lists.jsonl"), str(tmp_path)]
    done = subprocess.run([*launch, *arguments], env=environment, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    first, second = (json.loads((tmp_path / f"touched-{rank}.json").read_text()) for rank in (0, 1))
    assert any("config.json" in line for line in first) and any("rmtree" in line for line in first)
    assert second == []
    assert (tmp_path / "student" / "model.safetensors").exists() and not (tmp_path / ".student.start").exists()


def test_a_refusal_names_the_packed_file_and_not_what_it_was_unpacked_to(packed, lists, tmp_path):
    section = DecoderSection(start=str(packed), layers=1, max_tokens=65)
    with pytest.raises(StudentError, match=f"^max_tokens is 65, but {packed} reads at most 64 tokens$"):
        train_student(section, lists, [], tmp_path / "student", lambda *_: None)
    assert not (tmp_path / ".student.start").exists()


def test_an_encoder_does_not_start_from_a_packed_file(packed, lists, tmp_path):
    with pytest.raises(ModelError, match="a GGUF file holds no encoder; a folder or a hub id is accepted"):
        train_student(EncoderSection(start=str(packed)), lists, [], tmp_path / "student", lambda *_: None)
