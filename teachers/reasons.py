"""Reasons in words: why a document stands where it does, written by a generating model behind any teacher's ranking.

Source: Choi et al., RRADistill, EMNLP 2024 industry track: a small model is also trained on the reason of the ranking.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from pydantic import BaseModel, ConfigDict, Field, PositiveInt

from teachers.prompt import cut_words
from teachers.writer import Writer


class ReasonSettings(BaseModel):
    """What is asked about a document and how long the answer may be."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    instruction: str = Field(
        "In one sentence, say what in the passage answers the query.", description="stands behind query and passage"
    )
    documents: PositiveInt = Field(3, description="best documents of a list that get a reason")
    max_document_words: PositiveInt = Field(100, description="words of a document that are read")
    max_query_words: PositiveInt = Field(64, description="words of a query that are read")
    max_tokens: PositiveInt = Field(48, description="tokens of a reason, at most")


class Teacher(Protocol):
    """What gives reasons a ranking to explain."""

    def judge(self, query: str, documents: Sequence[str]) -> list[dict[str, Any]]:
        """One mapping a document with ``score`` and perhaps ``missing``."""
        ...

    def describe(self) -> dict[str, Any]:
        """Its provenance."""
        ...


class ReasonedTeacher:
    """A teacher whose best documents also get a ``reason``.

    Args:
        teacher: ranks.
        writer: writes the reasons.
        settings: what it is asked.
    """

    def __init__(self, teacher: Teacher, writer: Writer, settings: ReasonSettings) -> None:
        self._teacher = teacher
        self._writer = writer
        self._settings = settings

    def judge(self, query: str, documents: Sequence[str]) -> list[dict[str, Any]]:
        """The teacher's judgments; the best documents that are not missing have a ``reason`` as well."""
        judged = self._teacher.judge(query, documents)
        present = [place for place, row in enumerate(judged) if not row.get("missing")]
        best = sorted(present, key=lambda place: (-judged[place]["score"], documents[place]))
        for place in best[: self._settings.documents]:
            judged[place]["reason"] = self.write(query, documents[place]) or None
        return judged

    def write(self, query: str, document: str) -> str:
        """The reason for one document, its white space and unprintable characters made single spaces."""
        settings, frame = self._settings, self._writer.frame
        ids = frame.opening() + frame.data("Passage: " + cut_words(document, settings.max_document_words)[0])
        ids += frame.data("\n\nQuery: " + cut_words(query, settings.max_query_words)[0])
        ids += frame.data(f"\n\n{settings.instruction}") + frame.closing()
        written = self._writer.write(ids, settings.max_tokens)
        return " ".join("".join(sign if sign.isprintable() else " " for sign in written).split())

    def describe(self) -> dict[str, Any]:
        """The teacher's provenance, the model and what it is asked."""
        reasons = {**self._writer.describe(), "asked": self._settings.model_dump(mode="json")}
        return {**self._teacher.describe(), "reasons": reasons}
