"""Reads attention weights of chosen query tokens on any decoder, without a fork of its code and without full maps.

transformers lets an attention function be registered by name and hands unknown keyword arguments of a model call
through to it. Ours computes the output with the stock ``sdpa`` function and, where a recorder travels with the call,
recomputes the softmax for the recorder's few rows alone. Where the number of the last layer that is needed travels with
it, the pass ends there. Models that cap their attention logits, which ``sdpa`` cannot, get their output from the same
arithmetic as the recorded rows, a block of rows at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from teachers.errors import TeacherError

IMPLEMENTATION = "recorded"
MASKED_HEADS = "_masked_heads"
"""Attribute of an attention module: indices of the heads whose outputs are zero, see `teachers.masking`."""

# Rows whose logits stand in memory at once where sdpa cannot be used.
_BLOCK = 256
# What a model may add to its softmax beside the mask: the recorded weights would leave it out.
_UNREADABLE = {"s_aux": "attention sinks", "position_bias": "a position bias"}

Span = tuple[int, int]


class _PassEnded(Exception):
    """Leaves the model from inside the last layer that a pass needs."""


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

    def record(
        self, layer: int, query: Tensor, key: Tensor, mask: Tensor | None, scaling: float, softcap: float | None = None
    ) -> None:
        """Add one layer: query (batch, heads, tokens, dim), key (batch, kv_heads, keys, dim).

        ``mask`` is what the model hands to its attention function: bool (True = visible) or additive, with axes
        (batch or 1, heads or 1, tokens, keys); None means causal, aligned at the last key.
        """
        visible = _visible(mask, query, key)
        entries = []
        for prompt, (start, end) in enumerate(self.rows):
            own = min(prompt, len(visible) - 1)
            weights = _weights(
                query[prompt, None, :, start:end], key[prompt, None], visible[own, None, :, start:end], scaling, softcap
            )
            entries.append(weights[0, ..., self.keys[0] : self.keys[1]].mean(1))
        self._by_layer[layer] = torch.stack(entries)

    def stacked(self) -> Tensor:
        """Recorded weights, (batch, layers, heads, keys), fp32, where the first layer works; each is in [0, 1]."""
        layers = [self._by_layer[layer] for layer in sorted(self._by_layer)]
        return torch.stack([weights.to(layers[0].device) for weights in layers], dim=1)

    @property
    def layer_count(self) -> int:
        """Layers recorded so far."""
        return len(self._by_layer)


class PeakRecorder:
    """The key that each chosen token of one text attends to most, one entry a layer; no map is kept.

    Args:
        rows: half-open range of chosen tokens, counted in the tokens of this pass.
    """

    def __init__(self, rows: Span) -> None:
        self.rows = rows
        self._by_layer: dict[int, Tensor] = {}

    def record(
        self, layer: int, query: Tensor, key: Tensor, mask: Tensor | None, scaling: float, softcap: float | None = None
    ) -> None:
        """Add one layer of a batch of one; arguments as for `AttentionRecorder.record`."""
        own = slice(*self.rows)
        weights = _weights(query[:, :, own], key, _visible(mask, query, key)[:, :, own], scaling, softcap)
        self._by_layer[layer] = weights[0].argmax(-1).cpu()

    def stacked(self) -> Tensor:
        """Positions among all keys, (layers, heads, rows), int64 on the CPU; of equal keys the first."""
        return torch.stack([self._by_layer[layer] for layer in sorted(self._by_layer)])


def _weights(query: Tensor, key: Tensor, visible: Tensor, scaling: float, softcap: float | None) -> Tensor:
    """Attention weights (batch, heads, rows, keys) in fp32.

    Args:
        query: (batch, heads, rows, dim).
        key: (batch, kv_heads, keys, dim).
        visible: (batch or 1, heads or 1, rows, keys), bool or additive.
        scaling: factor of the logits.
        softcap: bound that tanh keeps them under, None for none.
    """
    batch, heads, rows, dim = query.shape
    # grouping the query heads of one key head into rows spares a copy of the keys for each of them
    grouped = query.reshape(batch, key.shape[1], -1, dim).float()
    logits = (grouped @ key.float().transpose(2, 3)).reshape(batch, heads, rows, -1) * scaling
    if softcap is not None:
        logits = softcap * (logits / softcap).tanh()
    logits = logits.masked_fill(~visible, -torch.inf) if visible.dtype == torch.bool else logits + visible.float()
    return logits.softmax(-1)


def _visible(mask: Tensor | None, query: Tensor, key: Tensor) -> Tensor:
    """What each token may attend to: (batch or 1, heads or 1, tokens, keys), bool or additive."""
    if mask is not None:
        return mask[..., : key.shape[2]]
    tokens, keys = query.shape[2], key.shape[2]
    position = torch.arange(keys - tokens, keys, device=query.device)
    return (torch.arange(keys, device=query.device)[None] <= position[:, None])[None, None]


def _capped_attention(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, scaling: float, softcap: float
) -> Tensor:
    """Attention output (batch, tokens, heads, dim) with capped logits."""
    visible = _visible(mask, query, key)
    outputs = []
    for start in range(0, query.shape[2], _BLOCK):
        rows = slice(start, start + _BLOCK)
        weights = _weights(query[:, :, rows], key, visible[:, :, rows], scaling, softcap).to(value.dtype)
        # padding may see nothing at all: its weights are no numbers, and its output is read by nobody
        weights = weights.nan_to_num(0.0)
        batch, heads, length, keys = weights.shape
        grouped = weights.reshape(batch, value.shape[1], -1, keys) @ value
        outputs.append(grouped.reshape(batch, heads, length, -1))
    return torch.cat(outputs, 2).transpose(1, 2).contiguous()


def _attend(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    attention_recorder: AttentionRecorder | PeakRecorder | None = None,
    last_layer: int | None = None,
    softcap: float | None = None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    for name, what in _UNREADABLE.items():
        if kwargs.get(name) is not None:
            raise TeacherError(f"{type(module).__name__} adds {what} to its softmax, which cannot be read exactly")
    scaling = kwargs.get("scaling")
    scaling = query.shape[-1] ** -0.5 if scaling is None else scaling
    if attention_recorder is not None:
        attention_recorder.record(module.layer_idx, query, key, attention_mask, scaling, softcap)
    if module.layer_idx == last_layer:
        raise _PassEnded
    if softcap is not None:
        output = _capped_attention(query, key, value, attention_mask, scaling, softcap)
    else:
        output, _ = sdpa_attention_forward(module, query, key, value, attention_mask, **kwargs)
    masked = getattr(module, MASKED_HEADS, None)
    return (output if masked is None else output.index_fill(2, masked.to(output.device), 0.0)), None


# The mask function must be registered too: without it transformers passes no mask and padding is attended to.
AttentionInterface.register(IMPLEMENTATION, _attend)
AttentionMaskInterface.register(IMPLEMENTATION, sdpa_mask)


def use_recorded_attention(model: PreTrainedModel) -> None:
    """Switch ``model`` to the recording attention; its outputs stay those of ``sdpa``, or of capped attention.

    Raises:
        TeacherError: the model does not use transformers' attention interface, or keeps its layers elsewhere than in
            its decoder's ``layers``, where the pass is ended. One that adds a term of its own to the softmax, such as
            attention sinks, is refused at its first pass.
    """
    name = model.config.get_text_config().model_type
    if not isinstance(getattr(model.get_decoder(), "layers", None), nn.ModuleList):
        raise TeacherError(f"{name} keeps no `layers` in its decoder as Llama, Qwen, Mistral and Gemma do")
    try:
        model.set_attn_implementation(IMPLEMENTATION)
    except (ValueError, ImportError) as error:
        raise TeacherError(f"{name} cannot use the recording attention: {error}") from error


def run_up_to(last_layer: int, backbone: nn.Module, **inputs: Any) -> None:
    """Run ``backbone``, which has recorded attention, as far as keys and recorded weights of ``last_layer`` need it.

    That layer's attention output and MLP, and whatever comes after it, are left out.
    """
    with suppress(_PassEnded):
        backbone(**inputs, last_layer=last_layer)
