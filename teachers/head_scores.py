"""Head scores of one candidate list: how much each head moves attention to each document because of the query."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from teachers.attention import Span
from teachers.errors import TeacherError
from teachers.placement import input_device
from teachers.prompt import ListPrompt, PromptBuilder, PromptSettings, cut_words
from teachers.prompt_pass import PromptPass, group_by_length
from teachers.windows import DocumentWeights, cut_windows, merge_windows

# Tokens of documents in one pass on an accelerator: enough rows to fill its matrix units, while the cache of a model of
# 8B stays at about 4 GiB. On a processor one list fills the cores, so padding would only cost.
_BATCH_TOKENS = 16_384


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


@dataclass(frozen=True, slots=True)
class ListReading:
    """One list as it was read.

    Args:
        scores: the mean over all orders of the documents.
        orders: scores of each order.
        tokens: if asked for, the calibrated weights of each document's tokens, (layers, heads, tokens) on the CPU, the
            mean over all orders; the tokens are those of `PromptBuilder.offsets`.
    """

    scores: HeadScores
    orders: list[HeadScores]
    tokens: list[Tensor]


class HeadReader:
    """Reads head scores off a frozen decoder.

    Args:
        model: any causal language model of transformers; it is switched to the recording attention.
        tokenizer: its tokenizer.
        settings: the prompt's.
        depth: layers to run, None for all; the pass ends there.
        state_layer: layer whose output gives the query state, None for the middle of the whole model, or the last that
            is read where the pass ends before.
        first_order: number of the first seeded order that is read, see `canonical_order`; readings from another number
            show how far a teacher agrees with itself.

    Raises:
        TeacherError: the model's attention cannot be read exactly, a layer lies beyond ``depth``, or the caller's order
            is kept, which has no second.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        settings: PromptSettings,
        depth: int | None = None,
        state_layer: int | None = None,
        first_order: int = 0,
    ) -> None:
        config = model.config.get_text_config()
        self.prompts = PromptBuilder(tokenizer, settings)
        self.layer_count: int = config.num_hidden_layers
        self.heads_per_layer: int = config.num_attention_heads
        self.depth = self.layer_count if depth is None else depth
        self.state_layer = min((self.layer_count - 1) // 2, self.depth - 1) if state_layer is None else state_layer
        if not 0 <= self.state_layer < self.depth <= self.layer_count:
            raise TeacherError(
                f"depth {self.depth} and state layer {self.state_layer} do not fit a model of {self.layer_count} "
                f"layers; depths up to {self.layer_count} are accepted, and state layers from 0 to below the depth"
            )
        if first_order and settings.order != "seeded":
            raise TeacherError(f"first_order is {first_order}, but the caller's order is one; give order: seeded")
        self.first_order = first_order
        # first, because it refuses families whose attention cannot be read: these may lack what is asked next
        self._pass = PromptPass(model, self.depth, self.state_layer)
        self._context: int = config.max_position_embeddings
        self._model = model

    @property
    def model(self) -> PreTrainedModel:
        """The whole model, whose attention is recorded."""
        return self._model

    @property
    def device(self) -> torch.device:
        """Where the model begins."""
        return input_device(self._model)

    def at_depth(self, depth: int, state_layer: int | None = None) -> HeadReader:
        """The same reader with a pass that ends after ``depth`` layers, but not before the state layer.

        ``state_layer`` is another one, for passes that end before this reader's; None keeps it.
        """
        tokenizer, settings = self.prompts.tokenizer, self.prompts.settings
        state_layer = self.state_layer if state_layer is None else state_layer
        depth = max(depth, state_layer + 1)
        return HeadReader(self._model, tokenizer, settings, depth, state_layer, self.first_order)

    def with_prompt(self, settings: PromptSettings, first_order: int = 0) -> HeadReader:
        """A reader of the same model and depth under another prompt; see the class for ``first_order``."""
        tokenizer = self.prompts.tokenizer
        return HeadReader(self._model, tokenizer, settings, self.depth, self.state_layer, first_order)

    def read(self, query: str, documents: Sequence[str]) -> HeadScores:
        """Head scores of ``documents``; unless the settings keep the caller's order, it does not matter.

        A list longer than one prompt is read in windows, see `teachers.windows`.

        Raises:
            TeacherError: no document, or documents too long for a window.
        """
        return self.read_many([(query, documents)])[0]

    @property
    def batch_tokens(self) -> int | None:
        """What suits the device as `read_many`'s ``batch_tokens``."""
        return None if self.device.type == "cpu" else _BATCH_TOKENS

    def read_many(
        self, lists: Sequence[tuple[str, Sequence[str]]], batch_tokens: int | None = None
    ) -> list[HeadScores]:
        """Head scores of each (query, documents), as `read` gives them but for rounding, in the order of ``lists``.

        Args:
            lists: queries, each with its documents.
            batch_tokens: tokens, padding included, that the documents of one pass may have; a longer prompt is read
                alone. None reads every prompt alone.

        Raises:
            TeacherError: a list without a document, or documents too long for a window.
        """
        return [reading.scores for reading in self.read_closely(lists, batch_tokens)]

    def read_closely(
        self,
        lists: Sequence[tuple[str, Sequence[str]]],
        batch_tokens: int | None = None,
        tokens: bool = False,
        on_window: Callable[[int, int], None] | None = None,
    ) -> list[ListReading]:
        """As `read_many`, with the scores in each order of the documents and, if asked for, their tokens' weights.

        ``on_window`` is told after each pass how many of all lists' windows are read, and how many there are.
        """
        orders = self.prompts.settings.orders
        numbers = range(self.first_order, self.first_order + orders)
        readings = [self._prepare(query, documents, order) for query, documents in lists for order in numbers]
        windows = [(number, place) for number, reading in enumerate(readings) for place in range(len(reading.prompts))]
        prompts = [prompt for reading in readings for prompt in reading.prompts]
        finished: dict[int, tuple[HeadScores, list[Tensor]]] = {}
        budget = batch_tokens if self._pass.batches else None
        done = 0
        for group in group_by_length([len(prompt.prefix) for prompt in prompts], budget):
            for member, read in zip(group, self._pass.run([prompts[member] for member in group]), strict=True):
                number, place = windows[member]
                if readings[number].add(place, read):
                    finished[number] = readings[number].finish(tokens)
            done += len(group)
            if on_window is not None:
                on_window(done, len(prompts))
        starts = range(0, len(readings), orders)
        return [_over_orders([finished[start + order] for order in range(orders)]) for start in starts]

    def _prepare(self, query: str, documents: Sequence[str], order: int) -> _Reading:
        if not documents:
            raise TeacherError("an empty candidate list has no head scores")
        settings = self.prompts.settings
        texts = reading_order(query, documents, settings, order)
        cut = torch.tensor([cut_words(text, settings.max_document_words)[1] for text in documents])
        columns = torch.tensor([texts.index(text) for text in documents])
        return _Reading(self._windows(query, texts), settings.window_overlap, columns, cut)

    def _windows(self, query: str, texts: list[str]) -> list[ListPrompt]:
        """One prompt if it fits, else one for each window."""
        settings = self.prompts.settings
        limit = min(self._context, settings.window_tokens or self._context)
        whole = self.prompts.build(query, texts)
        if whole.token_count <= limit:
            return [whole]
        room = limit - (whole.token_count - sum(whole.lengths))
        windows = cut_windows(whole.lengths, room, settings.window_overlap)
        return [self.prompts.build(query, [texts[place] for place in window]) for window in windows]

    def describe(self) -> dict[str, Any]:
        """What head scores depend on beside the list: the prompt, the layers, the number type."""
        return {
            "prompt": self.prompts.fingerprint,
            "orders": self.prompts.settings.orders,
            # told only where it differs, so that what was read before there was a choice is still known
            **({"first_order": self.first_order} if self.first_order else {}),
            "depth": self.depth,
            "state_layer": self.state_layer,
            "dtype": str(self._model.dtype).removeprefix("torch."),
        }


@dataclass(slots=True)
class _Reading:
    """One order of one list while its windows are read.

    Args:
        prompts: one for each window.
        overlap: documents that all windows share.
        columns: place in the prompts of each document, (documents,).
        cut: words cut off each document, (documents,).
    """

    prompts: list[ListPrompt]
    overlap: int
    columns: Tensor
    cut: Tensor
    _passes: dict[int, tuple[DocumentWeights, Tensor]] = field(default_factory=dict)

    def add(self, window: int, read: tuple[DocumentWeights, Tensor]) -> bool:
        """Take in the weights and the query state of one window; whether it was the last one missing."""
        self._passes[window] = read
        return len(self._passes) == len(self.prompts)

    def finish(self, tokens: bool) -> tuple[HeadScores, list[Tensor]]:
        """Scores over all windows, and if asked for the calibrated weights of each document's tokens.

        The passes' weights, far larger than the documents', are let go.
        """
        merged = merge_windows([self._passes[window][0] for window in range(len(self.prompts))], self.overlap)
        state = torch.stack([self._passes[window][1] for window in range(len(self.prompts))]).mean(0)
        self._passes.clear()
        count = sum(prompt.token_count for prompt in self.prompts)
        scores = _per_document(merged, self.columns, state, self.cut, count)
        if not tokens:
            return scores, []
        calibrated = (merged.weights[0] - merged.weights[1]).cpu()
        spans = [merged.spans[column] for column in self.columns.tolist()]
        # copies: a view would keep the whole prompt's weights
        return scores, [calibrated[..., start:end].clone() for start, end in spans]


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


def mean_scores(orders: Sequence[HeadScores]) -> HeadScores:
    """The mean of one list's scores in several orders; the tokens that were read add up."""
    names = ("real", "null", "masked", "all_heads", "state")
    means = {name: torch.stack([getattr(scores, name) for scores in orders]).mean(0) for name in names}
    return replace(orders[0], **means, tokens=sum(scores.tokens for scores in orders))


def _over_orders(readings: Sequence[tuple[HeadScores, list[Tensor]]]) -> ListReading:
    orders = [scores for scores, _ in readings]
    tokens = [torch.stack(weights).mean(0) for weights in zip(*(weights for _, weights in readings), strict=True)]
    return ListReading(mean_scores(orders), orders, tokens)


def _per_document(read: DocumentWeights, columns: Tensor, state: Tensor, cut: Tensor, tokens: int) -> HeadScores:
    """Sum token weights over each document's span; ``columns`` maps documents to spans."""
    calibrated = read.weights[0] - read.weights[1]
    # summed where the model is: the sums are a hundredth of what they are taken over
    sums = {
        "real": _span_sums(read.weights[0], read.spans),
        "null": _span_sums(read.weights[1], read.spans),
        "masked": _masked_sums(calibrated, read.spans),
        "all_heads": _masked_sums(calibrated.sum((0, 1)), read.spans),
    }
    per_document = {name: values.cpu()[..., columns] for name, values in sums.items()}
    return HeadScores(**per_document, state=state.cpu(), truncated=cut, tokens=tokens)


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
