"""Head scores of one candidate list: how much each head moves attention to each document because of the query."""

from __future__ import annotations

import copy
import hashlib
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from transformers import DynamicCache, PreTrainedModel, PreTrainedTokenizerBase

from teachers.attention import AttentionRecorder, Span, use_recorded_attention
from teachers.errors import TeacherError
from teachers.prompt import ListPrompt, PromptBuilder, PromptSettings, cut_words
from teachers.windows import DocumentWeights, cut_windows, merge_windows


@dataclass(frozen=True, slots=True)
class HeadScores:
    """What one pass over one list tells; documents in the caller's order, tensors in fp32 on the CPU.

    Args:
        real: attention mass of each document under the query, (layers, heads, documents), in [0, 1].
        null: the same under the null query.
        masked: calibrated mass without the tokens at or below mean - 2 std within their document and head,
            (layers, heads, documents).
        all_heads: ICR's score, (documents): the same mask, taken on the sum over all heads read.
        state: mean hidden state of the query's own tokens at the state layer, (hidden,).
        truncated: words cut off each document, (documents), int64.
        tokens: tokens read: of the list's longer prompt, added up over windows and orders.
    """

    real: Tensor
    null: Tensor
    masked: Tensor
    all_heads: Tensor
    state: Tensor
    truncated: Tensor
    tokens: int


