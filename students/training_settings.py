"""How a student is trained: the settings that both students share, and the trainer arguments that they amount to."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

import torch
from pydantic import BaseModel, ConfigDict, Field, PositiveInt, field_validator, model_validator
from sentence_transformers import CrossEncoderTrainingArguments

from students import StudentError
from students.library_arguments import known_arguments
from students.losses import LossName
from students.passages import PassageSettings


class TrainingSettings(BaseModel):
    """What both students are trained with."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    # 300 lists of ten of WikiQA: nDCG@10 .790 against .767 of RankNet, three seeds (docs/students.md)
    loss: LossName = Field(
        "margin_mse",
        description="of a label list: ranknet, lambda and adr_mse learn the teacher's order, margin_mse and listnet "
        "its scores, standardised for each query",
    )
    confidence_weight: bool = Field(
        False, description="multiply each list's loss by its confidence, clipped to [0, 1] and 1 where unknown"
    )
    max_tokens: PositiveInt = Field(256, description="length to which a pair is cut, special tokens included")
    passages: PassageSettings | None = Field(
        None, description="cut long documents into passages, the best of which counts; none: cut off at max_tokens"
    )
    # torch and NumPy take 32 bits, and each training of a soup one more
    seed: int = Field(0, ge=0, lt=2**31, description="seed of new weights, of the order of lists and of dropout")
    soup: PositiveInt = Field(
        1,
        description="trainings whose weights are averaged, a uniform model soup: all begin with the same weights, each "
        "has its own order of lists and dropout; so many times the training, nothing more in serving",
    )
    precision: Literal["auto", "fp32", "bf16"] = Field(
        "auto", description="arithmetic of the forward pass; auto is bf16 where the hardware multiplies it natively"
    )
    patience: PositiveInt | None = Field(
        None, description="evaluations without a better dev nDCG@10 after which training stops; none never stops early"
    )
    trainer: dict[str, Any] = Field(
        default_factory=dict, description="arguments of CrossEncoderTrainingArguments, over the student's own defaults"
    )

    @field_validator("trainer")
    @classmethod
    def _is_known_and_leaves_ours_alone(cls, value: dict[str, Any]) -> dict[str, Any]:
        return known_arguments(value)

    @model_validator(mode="after")
    def _leaves_room_for_the_query(self) -> Self:
        if self.passages is not None and self.passages.tokens >= self.max_tokens:
            raise ValueError(
                f"passages.tokens ({self.passages.tokens}) must be below max_tokens ({self.max_tokens}): a passage is "
                "read together with the query"
            )
        return self

    @model_validator(mode="after")
    def _has_one_number_type(self) -> Self:
        if self.precision == "bf16" and self.trainer.get("fp16"):
            raise ValueError("precision is bf16 and trainer.fp16 is set; keep one of them")
        return self


def training_arguments(
    settings: TrainingSettings, defaults: Mapping[str, Any], folder: Path, measured: bool
) -> CrossEncoderTrainingArguments:
    """The trainer's arguments: the student's defaults, over them the settings' own mapping.

    Args:
        settings: give seed, precision and the mapping.
        defaults: what the student trains with unless told otherwise.
        folder: where checkpoints go.
        measured: whether there are dev lists, by which the best checkpoint is kept.

    Raises:
        StudentError: arguments that do not go together, or one whose package is not here.
    """
    bf16 = settings.precision == "bf16" or (settings.precision == "auto" and _multiplies_bf16())
    chosen = {
        "eval_strategy": "epoch" if measured else "no",
        "save_strategy": "epoch",
        "save_total_limit": 1,
        "load_best_model_at_end": measured,
        "metric_for_best_model": "dev_ndcg",
        "greater_is_better": True,
        "logging_steps": 5,
        "disable_tqdm": True,
        "report_to": "none",
        # without an accelerator the trainer must be told so before it takes bf16
        "use_cpu": not torch.accelerator.is_available(),
        "dataloader_pin_memory": torch.accelerator.is_available(),
        # the library's features are no plain dict, in which torch looks for what was used: it would find nothing
        "ddp_find_unused_parameters": False,
        # lists differ in length, so processes need not have as many forward passes: none may wait for another's buffers
        "ddp_broadcast_buffers": False,
        # a resumed training stops early where the unbroken one would have
        "restore_callback_states_from_checkpoint": True,
        "bf16": bf16 and not settings.trainer.get("fp16"),
    }
    given = {**chosen, **defaults, **(_saved_when_measured(settings.trainer) if measured else {}), **settings.trainer}
    try:
        return CrossEncoderTrainingArguments(output_dir=str(folder), seed=settings.seed, **given)
    except (ImportError, TypeError, ValueError) as error:
        raise StudentError(f"trainer: {' '.join(str(error).split())}") from error


def _saved_when_measured(given: Mapping[str, Any]) -> dict[str, Any]:
    """What one of evaluating and saving leaves to the other: the best checkpoint is one that was measured."""
    follows = {}
    for kind in ("strategy", "steps"):
        evaluated, saved = given.get(f"eval_{kind}"), given.get(f"save_{kind}")
        if evaluated is not None and saved is None:
            follows[f"save_{kind}"] = evaluated
        if saved not in (None, "best", "no") and evaluated is None:
            follows[f"eval_{kind}"] = saved
    return follows


def _multiplies_bf16() -> bool:
    if torch.cuda.is_available():
        return torch.cuda.is_bf16_supported(including_emulation=False)
    # torch has no public question for either; on a processor with neither bf16 is slower than fp32
    return torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()
