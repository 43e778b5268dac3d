"""Arguments that settings hand through to a library, checked before any work.

The libraries' classes take nearly any value; what is wrong with one shows when a training begins, which in a recipe is
hours later.
"""

from collections.abc import Mapping, Sequence
from enum import Enum
from functools import cache
from typing import Any, get_args, get_type_hints

from peft import LoraConfig
from pydantic import TypeAdapter, ValidationError
from sentence_transformers import CrossEncoderTrainingArguments

_SET_ELSEWHERE = {"output_dir": "by the caller", "seed": "by `seed`", "bf16": "by `precision`"}
_NOT_TAKEN = {
    "push_to_hub": "a student is uploaded from its finished folder, by `hf upload`",
    "load_best_model_at_end": "with dev lists the best checkpoint is kept, without them the last",
    "metric_for_best_model": "checkpoints are chosen by dev nDCG@10",
    "greater_is_better": "checkpoints are chosen by dev nDCG@10",
    "save_only_model": "an interrupted training goes on with its optimizer",
    "use_liger_kernel": "the trainer applies it to a transformers model alone, and trains a CrossEncoder around one",
    "neftune_noise_alpha": "the trainer adds noise to a transformers model alone, and trains a CrossEncoder around one",
    "prompts": "students read pairs as they will be served",
}
_MAY_BE_NO = {"eval_strategy", "save_strategy", "logging_strategy"}
_ABOVE_ZERO = {
    "num_train_epochs", "per_device_train_batch_size", "per_device_eval_batch_size", "gradient_accumulation_steps", "r",
}  # fmt: skip
# of LoRA those that peft looks at only while it adapts a model; it knows more values of others than their types say
_LATE_IN_PEFT = {"r", "lora_alpha", "lora_dropout", "bias"}


def known_arguments(given: Mapping[str, Any]) -> dict[str, Any]:
    """Check arguments of CrossEncoderTrainingArguments.

    Returns:
        The arguments as the trainer takes them: YAML reads a `no` without quotes as False.

    Raises:
        ValueError: one is unknown, set elsewhere or has a value that the trainer does not take.
    """
    kinds = _kinds(CrossEncoderTrainingArguments)
    taken = {name: "no" if name in _MAY_BE_NO and value is False else value for name, value in given.items()}
    for name, value in taken.items():
        if name not in kinds:
            raise ValueError(f"CrossEncoderTrainingArguments has no argument {name!r}")
        if name in _SET_ELSEWHERE:
            raise ValueError(f"{name} is set elsewhere: {_SET_ELSEWHERE[name]}")
        if reason := _NOT_TAKEN.get("push_to_hub" if name.startswith("hub_") else name):
            raise ValueError(f"{name} is not taken: {reason}")
        _check_value(name, value, kinds[name])
    steps: Any = taken.get("max_steps", -1)
    if steps == 0 or steps < -1:
        raise ValueError(f"max_steps is {steps!r}; a number above 0 is accepted, or -1 for all epochs")
    _check_trackers(taken.get("report_to") or "none")
    return taken


def _check_trackers(report_to: str | Sequence[str]) -> None:
    wanted = {report_to} if isinstance(report_to, str) else {*report_to}
    if wanted <= {"none", "all"}:
        return
    from transformers.integrations import get_available_reporting_integrations

    here = get_available_reporting_integrations()
    if lacking := wanted - {"none", "all", *here}:
        raise ValueError(f"report_to is {min(lacking)!r}; here are {', '.join(sorted(here)) or 'no trackers'}, or none")


def known_lora_arguments(given: Mapping[str, Any]) -> None:
    """Check arguments of peft.LoraConfig.

    Raises:
        ValueError: one is unknown or has a value that peft does not take.
    """
    try:
        LoraConfig(**given)
    except TypeError as error:
        raise ValueError(f"peft.LoraConfig refuses it: {error}") from None
    kinds = _kinds(LoraConfig)
    for name in _LATE_IN_PEFT & given.keys():
        _check_value(name, given[name], kinds[name])


@cache
def _kinds(library_class: type) -> dict[str, Any]:
    return get_type_hints(library_class)


def _check_value(name: str, value: Any, kind: Any) -> None:
    """The libraries' enumerations also come as text, so their types alone would let any text pass."""
    choices = [member.value for part in get_args(kind) if _is_enumeration(part) for member in part]
    if choices:
        if isinstance(value, str | bool) and value not in choices:
            raise ValueError(f"{name} is {value!r}; accepted are {', '.join(map(str, choices))}")
        return
    try:
        TypeAdapter(kind).validate_python(value, strict=isinstance(value, str | float | bool))
    except ValidationError:
        wanted = kind.__name__ if isinstance(kind, type) else str(kind).replace("typing.", "")
        raise ValueError(f"{name} is {value!r}; {wanted} is accepted") from None
    if name in _ABOVE_ZERO and value <= 0:
        raise ValueError(f"{name} is {value!r}; a number above 0 is accepted")
    if name == "learning_rate" and value < 0:
        raise ValueError(f"{name} is {value!r}; 0 or more is accepted")


def _is_enumeration(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Enum)
