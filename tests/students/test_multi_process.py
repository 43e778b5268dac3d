import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoConfig, AutoModelForSequenceClassification

SCRIPT = Path(__file__).with_name("two_process_training.py")
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def start(tmp_path_factory, encoder_start, encoder_tokenizer) -> str:
    """The tiny encoder without dropout."""
    folder = tmp_path_factory.mktemp("start") / "encoder"
    config = AutoConfig.from_pretrained(encoder_start, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    AutoModelForSequenceClassification.from_pretrained(encoder_start, config=config).save_pretrained(folder)
    encoder_tokenizer.save_pretrained(folder)
    return str(folder)


def train(start, lists, folder, processes, batch_size, accumulation=1) -> list[dict[str, torch.Tensor]]:
    folder.mkdir()
    lists.to_json(folder / "lists.jsonl")
    # as on a machine with two GPUs, told below that these are processors: accelerate's own --cpu starts one process
    # unless there is MPI
    launch = [sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", str(processes)]
    launch += ["--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", "0"]
    if processes == 1:
        launch = [sys.executable]
    arguments = [start, str(folder / "lists.jsonl"), str(folder), str(batch_size), str(accumulation)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true"}
    done = subprocess.run(
        [*launch, str(SCRIPT), *arguments], env=environment, capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stderr
    assert (folder / "student" / "model.safetensors").exists()
    return [load_file(folder / f"weights-{rank}.safetensors") for rank in range(processes)]


def test_two_processes_train_as_one_and_agree_on_the_term_control_layer(start, lists, tmp_path):
    one, two = train(start, lists, tmp_path / "two", processes=2, batch_size=2)
    (alone,) = train(start, lists, tmp_path / "one", processes=1, batch_size=4)
    assert any(name.startswith("layer.") for name in one)
    for name, weight in alone.items():
        assert torch.equal(one[name], two[name]), name
        torch.testing.assert_close(one[name], weight, msg=lambda text, name=name: f"{name}: {text}")
    # of both the soup of two trainings is saved, whose first ends with the weights above
    saved, single = (load_file(tmp_path / name / "student" / "model.safetensors") for name in ("two", "one"))
    torch.testing.assert_close(saved, single)
    (name,) = (name for name in alone if name.endswith("classifier.weight") and name.startswith("model."))
    assert not torch.equal(saved["classifier.weight"], alone[name])
