"""A decoder that starts from a packed file: unpacked once, by one process, and named by its own name."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from datasets import Dataset

from distill.errors import ModelError
from distill.recipe.students import DecoderSection, EncoderSection
from distill.stages.students import train_student
from students import StudentError
from tests.distill.packed_file import write_packed

SCRIPT = Path(__file__).with_name("two_process_packed_start.py")
ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def packed(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("packed") / "tiny.gguf"
    write_packed(path)
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
