"""What each process of test_multi_process.py runs: a soup of two short trainings, its own copy of the first's saved."""

import os
import sys
from pathlib import Path

from accelerate import PartialState
from datasets import Dataset
from safetensors.torch import save_file
from sentence_transformers import CrossEncoder

from students.encoder import EncoderSettings
from students.losses import ranknet
from students.objectives import TermControlObjective
from students.term_control import TermControlLayer
from students.term_matching import TermMatcher
from students.training import TrainingRequest, UntrainedStudent, train_student


def main(start: str, lists: str, folder: Path, batch_size: int, accumulation: int) -> None:
    """Train twice on the lists and save the weights that the first training ends with, the term control layer's too."""
    objectives = []

    def build() -> UntrainedStudent:
        # by now the first process has prepared the folder for checkpoints, which takes that all know of each other
        assert PartialState().num_processes == int(os.environ.get("WORLD_SIZE", "1"))
        model = CrossEncoder(start)
        # passes of two or three pairs: the processes, whose lists differ in length, need not have as many of them;
        # without dropout, so that the number of processes changes nothing but the order of sums
        layer = TermControlLayer(32, 4, 64, dropout=0.0)
        selection = TermMatcher(model.tokenizer, "english")
        objectives.append(TermControlObjective(model, ranknet, layer, 0.5, selection, pass_tokens=20))
        return UntrainedStudent(objectives[-1], lambda: model.transformers_model)

    trainer = {
        "per_device_train_batch_size": batch_size,
        "gradient_accumulation_steps": accumulation,
        "num_train_epochs": 2,
        # Adam would blow up the rounding of gradients that are zero, such as those of the keys' biases
        "optim": "sgd",
        "learning_rate": 0.2,
        "use_cpu": True,
    }
    settings = EncoderSettings(precision="fp32", trainer=trainer, soup=2)
    train_student(TrainingRequest(start, Dataset.from_json(lists), [], settings, folder / "student", None), build, {})
    rank = PartialState().process_index
    weights = {name.replace("model.module.", "model."): value for name, value in objectives[0].state_dict().items()}
    save_file({name: value.clone() for name, value in weights.items()}, folder / f"weights-{rank}.safetensors")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5]))
