"""Looks into a fitted teacher: which heads its queries use, and what they looked at in one document."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from distill.collections.collection import Collection, DataError, Run
from distill.progress import Advance
from distill.stages.candidates import texts
from distill.stages.teacher import METHODS, Method, head_teachers, open_reader, read_section
from teachers.errors import TeacherError

if TYPE_CHECKING:
    from teachers.explanation import TokenAttention
    from teachers.head_scores import HeadReader
    from teachers.head_usage import HeadUse
    from teachers.heads import Head
    from teachers.teacher import HeadTeacher

# Queries with one of this many most frequent first words make a slice of their own.
_FIRST_WORDS = 4


@dataclass(frozen=True, slots=True)
class Inspection:
    """How a teacher's heads are used over the queries of a run.

    Args:
        slices: number of queries in each slice.
        layers, heads_per_layer: size of the map that the heads lie in.
    """

    queries: int
    uses: list[HeadUse]
    slices: dict[str, int]
    layers: int
    heads_per_layer: int


@dataclass(frozen=True, slots=True)
class DocumentView:
    """The heads that one query gets and, where a document is named, what they looked at in it.

    Args:
        heads: used for the query, the largest weight first.
        document: its text, None where none is named; the rest then says nothing.
        rank: its place in the teacher's ranking of the list, from 1.
        tokens: of the document, in their order.
    """

    query: str
    candidates: int
    heads: dict[Head, float]
    document: str | None = None
    rank: int = 0
    score: float = 0.0
    tokens: list[TokenAttention] = field(default_factory=list)


def open_heads(folder: Path, method: Method | None) -> tuple[HeadReader, HeadTeacher]:
    """The model of ``folder`` as it was read for the fit, and the teacher around it.

    Args:
        folder: where the teacher was written.
        method: how its heads are used; None for RouteHead, or the static heads of a teacher that was adopted.

    Raises:
        TeacherError: the folder holds no teacher, or not this method.
    """
    reader, model = open_reader(read_section(folder))
    teachers = head_teachers(folder, reader, model)
    wanted = method or next(name for name in reversed(METHODS) if name in teachers)
    if wanted not in teachers:
        raise TeacherError(f"{folder}: no heads to look at under method {wanted}; there are {', '.join(teachers)}")
    return reader, teachers[wanted]


def inspect_usage(
    reader: HeadReader, teacher: HeadTeacher, folder: Path, collection: Collection, run: Run, on_progress: Advance
) -> Inspection:
    """Head usage over the run's queries; head scores that ``folder`` holds are not read again.

    Raises:
        DataError: the run has no candidates.
    """
    from teachers.head_usage import head_usage
    from teachers.score_store import HeadScoreStore, read_lists

    if not run:
        raise DataError("no query with candidates to inspect")
    store = HeadScoreStore(folder / "scores", teacher.model)
    scores = list(read_lists(reader, texts(collection, run), store, on_progress))
    slices = first_word_slices([collection.query(query_id) for query_id in run])
    return Inspection(
        len(run), head_usage(teacher.ranker, scores, slices), dict(Counter(slices)), reader.depth,
        reader.heads_per_layer,
    )  # fmt: skip


def inspect_document(
    teacher: HeadTeacher, collection: Collection, run: Run, query_id: str, doc_id: str | None
) -> DocumentView:
    """The heads that a query gets, and what they looked at in one of its candidates, or in none.

    Raises:
        DataError: the run has no such query, or the query no such candidate.
        TeacherError: the tokenizer cannot tell where tokens stand.
    """
    if query_id not in run:
        raise DataError(f"the run has no candidates for query {query_id!r}")
    if doc_id is not None and doc_id not in run[query_id]:
        raise DataError(f"{doc_id!r} is none of the {len(run[query_id])} candidates of query {query_id!r}")
    query, documents = texts(collection, {query_id: run[query_id]})[0]
    explained = teacher.explain(query, documents)
    if doc_id is None:
        return DocumentView(query, len(documents), explained.heads)
    place = list(run[query_id]).index(doc_id)
    scores = [float(row["score"]) for row in teacher.judge(query, documents)]
    rank = 1 + sum(score > scores[place] for score in scores)
    return DocumentView(
        query, len(documents), explained.heads, documents[place], rank, scores[place], explained.documents[place]
    )


def first_word_slices(queries: Sequence[str]) -> list[str]:
    """The slice of each query: its first word where many queries begin with it, ``other`` elsewhere."""
    first = [next(iter(query.lower().split()), "") for query in queries]
    least = max(2, len(queries) // 50)
    frequent = {word for word, count in Counter(first).most_common(_FIRST_WORDS) if count >= least}
    return [f"{word} ..." if word in frequent else "other" for word in first]
