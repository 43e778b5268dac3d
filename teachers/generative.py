"""A listwise teacher that answers in words: the model reads numbered documents and writes the order of those that help.

It stands beside the teachers that read heads as the way it is usually done: one pass over the prompt and then one for
every token of the answer. What the answer leaves out is missing.

Source: Choi et al., RRADistill, EMNLP 2024 industry track (documents left out of the answer are irrelevant).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, Field, PositiveInt
from transformers import GenerationConfig, PreTrainedModel, PreTrainedTokenizerBase

from teachers.agreement import agreement
from teachers.chat import ChatFrame
from teachers.errors import TeacherError
from teachers.head_scores import canonical_order
from teachers.prompt import cut_words

# "[12] > " in any tokenizer, with room for numbers that fall into digits
_TOKENS_PER_DOCUMENT = 8
_SHOWN_OF_ANSWER = 200


class GenerativeSettings(BaseModel):
    """What the model is asked."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    introduction: str = Field(
        "Here are {count} passages, each with its number in brackets.",
        description="opens the prompt; {count} is the number of passages",
    )
    instruction: str = Field(
        "Rank the passages that help to answer the query, the most helpful first, in the form [2] > [1]. Leave out "
        "every passage that does not help. Write the numbers only.",
        description="stands behind the query",
    )
    max_document_words: PositiveInt = Field(100, description="words of a document that are read")
    max_query_words: PositiveInt = Field(64, description="words of a query that are read")
    orders: PositiveInt = Field(1, description="seeded orders of the documents that are read and averaged")


@dataclass(frozen=True, slots=True)
class _Answer:
    """Places of the documents that an answer names, best first, what was odd about it, and tokens of its prompt."""

    places: list[int]
    notes: list[str]
    tokens: int


class GenerativeTeacher:
    """Judges lists by the order that a frozen model writes down, greedily decoded.

    Args:
        model: any causal language model of transformers.
        tokenizer: its tokenizer.
        settings: what it is asked.
        model_id: what identifies the model's weights, for provenance.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        settings: GenerativeSettings,
        model_id: Mapping[str, str],
    ) -> None:
        self._model = model
        self._tokenizer = tokenizer
        self._settings = settings
        self._model_id = dict(model_id)
        # a model that thinks aloud first would spend its answer on that
        self._frame = ChatFrame(tokenizer, enable_thinking=False)

    def judge(self, query: str, documents: Sequence[str]) -> list[dict[str, Any]]:
        """One mapping a document, in the given order: ``score``, ``missing``, ``truncated``, ``tokens``, ``note``.

        ``score``: documents below it in the answer, averaged over orders; ``missing``: no answer names the document.
        ``note``: what was odd about an answer that could be used. With several orders also ``confidence``.

        Raises:
            TeacherError: no document, a list that the model's context does not hold, or an answer that names none of
                the documents; it is quoted.
        """
        if not documents:
            raise TeacherError("an empty list cannot be ranked")
        orders = [canonical_order(query, documents, order) for order in range(self._settings.orders)]
        answers = [self._answer(query, texts) for texts in orders]
        points = [
            {texts[place]: len(texts) - rank for rank, place in enumerate(answer.places)}
            for texts, answer in zip(orders, answers, strict=True)
        ]
        of_list: dict[str, Any] = {
            "tokens": sum(answer.tokens for answer in answers),
            "note": "; ".join(dict.fromkeys(note for answer in answers for note in answer.notes)) or None,
        }
        if len(orders) > 1:
            of_list["confidence"] = agreement([[given.get(text, 0) for text in orders[0]] for given in points])
        limit = self._settings.max_document_words
        return [
            {
                "score": sum(given.get(document, 0) for given in points) / len(points),
                "missing": not any(document in given for given in points),
                "truncated": cut_words(document, limit)[1],
                **of_list,
            }
            for document in documents
        ]

    def describe(self) -> dict[str, Any]:
        """Provenance: the model, what it is asked, and in which number type it answers."""
        asked = [self._frame.before, self._frame.after, self._settings.model_dump(mode="json")]
        dtype = str(self._model.dtype).removeprefix("torch.")
        return {"teacher": {"method": "generative"}, "model": self._model_id, "asked": asked, "dtype": dtype}

    def prompt(self, query: str, documents: Sequence[str]) -> list[int]:
        """Token ids of the question about ``documents``, numbered from 1 in the given order."""
        settings, data = self._settings, self._frame.data
        ids = self._frame.opening() + data(settings.introduction.replace("{count}", str(len(documents))) + "\n")
        for number, document in enumerate(documents, start=1):
            ids += data(f"\n[{number}] ") + data(cut_words(document, settings.max_document_words)[0]) + data("\n")
        ids += data("\nQuery: ") + data(cut_words(query, settings.max_query_words)[0])
        return ids + data(f"\n\n{settings.instruction}") + self._frame.closing()

    def _answer(self, query: str, documents: Sequence[str]) -> _Answer:
        prompt = self.prompt(query, documents)
        room = _TOKENS_PER_DOCUMENT * len(documents)
        context = self._model.config.get_text_config().max_position_embeddings
        if len(prompt) + room > context:
            raise TeacherError(
                f"a prompt of {len(prompt)} tokens and an answer of {room} do not fit a context of {context}; read "
                "fewer candidates or lower max_document_words"
            )
        written = generate(self._model, self._tokenizer, prompt, room)
        places, notes = read_order(written, len(documents))
        if not places:
            shown = written[:_SHOWN_OF_ANSWER]
            raise TeacherError(f"the answer names none of the {len(documents)} documents: {shown!r}")
        return _Answer(places, notes, len(prompt))


def read_order(written: str, count: int) -> tuple[list[int], list[str]]:
    """The places, from 0, that an answer such as "[3] > [1]" names, each once, and what was odd about it.

    Numbers in brackets count; bare numbers only where there are none in brackets, since an answer may be a numbered
    list. Numbers of no document and repeated ones are passed over and noted.
    """
    numbers = [int(found) for found in re.findall(r"\[(\d{1,6})\]", written) or re.findall(r"\b\d{1,6}\b", written)]
    known = [number for number in numbers if 1 <= number <= count]
    places = [number - 1 for number in dict.fromkeys(known)]
    notes = []
    if len(known) < len(numbers):
        notes.append(f"{len(numbers) - len(known)} numbers of no document")
    if len(places) < len(known):
        notes.append(f"{len(known) - len(places)} numbers repeated")
    return places, notes


@torch.inference_mode()
def generate(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, prompt: Sequence[int], room: int) -> str:
    """What ``model`` writes behind ``prompt``, greedily, at most ``room`` tokens, special tokens left out."""
    ids = torch.tensor([list(prompt)], device=model.device)
    end = model.generation_config.eos_token_id if model.generation_config else None
    # a configuration of its own: the model's may ask for sampling
    greedy = GenerationConfig(
        max_new_tokens=room, do_sample=False, pad_token_id=tokenizer.pad_token_id or tokenizer.eos_token_id,
        eos_token_id=end if end is not None else tokenizer.eos_token_id,
    )  # fmt: skip
    written: Any = model.generate(ids, attention_mask=torch.ones_like(ids), generation_config=greedy)  # type: ignore[operator]
    return str(tokenizer.decode(written[0, ids.shape[1] :], skip_special_tokens=True))
