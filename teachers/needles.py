"""Needle-in-a-haystack prompts: one sentence that answers a question, at a chosen depth among sentences that do not.

The needle is tokenised alone both in the context and in the answer, so that its tokens are the same ids in both and
their places are noted while the prompt is built, never searched.

Source: Kamradt, Needle In A Haystack, 2023 (lengths and depths); Wu et al., Retrieval Head Mechanistically Explains
Long-Context Factuality, ICLR 2025, arXiv 2404.15574 (the question whose answer is the needle).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from teachers.attention import Span
from teachers.chat import ChatFrame
from teachers.errors import TeacherError
from teachers.placement import input_device


class NeedleSettings(BaseModel):
    """What the prompt says around the context."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    introduction: str = Field("Here is a text:", description="opens the prompt, before the context")
    instruction: str = Field(
        "Answer the question with the sentence of the text that answers it, word for word.",
        description="stands between the context and the question",
    )


@dataclass(frozen=True, slots=True)
class NeedlePrompt:
    """Token ids of one prompt and of the answer that it asks for.

    Args:
        ids: the prompt, the header of the answer included.
        context: tokens of the haystack and the needle together, in ``ids``.
        needle: tokens of the needle, in ``ids``.
        answer: the needle's ids.
        depth: share of the haystack's tokens that stand before the needle, in [0, 1].
    """

    ids: list[int]
    context: Span
    needle: Span
    answer: list[int]
    depth: float


class NeedleBuilder:
    """Builds needle prompts with a tokenizer's own chat template, or plainly where it has none."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, settings: NeedleSettings) -> None:
        self.settings = settings
        # a model that thinks aloud first would not begin with the needle
        self._frame = ChatFrame(tokenizer, enable_thinking=False)

    def build(self, question: str, needle: str, haystack: Sequence[str], tokens: int, depth: float) -> NeedlePrompt:
        """The prompt whose context is as many texts of ``haystack``, in their order, as fit beside the needle.

        Args:
            question: what the needle answers.
            needle: the sentence to be found.
            haystack: texts that do not answer the question.
            tokens: most tokens of the context; it has fewer by less than the text that did not fit.
            depth: share of the haystack that stands before the needle, in [0, 1], met as nearly as whole texts can.

        Raises:
            TeacherError: a needle without tokens or longer than the context, a depth outside [0, 1], or a haystack that
                ends before the context is full.
        """
        if not 0 <= depth <= 1:
            raise TeacherError(f"the needle's depth is a share of the haystack from 0 to 1; got {depth}")
        answer = self._frame.data(needle)
        line = self._frame.data("\n")
        if not answer or len(answer) + len(line) > tokens:
            raise TeacherError(f"a needle of {len(answer)} tokens does not fit a context of {tokens}")
        pieces = self._fill(haystack, tokens - len(answer) - len(line), line)
        before = _texts_before([len(piece) for piece in pieces], depth)
        ids = self._frame.opening() + self._frame.data(self.settings.introduction + "\n")
        start = len(ids)
        ids += [token for piece in pieces[:before] for token in piece]
        at = len(ids)
        ids += answer + line + [token for piece in pieces[before:] for token in piece]
        end = len(ids)
        ids += self._frame.data(f"\n{self.settings.instruction}\n\nQuestion: ") + self._frame.data(question)
        ids += self._frame.closing()
        total = sum(map(len, pieces))
        reached = (at - start) / total if total else 0.0
        return NeedlePrompt(ids, (start, end), (at, at + len(answer)), answer, reached)

    def _fill(self, haystack: Sequence[str], room: int, line: list[int]) -> list[list[int]]:
        """The first texts that fit into ``room`` tokens, each with its line break."""
        pieces: list[list[int]] = []
        left = room
        for text in haystack:
            piece = self._frame.data(text) + line
            if len(piece) > left:
                return pieces
            pieces.append(piece)
            left -= len(piece)
        if left:
            raise TeacherError(f"the haystack has {room - left} tokens and the context takes {room}; give more texts")
        return pieces


def _texts_before(lengths: Sequence[int], depth: float) -> int:
    """How many texts stand before a needle at ``depth``: the tokens before it come nearest to that share."""
    target = depth * sum(lengths)
    places = [sum(lengths[:count]) for count in range(len(lengths) + 1)]
    return min(range(len(places)), key=lambda count: abs(places[count] - target))


@torch.inference_mode()
def needle_log_probabilities(model: PreTrainedModel, prompt: NeedlePrompt) -> Tensor:
    """Log-probability of each token of the needle as the answer, given the prompt and the needle's tokens before it.

    Returns:
        (answer tokens,), fp32 on the CPU, in natural logarithms.

    Raises:
        TeacherError: prompt and answer are longer than the model's context.
    """
    refuse_too_long(model, len(prompt.ids) + len(prompt.answer))
    ids = torch.tensor([prompt.ids + prompt.answer[:-1]], device=input_device(model))
    # logits are needed at the answer alone: over all positions they would outweigh the model
    logits = model(input_ids=ids, logits_to_keep=len(prompt.answer), use_cache=False).logits[0].float().cpu()
    return logits.log_softmax(-1).gather(1, torch.tensor(prompt.answer)[:, None])[:, 0]


def refuse_too_long(model: PreTrainedModel, tokens: int) -> None:
    """Stop before a text that the model's positions do not reach.

    Raises:
        TeacherError: it is longer than the model's context.
    """
    limit = model.config.get_text_config().max_position_embeddings
    if tokens > limit:
        raise TeacherError(f"prompt and answer have {tokens} tokens and the model's context {limit}; ask for less")
