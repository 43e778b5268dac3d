"""Switches attention heads off for a while: what a model can no longer do without them is what they were for.

The recording attention sets the outputs of masked heads to zero before the output projection mixes them, so whatever
runs the model meanwhile, a plain pass, ``generate`` or a `HeadReader`, sees the model without these heads.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel

from teachers.attention import IMPLEMENTATION, MASKED_HEADS, use_recorded_attention
from teachers.errors import TeacherError
from teachers.heads import Head


@contextmanager
def masked_heads(model: PreTrainedModel, heads: Iterable[Head]) -> Iterator[None]:
    """Run ``model`` without the outputs of ``heads`` inside the block; behind it the model is as it was, bit for bit.

    Weights and configuration are not touched. A block inside a block masks both sets. The model has the recording
    attention meanwhile, whose outputs are those of ``sdpa``: a block that sets another one would mask nothing more.

    Args:
        model: any causal language model of transformers whose attention can be recorded.
        heads: query heads; where several share one key head, only those named are masked.

    Raises:
        TeacherError: the model has no such head, or its attention cannot be reached.
    """
    by_layer: dict[int, set[int]] = {}
    for head in heads:
        by_layer.setdefault(head.layer, set()).add(head.index)
    modules = _attention_modules(model, by_layer)
    before = [(module, getattr(module, MASKED_HEADS, None)) for module, _ in modules]
    implementations = _implementations(model)
    try:
        if model.config.get_text_config()._attn_implementation != IMPLEMENTATION:
            use_recorded_attention(model)
        for module, indices in modules:
            outer = getattr(module, MASKED_HEADS, None)
            own = torch.tensor(sorted(indices | set([] if outer is None else outer.tolist())), dtype=torch.long)
            setattr(module, MASKED_HEADS, own)
        yield
    finally:
        for module, outer in before:
            if outer is None:
                vars(module).pop(MASKED_HEADS, None)
            else:
                setattr(module, MASKED_HEADS, outer)
        if _implementations(model) != implementations:
            model.set_attn_implementation(implementations)


def _attention_modules(model: PreTrainedModel, by_layer: dict[int, set[int]]) -> list[tuple[nn.Module, set[int]]]:
    """The attention module of each layer and the heads to mask there.

    Raises:
        TeacherError: a head is not in the model, or its layer has no attention.
    """
    config = model.config.get_text_config()
    layers, heads_per_layer = config.num_hidden_layers, config.num_attention_heads
    for layer, indices in sorted(by_layer.items()):
        for index in sorted(indices):
            if not (0 <= layer < layers and 0 <= index < heads_per_layer):
                raise TeacherError(
                    f"head {Head(layer, index)} is not in a model of {layers} layers with {heads_per_layer} heads each"
                )
    found: dict[int, nn.Module] = {}
    for module in model.get_decoder().modules():
        # every attention of transformers has both; decoder layers have the first alone
        if hasattr(module, "layer_idx") and hasattr(module, "is_causal"):
            found.setdefault(int(module.layer_idx), module)
    missing = sorted(by_layer.keys() - found.keys())
    if missing:
        raise TeacherError(f"layer {missing[0]} of {config.model_type} has no attention whose heads can be masked")
    return [(found[layer], indices) for layer, indices in sorted(by_layer.items())]


def _implementations(model: PreTrainedModel) -> dict[str, Any]:
    """The attention implementations of the model and its parts, as ``set_attn_implementation`` takes them."""
    parts = {name: getattr(model.config, name, None) for name in model.config.sub_configs}
    own = {name: part._attn_implementation for name, part in parts.items() if part is not None}
    return {"": model.config._attn_implementation, **own}