class HeadReader:
    """Reads head scores off a frozen decoder.

    Args:
        model: any causal language model of transformers; it is switched to the recording attention.
        tokenizer: its tokenizer.
        settings: the prompt's.
        depth: layers to run, None for all; the pass ends there.
        state_layer: layer whose output gives the query state, None for the middle of the whole model.

    Raises:
        TeacherError: the model's attention cannot be read exactly, or a layer lies beyond ``depth``.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        settings: PromptSettings,
        depth: int | None = None,
        state_layer: int | None = None,
    ) -> None:
        use_recorded_attention(model)
        config = model.config.get_text_config()
        self.prompts = PromptBuilder(tokenizer, settings)
        self.layer_count: int = config.num_hidden_layers
        self.heads_per_layer: int = config.num_attention_heads
        self.depth = self.layer_count if depth is None else depth
        self.state_layer = (self.layer_count - 1) // 2 if state_layer is None else state_layer
        if not 0 <= self.state_layer < self.depth <= self.layer_count:
            raise TeacherError(
                f"depth {self.depth} and state layer {self.state_layer} do not fit a model of {self.layer_count} layers"
            )
        self._context: int = config.max_position_embeddings
        self._backbone = _cut(model.get_decoder(), self.depth)
        self._model = model

    def at_depth(self, depth: int) -> HeadReader:
        """The same reader with a pass that ends after ``depth`` layers, but not before the state layer."""
        tokenizer, settings = self.prompts.tokenizer, self.prompts.settings
        return HeadReader(self._model, tokenizer, settings, max(depth, self.state_layer + 1), self.state_layer)

    def read(self, query: str, documents: Sequence[str]) -> HeadScores:
        """Head scores of ``documents``; unless the settings keep the caller's order, it does not matter.

        A list longer than one prompt is read in windows, see `teachers.windows`.

        Raises:
            TeacherError: no document, or documents too long for a window.
        """
        if not documents:
            raise TeacherError("an empty candidate list has no head scores")
        settings = self.prompts.settings
        cut = torch.tensor([cut_words(text, settings.max_document_words)[1] for text in documents])
        readings = []
        for order in range(settings.orders):
            texts = reading_order(query, documents, settings, order)
            columns = torch.tensor([texts.index(text) for text in documents])
            readings.append(self._read_in_order(query, texts, columns, cut))
        return readings[0] if len(readings) == 1 else _mean(readings)

    def _read_in_order(self, query: str, texts: list[str], columns: Tensor, cut: Tensor) -> HeadScores:
        prompts = self._windows(query, texts)
        passes = [self._forward(prompt) for prompt in prompts]
        read = merge_windows([weights for weights, _ in passes], self.prompts.settings.window_overlap)
        state = torch.stack([state for _, state in passes]).mean(0)
        return _per_document(read, columns, state, cut, sum(prompt.token_count for prompt in prompts))

    def _windows(self, query: str, texts: list[str]) -> list[ListPrompt]:
        """One prompt if it fits, else one for each window."""
        settings = self.prompts.settings
        limit = min(self._context, settings.window_tokens or self._context)
        whole = self.prompts.build(query, texts)
        if whole.token_count <= limit:
            return [whole]
        room = limit - (whole.token_count - sum(whole.lengths))
        ranges = cut_windows(whole.lengths, room, settings.window_overlap)
        return [self.prompts.build(query, texts[start:end]) for start, end in ranges]

    def describe(self) -> dict[str, Any]:
        """What head scores depend on beside the list: the prompt, the layers, the number type."""
        return {
            "prompt": self.prompts.fingerprint,
            "depth": self.depth,
            "state_layer": self.state_layer,
            "dtype": str(self._model.dtype).removeprefix("torch."),
        }

    @torch.inference_mode()
    def _forward(self, prompt: ListPrompt) -> tuple[DocumentWeights, Tensor]:
        """Weights of the real and the null query, and the query state (hidden,)."""
        device = self._model.device
        # a cache built without the config keeps every key, also of sliding layers, so spans stay absolute
        cache = DynamicCache()
        self._backbone(input_ids=torch.tensor([prompt.prefix], device=device), past_key_values=cache, use_cache=True)
        cache.batch_repeat_interleave(2)
        keys = (prompt.spans[0][0], prompt.spans[-1][1])
        recorder = AttentionRecorder([prompt.rows, prompt.null_rows], keys)
        # padded on the right: under a causal mask no token that is read can see the padding
        width = max(len(prompt.suffix), len(prompt.null_suffix))
        rows = [ids + ids[-1:] * (width - len(ids)) for ids in (prompt.suffix, prompt.null_suffix)]
        with _output_of(self._backbone.layers[self.state_layer]) as captured:
            self._backbone(
                input_ids=torch.tensor(rows, device=device), past_key_values=cache, use_cache=True,
                attention_recorder=recorder,
            )  # fmt: skip
        if recorder.layer_count != self.depth:
            raise TeacherError(
                f"{self._model.config.model_type} showed the attention of {recorder.layer_count} of {self.depth} "
                "layers; only models whose layers all use transformers' attention interface can be read"
            )
        start, end = prompt.query_tokens
        spans = [(begin - keys[0], stop - keys[0]) for begin, stop in prompt.spans]
        return DocumentWeights(recorder.stacked().cpu(), spans), captured[0][0, start:end].float().mean(0).cpu()


def canonical_order(query: str, documents: Sequence[str], order: int = 0) -> list[str]:
    """The distinct documents in an order that depends on the query and the texts alone.

    Equal texts are read once, so that they get equal scores wherever they stood. ``order`` numbers further orders of
    the same list.
    """
    texts = sorted(set(documents))
    content = "\x00".join([query, *texts, *([str(order)] if order else [])])
    random.Random(hashlib.sha256(content.encode("utf-8", "surrogatepass")).digest()).shuffle(texts)
    return texts


def reading_order(query: str, documents: Sequence[str], settings: PromptSettings, order: int = 0) -> list[str]:
    """The distinct documents as they stand in the prompt."""
    if settings.order == "best_last":
        return list(dict.fromkeys(documents))[::-1]
    return canonical_order(query, documents, order)


def _mean(readings: Sequence[HeadScores]) -> HeadScores:
    """The mean of several readings of one list; tokens add up."""
    names = ("real", "null", "masked", "all_heads", "state")
    means = {name: torch.stack([getattr(reading, name) for reading in readings]).mean(0) for name in names}
    return replace(readings[0], **means, tokens=sum(reading.tokens for reading in readings))


def _per_document(read: DocumentWeights, columns: Tensor, state: Tensor, cut: Tensor, tokens: int) -> HeadScores:
    """Sum token weights over each document's span; ``columns`` maps documents to spans."""
    weights, spans = read.weights, read.spans
    calibrated = weights[0] - weights[1]
    return HeadScores(
        real=_span_sums(weights[0], spans)[..., columns],
        null=_span_sums(weights[1], spans)[..., columns],
        masked=_masked_sums(calibrated, spans)[..., columns],
        all_heads=_masked_sums(calibrated.sum((0, 1)), spans)[columns],
        state=state,
        truncated=cut,
        tokens=tokens,
    )


def _span_sums(weights: Tensor, spans: Sequence[Span]) -> Tensor:
    return torch.stack([weights[..., start:end].sum(-1) for start, end in spans], -1)


def _masked_sums(weights: Tensor, spans: Sequence[Span]) -> Tensor:
    """Span sums without the tokens at or below mean - 2 unbiased std of their own span (ICR's outlier mask)."""
    sums = []
    for start, end in spans:
        inside = weights[..., start:end]
        if end - start > 1:
            floor = inside.mean(-1, keepdim=True) - 2 * inside.std(-1, keepdim=True)
            inside = inside.where(inside > floor, 0.0)
        sums.append(inside.sum(-1))
    return torch.stack(sums, -1)


def _cut(backbone: nn.Module, depth: int) -> Any:
    """A view of ``backbone`` that shares its weights and runs its first ``depth`` layers."""
    view: Any = copy.copy(backbone)
    view._modules = dict(backbone._modules)
    view.config = copy.deepcopy(backbone.config)
    view.config.num_hidden_layers = depth
    layers: Any = backbone.layers
    view.layers = nn.ModuleList(layers[:depth])
    return view


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
