"""A listwise teacher that answers in words: the model reads numbered documents and writes the order of those that help.

It stands beside the teachers that read heads as the way it is usually done: one pass over the prompt and then one for
every token of the answer. What the answer leaves out is missing.

Source: Choi et al., RRADistill, EMNLP 2024 industry track (documents left out of the answer are irrelevant).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, PositiveInt

from teachers.agreement import agreement
from teachers.errors import TeacherError
from teachers.head_scores import canonical_order
from teachers.prompt import cut_words
from teachers.writer import Writer

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
        writer: the model.
        settings: what it is asked.
    """

    def __init__(self, writer: Writer, settings: GenerativeSettings) -> None:
        self._writer = writer
        self._settings = settings

    def judge(self, query: str, documents: Sequence[str]) -> list[dict[str, Any]]:
        """One mapping a document, in the given order: ``score``, ``missing``, ``truncated``, ``tokens``, ``note``.

        ``score``: of n documents, n for the first in the answer, n - 1 for the second, 0 for what it leaves out; a mean
        over orders. ``missing``: no answer names the document.
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
        """Provenance: the model and what it is asked."""
        asked = self._settings.model_dump(mode="json")
        return {"teacher": {"method": "generative", "asked": asked}, **self._writer.describe()}

    def prompt(self, query: str, documents: Sequence[str]) -> list[int]:
        """Token ids of the question about ``documents``, numbered from 1 in the given order."""
        settings, frame = self._settings, self._writer.frame
        ids = frame.opening() + frame.data(settings.introduction.replace("{count}", str(len(documents))) + "\n")
        for number, document in enumerate(documents, start=1):
            text = cut_words(document, settings.max_document_words)[0]
            ids += frame.data(f"\n[{number}] ") + frame.data(text) + frame.data("\n")
        ids += frame.data("\nQuery: ") + frame.data(cut_words(query, settings.max_query_words)[0])
        return ids + frame.data(f"\n\n{settings.instruction}") + frame.closing()

    def _answer(self, query: str, documents: Sequence[str]) -> _Answer:
        prompt = self.prompt(query, documents)
        room = _TOKENS_PER_DOCUMENT * len(documents)
        if len(prompt) + room > self._writer.context:
            raise TeacherError(
                f"a prompt of {len(prompt)} tokens and an answer of {room} do not fit a context of "
                f"{self._writer.context}; read fewer candidates or lower max_document_words"
            )
        written = self._writer.write(prompt, room)
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
