"""What each process of test_joint_multi_process.py runs: one joint training, its own copy of all weights saved."""

import sys
from pathlib import Path

from accelerate import PartialState
from datasets import Dataset
from safetensors.torch import save_file

from students.decoder import DecoderSettings, _build
from students.training import TrainingRequest, UntrainedStudent, train_student

TRAINER = {
    "num_train_epochs": 2,
    # Adam would blow up the rounding of gradients that are zero
    "optim": "sgd",
    "learning_rate": 0.2,
    "use_cpu": True,
}


def main(start: str, folder: Path, batch_size: int) -> None:
    """Train on the folder's lists and save the weights that this process ends with, the objective's own among them."""
    trainer = {**TRAINER, "per_device_train_batch_size": batch_size}
    settings = DecoderSettings(label_weight=0.5, reason_weight=0.5, max_tokens=60, precision="fp32", trainer=trainer)
    objectives = []

    def build() -> UntrainedStudent:
        student = _build(start, settings)
        objectives.append(student.objective)
        model = student.objective.model.transformers_model
        # adapters stay apart, as the process that saves would else be the only one to merge them
        return UntrainedStudent(student.objective, lambda: model)

    lists = Dataset.from_json(str(folder / "lists.jsonl"))
    train_student(TrainingRequest(start, lists, [], settings, folder / "student", None), build, {})
    weights = {name.replace("model.module.", "model."): value for name, value in objectives[0].state_dict().items()}
    rank = PartialState().process_index
    save_file({name: value.clone() for name, value in weights.items()}, folder / f"weights-{rank}.safetensors")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
