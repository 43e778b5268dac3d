"""Runs a frozen decoder over list prompts: the documents once, then the real and the null query behind them."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from transformers import DynamicCache, PreTrainedModel

from teachers.attention import AttentionRecorder, run_up_to, use_recorded_attention
from teachers.errors import TeacherError
from teachers.placement import input_device, without_own_hook
from teachers.prompt import ListPrompt
from teachers.windows import DocumentWeights


class PromptPass:
    """The passes that read prompts off a model, one prompt or several at once.

    Several prompts are padded to one length. Behind the documents that changes nothing, as no token looks ahead; for
    the queries' turn the padding is moved in front of the documents and masked, so that a sliding window, which counts
    places in the cache, still reaches as far as without padding.

    Args:
        model: any causal language model of transformers; it is switched to the recording attention.
        depth: layers to run; the pass ends there.
        state_layer: layer whose output gives the query state, below ``depth``.

    ``batches`` is False where the model would not read several prompts as it reads each of them.

    Raises:
        TeacherError: the model's attention cannot be read exactly.
    """

    def __init__(self, model: PreTrainedModel, depth: int, state_layer: int) -> None:
        use_recorded_attention(model)
        self.depth = depth
        self.state_layer = state_layer
        # longrope turns the positions of a whole batch by its longest text: prompts together differ from prompts alone
        self.batches = "longrope" not in _position_encodings(model)
        self._backbone = cut_backbone(model, depth)
        self._model = model

    @torch.inference_mode()
    def run(self, prompts: Sequence[ListPrompt]) -> list[tuple[DocumentWeights, Tensor]]:
        """Each prompt's weights of the real and the null query, and its query state (hidden,).

        The weights are where the first layer works, the state where the state layer does.

        Raises:
            TeacherError: not all layers of the model use transformers' attention interface.
        """
        prompts = [prompt.trimmed() for prompt in prompts]
        longest = max(len(prompt.prefix) for prompt in prompts)
        padding = [longest - len(prompt.prefix) for prompt in prompts]
        rows = [rows for prompt in prompts for rows in (prompt.rows, prompt.null_rows)]
        recorder = AttentionRecorder(rows, (0, longest))
        cache = self._read_documents(prompts, padding)
        states = self._read_queries(prompts, padding, cache, recorder)
        pairs = recorder.stacked().split(2)
        return [
            (_document_weights(prompt, pair[..., pad:]), states[2 * place, slice(*prompt.query_tokens)].float().mean(0))
            for place, (prompt, pair, pad) in enumerate(zip(prompts, pairs, padding, strict=True))
        ]

    def _read_documents(self, prompts: Sequence[ListPrompt], padding: Sequence[int]) -> DynamicCache:
        """Keys and values of the documents, twice for each prompt, behind the padding."""
        # a cache built without the config keeps every key, also of sliding layers, so spans stay absolute
        cache = DynamicCache()
        ids = self._ids([prompt.prefix for prompt in prompts])
        run_up_to(self.depth - 1, self._backbone, input_ids=ids, past_key_values=cache, use_cache=True)
        cache.batch_repeat_interleave(2)
        if any(padding):
            _push_right(cache, torch.tensor(padding).repeat_interleave(2))
        return cache

    def _read_queries(
        self, prompts: Sequence[ListPrompt], padding: Sequence[int], cache: DynamicCache, recorder: AttentionRecorder
    ) -> Tensor:
        """The state layer's output for the real and null suffix of each prompt in turn, (suffixes, tokens, hidden)."""
        ids = self._ids([suffix for prompt in prompts for suffix in (prompt.suffix, prompt.null_suffix)])
        inputs: dict[str, Any] = {"input_ids": ids, "past_key_values": cache, "use_cache": True}
        if any(padding):
            inputs |= _places(prompts, padding, ids)
        # the state is a layer's output, so a last layer that gives it must run to its end
        last = self.depth if self.state_layer == self.depth - 1 else self.depth - 1
        with _output_of(self._backbone.layers[self.state_layer]) as captured:
            run_up_to(last, self._backbone, **inputs, attention_recorder=recorder)
        if recorder.layer_count != self.depth:
            raise TeacherError(
                f"{self._model.config.model_type} showed the attention of {recorder.layer_count} of {self.depth} "
                "layers; only models whose layers all use transformers' attention interface can be read"
            )
        return captured[0]

    def _ids(self, texts: Sequence[list[int]]) -> Tensor:
        """Token ids (texts, tokens), each text repeating its last token up to the longest's length."""
        width = max(len(ids) for ids in texts)
        return torch.tensor([ids + ids[-1:] * (width - len(ids)) for ids in texts], device=input_device(self._model))


