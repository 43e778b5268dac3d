"""What labeling asks of a teacher, so that any model that scores documents can make labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, NonNegativeInt, ValidationError

from labeling import LabelingError


class Judge(Protocol):
    """A teacher that reads one query with all of its candidates at once."""

    def judge(self, query: str, documents: Sequence[str]) -> Sequence[Mapping[str, Any]]:
        """One mapping per document, in the order given, whatever order the teacher reads them in.

        ``score`` (finite, higher is better) is required. Where the teacher knows them: ``missing`` (bool: the
        document draws nothing from this query), ``evidence`` (half-open character offsets ``(start, end)`` into
        the document), ``reason`` (why it stands where it does, in words), ``truncated`` (tokens or words that were cut
        off, 0 for none), ``tokens`` (tokens read for the whole list), ``confidence`` (of the whole list, in [-1, 1]:
        how far readings of it in different orders agree) and ``note`` (what was odd about the whole list's answer,
        which could be used nevertheless). What is of the list is the same for each of its documents.
        """
        ...

    def describe(self) -> Mapping[str, Any]:
        """Everything that changes a score, as JSON values: the provenance of the labels.

        Model revision, hashes of head set, router and prompt, number type, order seed, settings. Labels made under
        another description are made again, so nothing that leaves the scores alone (a device, a folder) belongs here.
        """
        ...


class Judgment(BaseModel):
    """What a judge says of one document; the fields are explained at :meth:`Judge.judge`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    score: FiniteFloat = Field(description="relevance, higher is better")
    missing: bool | None = Field(None, description="the document draws nothing from the query; None: not known")
    evidence: tuple[NonNegativeInt, NonNegativeInt] | None = Field(None, description="character offsets, half-open")
    reason: str | None = Field(None, description="why the document stands where it does")
    truncated: NonNegativeInt = Field(0, description="tokens or words that were cut off")
    tokens: NonNegativeInt | None = Field(None, description="tokens read for the whole list; None: not known")
    confidence: float | None = Field(
        None, ge=-1, le=1, description="Kendall's tau-b between readings of the list in two orders; None: not known"
    )
    note: str | None = Field(None, description="what was odd about the answer on the list")


def read_judgments(
    answers: Sequence[Mapping[str, Any]], doc_ids: Sequence[str], documents: Sequence[str]
) -> list[Judgment]:
    """The judge's answers, checked against the documents they are about.

    Raises:
        LabelingError: not one answer per document, a score that is absent or not finite, an unknown key, or evidence
            outside its document.
    """
    if len(answers) != len(documents):
        raise LabelingError(f"the judge gave {len(answers)} judgments for {len(documents)} documents")
    judgments = []
    for doc_id, document, answer in zip(doc_ids, documents, answers, strict=True):
        try:
            judgment = Judgment.model_validate(answer)
        except ValidationError as error:
            first = error.errors()[0]
            key = ".".join(str(part) for part in first["loc"]) or "judgment"
            raise LabelingError(f"document {doc_id!r}: {key}: {first['msg']}; got {first['input']!r}") from None
        if judgment.evidence is not None:
            start, end = judgment.evidence
            if not start < end <= len(document):
                raise LabelingError(
                    f"document {doc_id!r}: evidence {start}:{end} is not a span of its {len(document)} characters"
                )
        judgments.append(judgment)
    return judgments


class Scorer(Protocol):
    """Anything that gives plain scores, such as a cross-encoder."""

    def score(self, query: str, documents: Sequence[str]) -> Sequence[float]:
        """One relevance score per document, higher is better, in the order given."""
        ...


class ScoreAdapter:
    """A judge made of a plain scorer and the description that its labels will carry."""

    def __init__(self, scorer: Scorer, description: Mapping[str, Any]) -> None:
        self._scorer = scorer
        self._description = dict(description)

    def judge(self, query: str, documents: Sequence[str]) -> list[dict[str, float]]:
        """The scorer's scores, as judgments."""
        return [{"score": float(score)} for score in self._scorer.score(query, documents)]

    def describe(self) -> dict[str, Any]:
        """The description given at construction."""
        return dict(self._description)
