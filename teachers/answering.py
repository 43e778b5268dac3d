"""Answers of a frozen model to a question about passages, and how near they come to what was expected.

Source of the measures: Rajpurkar et al., SQuAD: 100,000+ Questions for Machine Comprehension of Text, EMNLP 2016
(section 6.1) and its evaluation script: lower case, no ASCII punctuation and no articles (a, an, the); exact match and
F1 of the white-space tokens, each against the reference that it fits best.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field, PositiveInt

from teachers.errors import TeacherError
from teachers.segments import without_lone_surrogates
from teachers.writer import Writer

COPY = "Copy the one sentence above that answers the question, word for word, and write nothing else."
SHORT = "Answer the question in as few words as possible, and write nothing else."

_PUNCTUATION = str.maketrans("", "", string.punctuation)
_ARTICLES = re.compile(r"\b(a|an|the)\b")


class AnswerSettings(BaseModel):
    """What the model is asked and how long its answer may be."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    introduction: str = Field("Here are some sentences:", description="stands before the passages")
    instruction: str = Field(COPY, description="stands behind the question")
    without_passages: str = Field(
        "Answer the question in one sentence, and write nothing else.",
        description="the instruction where there are no passages",
    )
    max_tokens: PositiveInt = Field(48, description="tokens of an answer, at most")


@dataclass(frozen=True, slots=True)
class Answer:
    """What the model wrote, in one line, and the tokens of its prompt."""

    text: str
    prompt_tokens: int


class Answerer:
    """Answers questions from passages, greedily.

    Args:
        writer: the model.
        settings: what it is asked.
    """

    def __init__(self, writer: Writer, settings: AnswerSettings) -> None:
        self._writer = writer
        self._settings = settings

    def answer(self, question: str, passages: Sequence[str]) -> Answer:
        """The answer to ``question`` from ``passages``, in their order; from what the model knows where there are none.

        Raises:
            TeacherError: the model's context does not hold prompt and answer.
        """
        prompt, room = self.prompt(question, passages), self._settings.max_tokens
        if len(prompt) + room > self._writer.context:
            raise TeacherError(
                f"a prompt of {len(prompt)} tokens and an answer of {room} do not fit a context of "
                f"{self._writer.context}; give shorter contexts"
            )
        return Answer(" ".join(self._writer.write(prompt, room).split()), len(prompt))

    def prompt(self, question: str, passages: Sequence[str]) -> list[int]:
        """Token ids of the question behind its passages, each in a line of its own."""
        settings, frame = self._settings, self._writer.frame
        ids = frame.opening()
        if passages:
            ids += frame.data(settings.introduction + "\n")
        for passage in passages:
            ids += frame.data("\n") + frame.data(" ".join(without_lone_surrogates(passage).split()))
        ids += frame.data("\n\nQuestion: " if passages else "Question: ") + frame.data(
            without_lone_surrogates(question)
        )
        instruction = settings.instruction if passages else settings.without_passages
        return ids + frame.data(f"\n\n{instruction}") + frame.closing()


def normalised(text: str) -> list[str]:
    """The tokens that are compared."""
    return _ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split()


def exact_match(text: str, references: Sequence[str]) -> float:
    """1 where the normalised answer is one of the normalised references, else 0."""
    return float(any(normalised(text) == normalised(reference) for reference in references))


def token_f1(text: str, references: Sequence[str]) -> float:
    """The largest F1 of the answer's tokens against those of a reference, repeated tokens counted, in [0, 1]."""
    return max((_f1(normalised(text), normalised(reference)) for reference in references), default=0.0)


def _f1(answer: Sequence[str], reference: Sequence[str]) -> float:
    if not answer or not reference:
        # the rule of SQuAD 2.0's script: nothing is right only where nothing was expected
        return float(answer == reference)
    common = (Counter(answer) & Counter(reference)).total()
    return 2 * common / (len(answer) + len(reference))
