import os
import subprocess
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file

from tests.students import two_process_joint_training

SCRIPT = Path(two_process_joint_training.__file__)
ROOT = SCRIPT.parents[2]


def test_two_processes_train_the_joint_objective_as_one(tiny_decoder, joint_lists, tmp_path):
    start, folder, alone = tiny_decoder("qwen2"), tmp_path / "two", tmp_path / "one"
    for made in (folder, alone):
        made.mkdir()
        joint_lists.to_json(made / "lists.jsonl")
    # what `accelerate launch` runs for several GPUs; its own --cpu starts one process unless there is MPI
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(SCRIPT)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true"}
    done = subprocess.run([*launch, start, str(folder), "2"], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (folder / "student" / "model.safetensors").exists()
    two_process_joint_training.main(start, alone, 4)

    one, two = (load_file(folder / f"weights-{rank}.safetensors") for rank in range(2))
    before = load_file(Path(start) / "model.safetensors")
    assert torch.equal(one["vocabulary.causal.lm_head.weight"], before["lm_head.weight"])
    assert sum(bool(value.any()) for name, value in one.items() if "lora_B" in name) == 14
    for name, weight in load_file(alone / "weights-0.safetensors").items():
        assert torch.equal(one[name], two[name]), name
        torch.testing.assert_close(one[name], weight, msg=lambda text, name=name: f"{name}: {text}")
