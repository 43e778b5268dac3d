"""What the trainer finds out only when a training begins, which in a recipe is hours later, asked for beforehand."""

from pathlib import Path
from typing import Any

import torch
from sentence_transformers import CrossEncoderTrainingArguments
from torch import nn
from torch.utils.data import DataLoader
from transformers import Trainer, get_scheduler
from transformers.trainer_utils import SchedulerType
from transformers.training_args import OptimizerNames

from students import StudentError
from students.training_settings import TrainingSettings, training_arguments

_WHOLE_MODEL = {OptimizerNames.LOMO, OptimizerNames.ADALOMO}


def check_trainer(settings: TrainingSettings, measured: bool) -> None:
    """Refuse trainer arguments with which no training can begin here, whatever the model.

    Args:
        settings: of a student.
        measured: whether there are dev lists.

    Raises:
        StudentError: arguments that do not go together, or lack what one of them needs: dev lists, a package or
            another argument. The text begins with the setting's name.
    """
    if settings.patience is not None and not measured:
        raise StudentError(f"patience is {settings.patience}, but there are no dev lists to measure it by")
    # the students' own defaults are numbers, which go with everything
    arguments = training_arguments(settings, {}, Path(), measured)
    if not measured and (arguments.eval_on_start or arguments.eval_strategy != "no"):
        name = "eval_on_start" if arguments.eval_on_start else "eval_strategy"
        raise StudentError(f"trainer.{name} is set, but there are no dev lists to measure by")
    check_optimizer(arguments, None)
    _check_schedule(arguments)
    _check_loading(arguments)


def check_optimizer(arguments: CrossEncoderTrainingArguments, model: Any) -> None:
    """Refuse an optimizer that cannot be made.

    Args:
        arguments: of the trainer.
        model: the module to be trained; where None, what an optimizer wants of it is not asked.

    Raises:
        StudentError: its package is not here, or an argument or a module that it names is missing or refused.
    """
    name = OptimizerNames(arguments.optim)
    try:
        kind, own = Trainer.get_optimizer_cls_and_kwargs(arguments, model)
        if kind.__module__.startswith("torch.optim"):
            kind([nn.Parameter(torch.zeros(1))], **own)
    except (ImportError, TypeError, ValueError) as error:
        # GaLore, APOLLO and LOMO ask for the model last of all
        asks_for_model = model is None and (arguments.optim_target_modules is not None or name in _WHOLE_MODEL)
        if asks_for_model and not isinstance(error, ImportError):
            return
        raise StudentError(f"trainer.optim is {name.value!r}: {error}") from error


def _check_schedule(arguments: CrossEncoderTrainingArguments) -> None:
    name = SchedulerType(arguments.lr_scheduler_type)
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=arguments.learning_rate)
    given: Any = arguments.lr_scheduler_kwargs
    try:
        # the numbers of steps play no part in what a schedule accepts
        get_scheduler(name, optimizer, 1, 2, scheduler_specific_kwargs=given)
    except (TypeError, ValueError) as error:
        said = f"trainer.lr_scheduler_type is {name.value!r}, with lr_scheduler_kwargs {given or 'none'}"
        raise StudentError(f"{said}: {error}") from error


def _check_loading(arguments: CrossEncoderTrainingArguments) -> None:
    try:
        DataLoader(
            [0],  # type: ignore[arg-type]
            num_workers=arguments.dataloader_num_workers,
            prefetch_factor=arguments.dataloader_prefetch_factor,
            persistent_workers=arguments.dataloader_persistent_workers,
        )
    except ValueError as error:
        raise StudentError(f"trainer, among its dataloader_ arguments: {error}") from error
