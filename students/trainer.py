"""The library's trainer, made to checkpoint and synchronise objectives that have parameters of their own."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from sentence_transformers import CrossEncoderTrainer
from torch import Tensor, nn
from transformers import TrainerCallback

TRAINED_FILE = "trained.safetensors"

Progress = Callable[[int, int, Mapping[str, float]], None]
"""Called with the step, the number of steps and what was just logged."""


class StudentTrainer(CrossEncoderTrainer):
    """`CrossEncoderTrainer` for objectives that have parameters of their own, such as the term control layer.

    The library optimises such parameters, but neither checkpoints them nor averages their gradients over processes.
    A checkpoint here holds everything that is trained, and nothing that is frozen.
    """

    def training_step(self, *args: Any, **kwargs: Any) -> Tensor:
        """One forward and backward pass, after which the objective's gradients are the same on every process."""
        loss = super().training_step(*args, **kwargs)
        if self.accelerator.num_processes > 1:
            for parameter in self._own_parameters().values():
                if parameter.grad is not None:
                    parameter.grad = self.accelerator.reduce(parameter.grad, reduction="mean")
        return loss

    def _own_parameters(self) -> dict[str, nn.Parameter]:
        objective: Any = self.loss
        named = objective.named_parameters()
        return {name: parameter for name, parameter in named if not name.startswith("model.")}

    def _trained(self) -> dict[str, nn.Parameter]:
        own = {f"objective.{name}": parameter for name, parameter in self._own_parameters().items()}
        model = {f"model.{name}": parameter for name, parameter in self.model.named_parameters()}
        return {name: parameter for name, parameter in (model | own).items() if parameter.requires_grad}

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        folder = Path(str(output_dir or self.args.output_dir))
        folder.mkdir(parents=True, exist_ok=True)
        tensors = {name: parameter.detach().contiguous() for name, parameter in self._trained().items()}
        save_file(tensors, folder / TRAINED_FILE)

    def _load_best_model(self) -> None:
        # the library's own logs an error and goes on with the last weights
        self._load_from_checkpoint(str(self.state.best_model_checkpoint))

    def _load_from_checkpoint(self, checkpoint_path: str, model: Any = None) -> None:
        saved = load_file(Path(checkpoint_path) / TRAINED_FILE)
        trained = self._trained()
        if saved.keys() != trained.keys():
            name = min(saved.keys() ^ trained.keys())
            raise ValueError(f"{checkpoint_path}: holds other parameters than this training has, such as {name}")
        with torch.no_grad():
            for name, parameter in trained.items():
                parameter.copy_(saved[name])


class ProgressCallback(TrainerCallback):
    """Hands what the trainer logs to a function, on the first process alone."""

    def __init__(self, on_progress: Progress) -> None:
        self.on_progress = on_progress

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
        if state.is_world_process_zero:
            self.on_progress(state.global_step, state.max_steps, dict(logs or {}))
