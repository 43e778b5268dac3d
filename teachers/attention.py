"""Reads attention weights of chosen query tokens on any decoder, without a fork of its code and without full maps.

transformers lets an attention function be registered by name and hands unknown keyword arguments of a model call
through to it. Ours computes the output with the stock ``sdpa`` function and, where a recorder travels with the call,
recomputes the softmax for the recorder's few rows alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from teachers.errors import TeacherError

IMPLEMENTATION = "sdpa_recorded"

Span = tuple[int, int]


class AttentionRecorder:
    """Attention from chosen tokens to a range of keys, averaged over the chosen tokens, one entry a layer.

    Args:
        rows: for each prompt of the batch, the half-open range of chosen tokens, counted in the tokens of this pass.
        keys: half-open range of key positions to keep; the softmax always runs over all keys.
    """

    def __init__(self, rows: Sequence[Span], keys: Span) -> None:
        self.rows = list(rows)
        self.keys = keys
        self._by_layer: dict[int, Tensor] = {}

    def record(self, layer: int, query: Tensor, key: Tensor, mask: Tensor | None, scaling: float) -> None:
        """Add one layer: query (batch, heads, tokens, dim), key (batch, kv_heads, keys, dim).

        ``mask`` is what the model hands to its attention function: bool (True = visible) or additive, with axes
        (batch or 1, heads or 1, tokens, keys); None means causal, aligned at the last key.
        """
        entries = []
        for prompt, (start, end) in enumerate(self.rows):
            logits = _row_logits(query[prompt, :, start:end], key[prompt], scaling)
            visible = _visible(mask, prompt, query, key)[:, start:end]
            if visible.dtype == torch.bool:
                logits = logits.masked_fill(~visible, float("-inf"))
            else:
                logits = logits + visible.float()
            entries.append(logits.softmax(-1)[..., self.keys[0] : self.keys[1]].mean(1))
        self._by_layer[layer] = torch.stack(entries)

    def stacked(self) -> Tensor:
        """Recorded weights, (batch, layers, heads, keys), fp32; each value is in [0, 1]."""
        return torch.stack([self._by_layer[layer] for layer in sorted(self._by_layer)], dim=1)

    @property
    def layer_count(self) -> int:
        """Layers recorded so far."""
        return len(self._by_layer)

def _row_logits(query: Tensor, key: Tensor, scaling: float) -> Tensor:
    """Scaled fp32 logits (heads, rows, keys) of query (heads, rows, dim) and key (kv_heads, keys, dim)."""
    heads, rows, dim = query.shape
    # grouping the query heads of one key head into rows spares a copy of the keys for each of them
    grouped = query.reshape(key.shape[0], -1, dim).float()
    return (grouped @ key.float().transpose(1, 2)).reshape(heads, rows, -1) * scaling


def _visible(mask: Tensor | None, prompt: int, query: Tensor, key: Tensor) -> Tensor:
    """What each token of one prompt may attend to: (heads or 1, tokens, keys), bool or additive."""
    if mask is not None:
        return mask[min(prompt, mask.shape[0] - 1), :, :, : key.shape[2]]
    tokens, keys = query.shape[2], key.shape[2]
    position = torch.arange(keys - tokens, keys, device=query.device)
    return (torch.arange(keys, device=query.device)[None] <= position[:, None])[None]


def _attend(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    attention_recorder: AttentionRecorder | None = None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    if attention_recorder is not None:
        scaling = kwargs.get("scaling")
        scaling = query.shape[-1] ** -0.5 if scaling is None else scaling
        attention_recorder.record(module.layer_idx, query, key, attention_mask, scaling)
    output, _ = sdpa_attention_forward(module, query, key, value, attention_mask, **kwargs)
    return output, None


# The mask function must be registered too: without it transformers passes no mask and padding is attended to.
AttentionInterface.register(IMPLEMENTATION, _attend)
AttentionMaskInterface.register(IMPLEMENTATION, sdpa_mask)


def use_recorded_attention(model: PreTrainedModel) -> None:
    """Switch ``model`` to the recording attention; its outputs stay those of ``sdpa``.

    Raises:
        TeacherError: the model's attention has a term that the recorder would leave out.
    """
    config = model.config.get_text_config()
    if getattr(config, "attn_logit_softcapping", None):
        raise TeacherError(
            f"{config.model_type} caps its attention logits (attn_logit_softcapping), which `sdpa` attention cannot "
            "compute; use a model without capping"
        )
    try:
        model.set_attn_implementation(IMPLEMENTATION)
    except (ValueError, ImportError) as error:
        raise TeacherError(f"{config.model_type} cannot use `sdpa` attention: {error}") from error