def group_by_length(lengths: Sequence[int], batch_tokens: int | None) -> list[list[int]]:
    """Places of ``lengths`` in groups of similar length, each within ``batch_tokens`` padded tokens or of one place.

    Args:
        lengths: tokens of each text.
        batch_tokens: what a group's size times its longest text may reach, None for groups of one.
    """
    groups: list[list[int]] = []
    for place in sorted(range(len(lengths)), key=lengths.__getitem__):
        if groups and batch_tokens is not None and (len(groups[-1]) + 1) * lengths[place] <= batch_tokens:
            groups[-1].append(place)
        else:
            groups.append([place])
    return groups


def cut_backbone(model: PreTrainedModel, depth: int) -> Any:
    """A view of ``model``'s decoder, without its vocabulary head, that shares its weights and runs ``depth`` layers."""
    backbone: Any = model.get_decoder()
    view: Any = without_own_hook(copy.copy(backbone))
    view._modules = dict(backbone._modules)
    view.config = copy.deepcopy(backbone.config)
    view.config.num_hidden_layers = depth
    view.layers = nn.ModuleList(backbone.layers[:depth])
    return view


def _position_encodings(model: PreTrainedModel) -> set[str | None]:
    """Kinds of rotary positions that the model's layers use; empty for none."""
    parameters = getattr(model.config.get_text_config(), "rope_parameters", None) or {}
    by_layer = [entry for entry in parameters.values() if isinstance(entry, dict)] or [parameters]
    return {entry.get("rope_type") for entry in by_layer}


def _document_weights(prompt: ListPrompt, weights: Tensor) -> DocumentWeights:
    """Weights (2, layers, heads, tokens) of the whole prefix, cut to the documents."""
    first, last = prompt.spans[0][0], prompt.spans[-1][1]
    return DocumentWeights(weights[..., first:last], [(start - first, end - first) for start, end in prompt.spans])


def _push_right(cache: DynamicCache, padding: Tensor) -> None:
    """Move the padding, (batch,) tokens at the end of each entry of the cache, to its start, in place."""
    layers: Sequence[Any] = cache.layers
    for layer in layers:
        # each layer's keys are where the layer works
        place = torch.arange(layer.keys.shape[2], device=layer.keys.device)
        source = ((place - padding.to(place.device)[:, None]) % len(place))[:, None, :, None]
        layer.keys = layer.keys.gather(2, source.expand_as(layer.keys))
        layer.values = layer.values.gather(2, source.expand_as(layer.values))


def _places(prompts: Sequence[ListPrompt], padding: Sequence[int], ids: Tensor) -> dict[str, Tensor]:
    """Mask and positions of suffixes ``ids`` (suffixes, tokens) behind documents that stand behind padding."""
    before = torch.tensor(padding, device=ids.device).repeat_interleave(2)[:, None]
    longest = len(prompts[0].prefix) + padding[0]
    place = torch.arange(longest + ids.shape[1], device=ids.device)
    return {"attention_mask": (place >= before).long(), "position_ids": place[longest:] - before}


@contextmanager
def _output_of(layer: nn.Module) -> Iterator[list[Tensor]]:
    """Collects the hidden states (batch, tokens, hidden) that ``layer`` puts out while the context is open."""
    captured: list[Tensor] = []

    def keep(_: nn.Module, __: Any, output: Any) -> None:
        captured.append(output[0] if isinstance(output, tuple) else output)

    handle = layer.register_forward_hook(keep)
    try:
        yield captured
    finally:
        handle.remove()
