"""Copy-paste retrieval heads: those that look at the very token of the needle that the model is writing.

Source: Wu et al., Retrieval Head Mechanistically Explains Long-Context Factuality, ICLR 2025, arXiv 2404.15574: a
head's retrieval score is the share of the needle's tokens that it copied, where a token counts as copied if, at the
step that writes it, the head attends to it in the needle more than to anything else. Ours: a token of the needle counts
once however often it is written, so that a score is a share; recall of the needle is counted in tokens, not in words;
the answer is written first and one recorded pass then tells where every step looked, as no token looks ahead.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt
from torch import Tensor
from transformers import DynamicCache, GenerationConfig, PreTrainedModel

from teachers.attention import PeakRecorder, use_recorded_attention
from teachers.errors import TeacherError
from teachers.heads import Head
from teachers.needles import NeedlePrompt, refuse_too_long
from teachers.placement import input_device


class CopySettings(BaseModel):
    """How the answer comes about and which trials count."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    teacher_forced: bool = Field(
        False, description="the needle itself is taken for the answer, for models that do not give it of their own"
    )
    extra_tokens: NonNegativeInt = Field(16, description="tokens that an answer may be longer than the needle")
    least_recall: float = Field(
        0.5, ge=0, le=1, description="share of the needle's tokens that an answer must hold for the trial to count"
    )


@dataclass(frozen=True, slots=True)
class CopyTrial:
    """One needle and what was copied of it.

    Args:
        copied: share of the needle's tokens that each head copied, (layers, heads), in [0, 1].
        answer: token ids that the model wrote, or that it was given.
        recall: share of the needle's tokens, each as often as it stands there, that the answer holds.
        counts: whether the recall suffices.
    """

    copied: Tensor
    answer: list[int]
    recall: float
    counts: bool


def copy_trial(model: PreTrainedModel, prompt: NeedlePrompt, settings: CopySettings) -> CopyTrial:
    """Let the model answer and look at what every head attended to meanwhile.

    Args:
        model: any causal language model of transformers; it is switched to the recording attention.
        prompt: asks for the needle.
        settings: how the answer comes about.

    Raises:
        TeacherError: prompt and answer do not fit the model's context, or its attention cannot be recorded.
    """
    use_recorded_attention(model)
    room = len(prompt.answer) if settings.teacher_forced else len(prompt.answer) + settings.extra_tokens
    refuse_too_long(model, len(prompt.ids) + room)
    # a cache built without the config keeps every key, so positions stay absolute where a layer's window slides
    cache = DynamicCache()
    answer = prompt.answer if settings.teacher_forced else _written(model, prompt, room, cache)
    peaks = _peaks(model, prompt, answer, cache)
    recall = needle_recall(prompt.answer, answer)
    return CopyTrial(copied_share(peaks, answer, prompt), answer, recall, recall >= settings.least_recall)


def copy_scores(trials: Sequence[CopyTrial]) -> Tensor:
    """Each head's retrieval score, (layers, heads) in [0, 1]: the mean share over the trials that count.

    Raises:
        TeacherError: none counts.
    """
    counted = [trial.copied for trial in trials if trial.counts]
    if not counted:
        best = max((trial.recall for trial in trials), default=0.0)
        raise TeacherError(
            f"in none of {len(trials)} trials did the model write enough of the needle (best recall {best:.2f}); "
            "lower least_recall, or force the needle with teacher_forced"
        )
    return torch.stack(counted).mean(0)


def copy_heads(scores: Tensor, count: int) -> list[Head]:
    """The ``count`` heads with the highest ``scores`` (layers, heads), ties by place; fewer if fewer copied at all."""
    order = scores.flatten().double().argsort(descending=True, stable=True)[: min(count, int((scores > 0).sum()))]
    return [Head.of_flat(flat, scores.shape[1]) for flat in order.tolist()]


def copied_share(peaks: Tensor, answer: Sequence[int], prompt: NeedlePrompt) -> Tensor:
    """Share of the needle's tokens that each head copied, (layers, heads).

    Args:
        peaks: position that each head attended to most at each step, (layers, heads, steps).
        answer: token written at each step.
        prompt: holds the needle.
    """
    start, end = prompt.needle
    ids = torch.tensor(prompt.ids)
    inside = (peaks >= start) & (peaks < end)
    place = (peaks - start).clamp(0, end - start - 1)
    same = ids[place + start] == torch.tensor(list(answer))
    # marked by place: a token written twice is copied once
    copied = torch.zeros(*peaks.shape[:2], end - start).scatter_add(2, place, (inside & same).float())
    return (copied > 0).float().mean(-1)


def needle_recall(needle: Sequence[int], answer: Sequence[int]) -> float:
    """Share of the needle's tokens that ``answer`` holds, each counted as often as it stands in both."""
    return (Counter(needle) & Counter(answer)).total() / len(needle)


@torch.inference_mode()
def _written(model: PreTrainedModel, prompt: NeedlePrompt, room: int, cache: DynamicCache) -> list[int]:
    """What the model writes, greedily, up to ``room`` tokens; the cache then holds all but the last of them."""
    ids = torch.tensor([prompt.ids], device=input_device(model))
    own = model.generation_config
    end = own.eos_token_id if own is not None else model.config.get_text_config().eos_token_id
    pad = end[0] if isinstance(end, list) else end
    # a configuration of its own: the model's may ask for sampling
    greedy = GenerationConfig(max_new_tokens=room, do_sample=False, eos_token_id=end, pad_token_id=pad)
    generate: Callable[..., Tensor] = model.generate  # type: ignore[assignment]
    written = generate(ids, attention_mask=torch.ones_like(ids), generation_config=greedy, past_key_values=cache)
    return [int(token) for token in written[0, len(prompt.ids) :]]


@torch.inference_mode()
def _peaks(model: PreTrainedModel, prompt: NeedlePrompt, answer: Sequence[int], cache: DynamicCache) -> Tensor:
    """Position that each head attends to most at the step that writes each token, (layers, heads, steps).

    The row that writes a token is that of the token before it. What ``cache`` holds of the prompt is not read again.
    """
    known = len(prompt.ids) - 1
    if cache.get_seq_length() > known:
        cache.crop(known - cache.get_seq_length())
    held = cache.get_seq_length()
    ids = torch.tensor([[*prompt.ids, *answer[:-1]][held:]], device=input_device(model))
    recorder = PeakRecorder((known - held, known - held + len(answer)))
    model.get_decoder()(input_ids=ids, past_key_values=cache, use_cache=True, attention_recorder=recorder)
    return recorder.stacked()
