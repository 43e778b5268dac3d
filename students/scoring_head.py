"""Applies an encoder's own scoring head to given states, so that a second score can share it."""

from collections.abc import Callable
from typing import Any

from torch import Tensor

from students import StudentError


def check_family(config: Any) -> None:
    """Refuses a model whose scoring head is not known here.

    Raises:
        StudentError: it names the model's family and the known ones.
    """
    if config.model_type not in HEADS:
        known = ", ".join(sorted(HEADS))
        raise StudentError(
            f"no scoring head is known for model type {config.model_type!r}; known are {known}; "
            "term_control_weight: 0 trains any other encoder"
        )


def apply_scoring_head(model: Any, states: Tensor) -> Tensor:
    """Scores (pairs, 1) that the model's head gives to states (pairs, tokens, hidden), read at the first token.

    Args:
        model: a sequence classifier with one output, of a family named in `HEADS`.
        states: the first token of each pair is the classification token.

    Raises:
        StudentError: the model's family is not known here.
    """
    check_family(model.config)
    return HEADS[model.config.model_type](model, states)


def _pooled_inside(model: Any, states: Tensor) -> Tensor:
    return model.classifier(model.dropout(model.base_model.pooler(states)))


def _pooled_outside(model: Any, states: Tensor) -> Tensor:
    return model.classifier(model.dropout(model.pooler(states)))


def _pooled_in_place(model: Any, states: Tensor) -> Tensor:
    pooled = model.base_model.pooler_activation(model.base_model.pooler(states[:, 0]))
    return model.classifier(model.dropout(pooled))


def _classified(model: Any, states: Tensor) -> Tensor:
    return model.classifier(states)


def _prepared(model: Any, states: Tensor) -> Tensor:
    return model.classifier(model.dropout(model.pre_classifier(states[:, 0]).relu()))


def _modernbert(model: Any, states: Tensor) -> Tensor:
    # its classifier_pooling may be "mean": the head itself takes one vector either way
    return model.classifier(model.drop(model.head(states[:, 0])))


HEADS: dict[str, Callable[[Any, Tensor], Tensor]] = {
    "albert": _pooled_in_place,
    "bert": _pooled_inside,
    "camembert": _classified,
    "deberta": _pooled_outside,
    "deberta-v2": _pooled_outside,
    "distilbert": _prepared,
    "electra": _classified,
    "modernbert": _modernbert,
    "mpnet": _classified,
    "roberta": _classified,
    "xlm-roberta": _classified,
}
