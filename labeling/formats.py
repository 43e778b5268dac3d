"""Labels as training and evaluation take them: one list at a time, as a dataset, or as a run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from datasets import Dataset, Features, List, Value

from labeling import LabelingError
from labeling.keys import text_hash
from labeling.label_lists import Group, check_rows, grades, group_scores, random_documents
from labeling.reading import LabelReader
from labeling.texts import well_formed

FEATURES = Features(
    {
        "query_id": Value("string"),
        "query": Value("string"),
        "doc_ids": List(Value("string")),
        "docs": List(Value("string")),
        "labels": List(Value("float64")),
        "scores": List(Value("float64")),
        "groups": List(Value("string")),
        "evidence": List(Value("string")),
        "confidence": Value("float64"),
    }
)

_COLUMNS = (
    "query_id", "query_hash", "doc_id", "doc_hash", "score", "rank", "group", "evidence_start", "evidence_end",
    "reason", "confidence", "status", "list_key", "teacher",
)  # fmt: skip

# Lists that are Python objects at once while a dataset is built; the rest is Arrow's.
_BATCH_LISTS = 1000


@dataclass(frozen=True, slots=True)
class LabelList:
    """One query's documents, best first, with equal labels where the teacher sees no difference.

    Attributes:
        labels: grades, see :func:`labeling.label_lists.grades`.
        scores: the teacher's own; None for ``random`` documents, which it never read.
        ranks: likewise, from 1; equal scores share a rank.
        doc_hashes: hash of each text as it was judged; None for ``random`` documents.
        query_hash: likewise of the query.
    """

    query_id: str
    doc_ids: list[str]
    labels: list[float]
    groups: list[Group]
    evidence: list[tuple[int, int] | None]
    reasons: list[str | None]
    confidence: float | None
    scores: list[float | None]
    ranks: list[int | None]
    doc_hashes: list[str | None]
    query_hash: str


def label_lists(folder: Path, random: int = 0, seed: int = 0) -> Iterator[LabelList]:
    """The lists of a finished label folder, in the order of the job; failed lists are left out.

    They are read as they are asked for: memory holds a few parts and, with ``random``, the ids of all documents.

    Args:
        folder: a label folder.
        random: documents to add to each list from other queries' candidates, below all others and tied. They cost the
            teacher nothing, so they are drawn here and any number can be had of one folder.
        seed: of that draw.

    Raises:
        LabelingError: the folder holds no finished labels, or a file of it cannot be read.
    """
    reader = LabelReader(folder)
    pool = _document_ids(reader) if random else []
    for table in reader.lists(_COLUMNS):
        rows = table.to_pylist()
        if rows[0]["status"] == "ok":
            check_rows(folder, rows)
            yield _label_list(rows, pool, random, seed)


def _label_list(rows: list[dict[str, Any]], pool: list[str], random: int, seed: int) -> LabelList:
    ordered = sorted(rows, key=lambda row: row["rank"])
    query_id = ordered[0]["query_id"]
    doc_ids = [row["doc_id"] for row in ordered]
    drawn = random_documents(query_id, set(doc_ids), pool, random, seed)
    unknown: list[Any] = [None] * len(drawn)
    groups = [row["group"] for row in ordered]
    places = [row["rank"] for row in ordered]
    return LabelList(
        query_id=query_id,
        doc_ids=doc_ids + drawn,
        labels=grades(groups, places) + [0.0] * len(drawn),
        groups=groups + ["random"] * len(drawn),
        evidence=[_evidence(row) for row in ordered] + unknown,
        reasons=[row["reason"] for row in ordered] + unknown,
        confidence=ordered[0]["confidence"],
        scores=[row["score"] for row in ordered] + unknown,
        ranks=places + unknown,
        doc_hashes=[row["doc_hash"] for row in ordered] + unknown,
        query_hash=ordered[0]["query_hash"],
    )


def _document_ids(reader: LabelReader) -> list[str]:
    """Ids of all documents of the folder's lists, sorted."""
    found: set[str] = set()
    for table in reader.tables(["doc_id"]):
        found.update(pc.unique(table["doc_id"].drop_null()).to_pylist())
    return sorted(found)


