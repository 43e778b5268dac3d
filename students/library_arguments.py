"""Arguments that settings hand through to a library, checked before any work.

The libraries' classes take nearly any value; what is wrong with one shows when a training begins, which in a recipe is
hours later.
"""

from collections.abc import Mapping
from enum import Enum
from functools import cache
from typing import Any, get_args, get_type_hints

from peft import LoraConfig
from pydantic import TypeAdapter, ValidationError
from sentence_transformers import CrossEncoderTrainingArguments

_SET_ELSEWHERE = {"output_dir": "by the caller", "seed": "by `seed`", "bf16": "by `precision`"}
_ABOVE_ZERO = {
    "num_train_epochs", "per_device_train_batch_size", "per_device_eval_batch_size", "gradient_accumulation_steps", "r",
}  # fmt: skip
# of LoRA those that peft looks at only while it adapts a model; it knows more values of others than their types say
_LATE_IN_PEFT = {"r", "lora_alpha", "lora_dropout", "bias"}


def known_arguments(given: Mapping[str, Any]) -> None:
    """Check arguments of CrossEncoderTrainingArguments.

    Raises:
        ValueError: one is unknown, set elsewhere or has a value that the trainer does not take.
    """
    kinds = _kinds(CrossEncoderTrainingArguments)
    for name, value in given.items():
        if name not in kinds:
            raise ValueError(f"CrossEncoderTrainingArguments has no argument {name!r}")
        if name in _SET_ELSEWHERE:
            raise ValueError(f"{name} is set elsewhere: {_SET_ELSEWHERE[name]}")
        if name == "push_to_hub" or name.startswith("hub_"):
            raise ValueError(f"{name} is not taken: a student is uploaded from its finished folder, by `hf upload`")
        _check_value(name, value, kinds[name])


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


def _is_enumeration(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Enum)
