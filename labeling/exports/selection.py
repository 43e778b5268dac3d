"""What of a label list goes into a file, decided once for all formats: documents, values, positives and negatives."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, PositiveInt

from labeling.formats import LabelList
from labeling.label_lists import Group, group_scores
from labeling.texts import well_formed

Values = Literal["grades", "scores", "standardised", "unit"]


class ExportSettings(BaseModel):
    """What an export takes of each list; a format that has no use for a setting ignores it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    random: NonNegativeInt = Field(0, description="documents of other queries added to each list, below all others")
    seed: int = Field(0, description="of every draw")
    min_confidence: float | None = Field(None, ge=-1, le=1, description="lists below it are left out")
    known_confidence: bool = Field(False, description="lists without a known confidence are left out")
    max_ranked: PositiveInt | None = Field(None, description="the best so many ranked documents of a list")
    max_missing: NonNegativeInt | None = Field(None, description="so many missing documents of a list, drawn")
    positives: PositiveInt = Field(1, description="the best so many ranked documents are positive")
    max_rows: PositiveInt | None = Field(None, description="pairs or triples of a list, drawn")
    values: Values | None = Field(None, description="what a label or teacher score is; default: the format's own")
    margin: bool = Field(False, description="triples carry the difference of the two values as a label")
    max_grade: PositiveInt | None = Field(None, description="spread grades over 0 to this; default: one per rank")
    prompt: str | None = Field(None, description="FlagEmbedding: the instruction that goes with each query")
    details: bool = Field(False, description="judgments: further columns query_id, score, rank, group, confidence")


class Texts(Protocol):
    """Where an export finds the texts; both calls raise for an unknown id."""

    def query(self, query_id: str) -> str:
        """The query's text."""
        ...

    def passage(self, doc_id: str) -> tuple[str, str, str]:
        """A document's text as it was judged, and the title (empty if none) and body that it is made of."""
        ...


@dataclass(frozen=True, slots=True)
class ExportDocument:
    """One document of a list as formats write it; ``score`` and ``rank`` are None for ``random`` documents.

    Attributes:
        text: the text as it was judged.
        title: its title, empty where it has none; ``body`` is the rest.
        grade: its grade among the whole list, equal where tied, spread over ``max_grade`` where that is set.
        value: what formats with teacher scores write, see :func:`teacher_values`.
    """

    doc_id: str
    text: str
    title: str
    body: str
    group: Group
    grade: int
    value: float
    score: float | None
    rank: int | None


@dataclass(frozen=True, slots=True)
class ExportList:
    """One query and the documents that were chosen of its list, best first."""

    query_id: str
    query: str
    documents: list[ExportDocument]
    confidence: float | None


def teacher_values(labels: LabelList, values: Values) -> list[float]:
    """One value per document, never in contradiction to the labels; taken over the whole list, before any cut.

    ``grades`` are the labels: 0 random, 1 missing, from 2 upwards one for each distinct rank. ``scores`` are the
    teacher's own, see :func:`labeling.label_lists.group_scores`. ``standardised`` are these scores less their mean over
    the ranked and missing documents, divided by their standard deviation (of the population); all 0 where they do not
    differ. ``unit`` are these scores brought to 0 (lowest) to 1 (highest); all 0 likewise.
    """
    if values == "grades":
        return list(labels.labels)
    raw = group_scores(labels.groups, labels.scores)
    if values == "scores":
        return raw
    judged = [score for score, name in zip(raw, labels.groups, strict=True) if name != "random"]
    if values == "unit":
        origin, scale = min(judged), max(judged) - min(judged)
    else:
        origin, scale = statistics.fmean(judged), statistics.pstdev(judged)
    return [(score - origin) / scale if scale > 0 else 0.0 for score in raw]


def spread_grades(labels: LabelList, max_grade: int | None) -> list[int]:
    """The grades as whole numbers; with ``max_grade`` spread over 0 to ``max_grade`` without reversing any order.

    Then missing and random documents have 0, and of n distinct ranks the k-th from below has k * max_grade / n, rounded
    up: the best always ``max_grade``, the worst ranked one at least 1.
    """
    if max_grade is None:
        return [int(label) for label in labels.labels]
    levels = sorted({label for label, group in zip(labels.labels, labels.groups, strict=True) if group == "ranked"})
    place = {label: number for number, label in enumerate(levels, start=1)}
    return [math.ceil(place[label] * max_grade / len(levels)) if label in place else 0 for label in labels.labels]


def chosen(labels: LabelList, settings: ExportSettings) -> list[int]:
    """Places of the documents that go out: the best ``max_ranked``, ``max_missing`` by draw, and all random ones."""
    ranked = [place for place, group in enumerate(labels.groups) if group == "ranked"]
    missing = [place for place, group in enumerate(labels.groups) if group == "missing"]
    others = [place for place, group in enumerate(labels.groups) if group == "random"]
    if settings.max_missing is not None and len(missing) > settings.max_missing:
        # Drawn, because they are tied: the first ones would be the first stage's favourites among them.
        draw = Random(f"{settings.seed}:missing:{labels.query_id}")
        missing = sorted(draw.sample(missing, settings.max_missing))
    return ranked[: settings.max_ranked] + missing + others


def export_list(
    labels: LabelList, query: str, passages: Sequence[tuple[str, str, str]], settings: ExportSettings, values: Values
) -> ExportList:
    """The chosen documents of a list with their texts and values.

    Args:
        labels: the list.
        query: its text; empty for formats without texts.
        passages: text, title and body of each of the list's documents.
        settings: what to take.
        values: what ``settings.values`` means for this format.
    """
    value, grade = teacher_values(labels, values), spread_grades(labels, settings.max_grade)
    documents = []
    for place in chosen(labels, settings):
        text, title, body = (well_formed(part) for part in passages[place])
        documents.append(
            ExportDocument(
                doc_id=labels.doc_ids[place], text=text, title=title, body=body, group=labels.groups[place],
                grade=grade[place], value=value[place], score=labels.scores[place],
                rank=labels.ranks[place],
            )
        )  # fmt: skip
    return ExportList(labels.query_id, well_formed(query), documents, labels.confidence)


def sides(item: ExportList, count: int) -> tuple[list[ExportDocument], list[ExportDocument]]:
    """The positives and the negatives of a list.

    Positive are the first ``count`` ``ranked`` documents; negative are the documents, of any group, whose value is
    below that of every positive. What is tied with the last positive is neither. Either may be empty.
    """
    positives = [document for document in item.documents if document.group == "ranked"][:count]
    lowest = min((document.value for document in positives), default=-math.inf)
    return positives, [document for document in item.documents if document.value < lowest]


def drawn(rows: list[dict[str, Any]], item: ExportList, settings: ExportSettings) -> list[dict[str, Any]]:
    """At most ``max_rows`` of the rows, drawn by the seed and the query id, in the order they had."""
    if settings.max_rows is None or len(rows) <= settings.max_rows:
        return rows
    places = Random(f"{settings.seed}:rows:{item.query_id}").sample(range(len(rows)), settings.max_rows)
    return [rows[place] for place in sorted(places)]
