"""Applies an encoder's own scoring head to given states, so that a second score can share it."""

from collections.abc import Callable
from typing import Any

from torch import Tensor

from students import StudentError


def apply_scoring_head(model: Any, states: Tensor) -> Tensor:
    """Scores (pairs, 1) that the model's head gives to states (pairs, tokens, hidden), read at the first token.

    Args:
        model: a sequence classifier with one output, of a family named in `HEADS`.
        states: the first token of each pair is the classification token.

    Raises:
        StudentError: the model's family is not known here.
    """
    family = model.config.model_type
    if family not in HEADS:
        raise StudentError(f"no scoring head is known for model type {family!r}; known are {', '.join(sorted(HEADS))}")
    return HEADS[family](model, states)


def _pooled_inside(model: Any, states: Tensor) -> Tensor:
    return model.classifier(model.dropout(model.base_model.pooler(states)))


def _pooled_outside(model: Any, states: Tensor) -> Tensor:
    return model.classifier(model.dropout(model.pooler(states)))


def _classified(model: Any, states: Tensor) -> Tensor:
    return model.classifier(states)


def _modernbert(model: Any, states: Tensor) -> Tensor:
    return model.classifier(model.drop(model.head(states[:, 0])))


HEADS: dict[str, Callable[[Any, Tensor], Tensor]] = {
    "bert": _pooled_inside,
    "deberta-v2": _pooled_outside,
    "electra": _classified,
    "modernbert": _modernbert,
    "roberta": _classified,
    "xlm-roberta": _classified,
}