def labels_dataset(
    folder: Path, documents: Mapping[str, str], queries: Mapping[str, str], random: int = 0, seed: int = 0
) -> Dataset:
    """One row a list for training: ``query_id, query, doc_ids, docs, labels, scores, groups, evidence, confidence``.

    ``docs`` stand best first. ``labels`` are grades, see :func:`labeling.label_lists.grades`: equal where the teacher
    sees no difference. ``scores`` say how far apart it sees them, see :func:`labeling.label_lists.group_scores`.
    ``evidence`` is the reason written for a document, else the sentence that the teacher looked at, empty where there
    is neither; ``confidence`` is that of the list, see :class:`labeling.judge.Judgment`. In texts, U+FFFD stands for a
    surrogate without its other half, which Arrow cannot hold.

    Args:
        folder: a label folder.
        documents: texts by document id, exactly as they were judged.
        queries: texts by query id.
        random: documents to add to each list, see :func:`label_lists`.
        seed: of that draw.

    Raises:
        LabelingError: see :func:`label_lists`; or a text is missing, or is not the one that was judged.
    """
    rows = (_dataset_row(folder, labels, documents, queries) for labels in label_lists(folder, random, seed))
    schema = FEATURES.arrow_schema
    batches = []
    # Arrow batches, because all rows as Python objects first would need several times the memory of the texts.
    while some := list(islice(rows, _BATCH_LISTS)):
        batches.append(pa.RecordBatch.from_pylist(some, schema=schema))
    return Dataset(pa.Table.from_batches(batches, schema=schema))


def _dataset_row(
    folder: Path, labels: LabelList, documents: Mapping[str, str], queries: Mapping[str, str]
) -> dict[str, Any]:
    try:
        query, docs = queries[labels.query_id], [documents[doc_id] for doc_id in labels.doc_ids]
    except KeyError as error:
        raise LabelingError(f"{folder}: no text for the labelled id {error.args[0]!r}") from error
    check_texts(folder, labels, query, docs)
    return {
        "query_id": labels.query_id,
        "query": well_formed(query),
        "doc_ids": labels.doc_ids,
        "docs": [well_formed(doc) for doc in docs],
        "labels": labels.labels,
        "scores": group_scores(labels.groups, labels.scores),
        "groups": labels.groups,
        "evidence": [
            reason or (well_formed(doc[slice(*span)]) if span else "")
            for doc, span, reason in zip(docs, labels.evidence, labels.reasons, strict=True)
        ],
        "confidence": labels.confidence,
    }


def check_texts(folder: Path, labels: LabelList, query: str, docs: list[str] | None) -> None:
    """Refuses texts that are not those the teacher read; ``random`` documents it has not read pass.

    Args:
        folder: named in the message.
        labels: the list as it was judged.
        query: its text today.
        docs: texts of its documents; None where only the query's is to be used.

    Raises:
        LabelingError: the query or a document has changed; it is named.
    """
    hashes = zip(labels.doc_ids, docs, labels.doc_hashes, strict=True) if docs is not None else ()
    changed = [f"document {doc_id!r}" for doc_id, doc, judged in hashes if judged and text_hash(doc) != judged]
    if text_hash(query) != labels.query_hash:
        changed.insert(0, "the query")
    if changed:
        raise LabelingError(
            f"{folder}: query {labels.query_id!r}: {changed[0]} has another text than when it was judged; "
            "give the collection that was labelled, or run the label job again"
        )


def labels_run(folder: Path) -> dict[str, dict[str, float]]:
    """The labels as a run: query id -> document id -> grade, so that ties and missing documents rank as in training.

    Raises:
        LabelingError: see :func:`label_lists`.
    """
    return {labels.query_id: dict(zip(labels.doc_ids, labels.labels, strict=True)) for labels in label_lists(folder)}


def _evidence(row: Mapping[str, Any]) -> tuple[int, int] | None:
    return None if row["evidence_start"] is None else (row["evidence_start"], row["evidence_end"])
