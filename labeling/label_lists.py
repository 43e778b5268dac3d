"""From candidates and judgments to label lists: groups, ranks that keep ties, and random negatives."""

from __future__ import annotations

import hashlib
import math
import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from labeling import LabelingError
from labeling.judge import Judgment
from labeling.keys import canonical_json, text_hash
from labeling.parts import REPAIR

Group = Literal["ranked", "missing", "random"]
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class CandidateList:
    """One query with the documents that the judge reads together.

    Raises:
        LabelingError: ids and documents differ in number, an id is empty, repeated or not encodable in UTF-8.
    """

    query_id: str
    query: str
    doc_ids: Sequence[str]
    documents: Sequence[str]

    def __post_init__(self) -> None:
        name = f"query {self.query_id!r}"
        if len(self.doc_ids) != len(self.documents):
            raise LabelingError(f"{name}: {len(self.doc_ids)} document ids but {len(self.documents)} documents")
        if len(set(self.doc_ids)) != len(self.doc_ids):
            repeated = next(doc_id for doc_id in self.doc_ids if list(self.doc_ids).count(doc_id) > 1)
            raise LabelingError(f"{name}: document id {repeated!r} comes more than once")
        for identifier in (self.query_id, *self.doc_ids):
            if not identifier or any("\ud800" <= character <= "\udfff" for character in identifier):
                raise LabelingError(f"{name}: {identifier!r} is not an id; give text that is not empty and valid UTF-8")


def list_key(candidates: CandidateList, teacher: str) -> str:
    """64 hexadecimal digits that stand for one list judged by one teacher.

    A document's score depends on the list it stands in, so one changed text changes the key of the whole list. The
    ids count too, because the rows carry them; so does the order, because a judge may be told to keep it.

    Args:
        candidates: the list as the judge receives it.
        teacher: the judge's :func:`labeling.keys.teacher_hash`.
    """
    hashes = [text_hash(document) for document in candidates.documents]
    return hashed_list_key(candidates.query_id, text_hash(candidates.query), candidates.doc_ids, hashes, teacher)


def hashed_list_key(
    query_id: str, query_hash: str, doc_ids: Sequence[str], doc_hashes: Sequence[str], teacher: str
) -> str:
    """The key of a list of which the hashes are known and not the texts, as in the label store."""
    identity = canonical_json([[query_id, query_hash], list(doc_ids), list(doc_hashes), teacher])
    return hashlib.sha256(identity.encode("ascii")).hexdigest()


def ranks(judgments: Sequence[Judgment]) -> list[int]:
    """One rank per document, in the order given, from 1: one more than the number of documents that are better.

    Equal scores share a rank. ``missing`` documents share one rank below every other, whatever their scores.
    """
    levels = [float("-inf") if judgment.missing else judgment.score for judgment in judgments]
    place: dict[float, int] = {}
    for position, level in enumerate(sorted(levels, reverse=True)):
        place.setdefault(level, position + 1)
    return [place[level] for level in levels]


def group(judgment: Judgment) -> Group:
    """The group of a judged document."""
    return "missing" if judgment.missing else "ranked"


def label_rows(candidates: CandidateList, judgments: list[Judgment]) -> list[Row]:
    """One row of the label store per document, without what is the same for the whole list."""
    return [
        {
            "doc_id": doc_id,
            "doc_hash": text_hash(document),
            "position": position,
            "score": judgment.score,
            "rank": rank,
            "group": group(judgment),
            "missing": judgment.missing,
            "evidence_start": judgment.evidence and judgment.evidence[0],
            "evidence_end": judgment.evidence and judgment.evidence[1],
            "reason": judgment.reason,
            "truncated": judgment.truncated,
            "tokens": judgment.tokens,
            "confidence": judgment.confidence,
            "note": judgment.note,
            "status": "ok",
        }
        for position, (doc_id, document, judgment, rank) in enumerate(
            zip(candidates.doc_ids, candidates.documents, judgments, ranks(judgments), strict=True)
        )
    ]


def check_rows(folder: Path, rows: Sequence[Row]) -> None:
    """Refuses the rows of a judged list of which no labels can be made, as another program may have left them.

    Args:
        folder: named in the message.
        rows: of one list, in the order in which it was judged, with what its key is made of.

    Raises:
        LabelingError: a document has no id, rank, known group or finite score, or a row is absent, added or altered.
    """
    for row in rows:
        scored = row["score"] is not None and math.isfinite(row["score"])
        if None in (row["doc_id"], row["rank"]) or row["group"] not in ("ranked", "missing") or not scored:
            raise LabelingError(
                f"{folder}: the list of query {row['query_id']!r} has a document without id, rank, group or finite "
                f"score; {REPAIR}"
            )
    first, ids, hashes = rows[0], [row["doc_id"] for row in rows], [row["doc_hash"] for row in rows]
    if first["list_key"] != hashed_list_key(first["query_id"], first["query_hash"], ids, hashes, first["teacher"]):
        raise LabelingError(f"{folder}: the list of query {first['query_id']!r} has not the rows it had; {REPAIR}")


def grades(groups: Sequence[Group], ranks: Sequence[int]) -> list[float]:
    """One training label per document, in the order given: higher is better, equal means tied.

    0 is ``random``, 1 is ``missing``; from 2 upwards each distinct rank among the ``ranked`` has a grade of its own.
    """
    levels = sorted({rank for rank, name in zip(ranks, groups, strict=True) if name == "ranked"}, reverse=True)
    grade = {rank: 2.0 + position for position, rank in enumerate(levels)}
    floor = {"missing": 1.0, "random": 0.0}
    return [floor[name] if name in floor else grade[rank] for rank, name in zip(ranks, groups, strict=True)]


def group_scores(groups: Sequence[Group], scores: Sequence[float | None]) -> list[float]:
    """The teacher's score of each document, in the order given, where it does not contradict `grades`.

    Missing documents, which are tied, and random ones, which the teacher has not read, have the lowest score of the
    list, so they are never above a ranked one.

    Args:
        groups: of the documents.
        scores: the teacher's own; None for random documents.
    """
    lowest = min(score for score in scores if score is not None)
    return [
        score if name == "ranked" and score is not None else lowest for score, name in zip(scores, groups, strict=True)
    ]


def random_documents(query_id: str, own: Collection[str], pool: Sequence[str], count: int, seed: int) -> list[str]:
    """Up to ``count`` ids of the pool that are not among the query's own candidates.

    The draw depends on the query id, the pool and the seed alone.

    Args:
        query_id: whose list the documents are for.
        own: ids of the query's own candidates.
        pool: distinct ids of all queries' candidates, in an order that does not change between runs.
        count: how many to draw; fewer come back where the pool has no more.
        seed: changes the draw.
    """
    draw = random.Random(f"{seed}:{query_id}").sample(pool, min(len(pool), count + len(own)))
    return [doc_id for doc_id in draw if doc_id not in own][:count]
