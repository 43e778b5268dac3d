"""Labels in the shapes that trainers and evaluation tools read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from datasets import Dataset, Features, List, Value

from labeling import LabelingError
from labeling.label_lists import Group, grades, random_documents
from labeling.store import read_labels

FEATURES = Features(
    {
        "query_id": Value("string"),
        "query": Value("string"),
        "doc_ids": List(Value("string")),
        "docs": List(Value("string")),
        "labels": List(Value("float64")),
        "groups": List(Value("string")),
        "evidence": List(Value("string")),
        "confidence": Value("float64"),
    }
)


@dataclass(frozen=True, slots=True)
class LabelList:
    """One query's documents, best first, with equal labels where the teacher sees no difference."""

    query_id: str
    doc_ids: list[str]
    labels: list[float]
    groups: list[Group]
    evidence: list[tuple[int, int] | None]
    confidence: float | None


def label_lists(folder: Path, random: int = 0, seed: int = 0) -> Iterator[LabelList]:
    """The lists of a finished label folder, in the order of the job; failed lists are left out.

    Args:
        folder: a label folder.
        random: documents to add to each list from other queries' candidates, below all others and tied. They cost the
            teacher nothing, so they are drawn here and any number can be had of one folder.
        seed: of that draw.

    Raises:
        LabelingError: the folder holds no finished labels, or a file of it cannot be read.
    """
    columns = ["query_id", "doc_id", "rank", "group", "evidence_start", "evidence_end", "confidence"]
    rows = read_labels(folder, columns).to_pylist()
    pool = sorted({row["doc_id"] for row in rows})
    for query_id, group_rows in groupby(rows, key=lambda row: row["query_id"]):
        ordered = sorted(group_rows, key=lambda row: row["rank"])
        doc_ids = [row["doc_id"] for row in ordered]
        drawn = random_documents(query_id, set(doc_ids), pool, random, seed)
        groups = [row["group"] for row in ordered]
        places = [row["rank"] for row in ordered]
        yield LabelList(
            query_id=query_id,
            doc_ids=doc_ids + drawn,
            labels=grades(groups, places) + [0.0] * len(drawn),
            groups=groups + ["random"] * len(drawn),
            evidence=[_evidence(row) for row in ordered] + [None] * len(drawn),
            confidence=ordered[0]["confidence"],
        )


def labels_dataset(
    folder: Path, documents: Mapping[str, str], queries: Mapping[str, str], random: int = 0, seed: int = 0
) -> Dataset:
    """One row per list for training: ``query_id, query, doc_ids, docs, labels, groups, evidence, confidence``.

    ``docs`` stand best first. ``labels`` are grades, see :func:`labeling.label_lists.grades`: equal where the teacher
    sees no difference. ``evidence`` is the text the teacher looked at, empty where it named none; ``confidence`` is
    that of the list, see :class:`labeling.judge.Judgment`.

    Args:
        folder: a label folder.
        documents: texts by document id, exactly as they were judged.
        queries: texts by query id.
        random: documents to add to each list, see :func:`label_lists`.
        seed: of that draw.

    Raises:
        LabelingError: see :func:`label_lists`; or a text is missing.
    """
    rows = []
    for labels in label_lists(folder, random, seed):
        try:
            query, docs = queries[labels.query_id], [documents[doc_id] for doc_id in labels.doc_ids]
        except KeyError as error:
            raise LabelingError(f"{folder}: no text for the labelled id {error.args[0]!r}") from error
        evidence = [doc[slice(*span)] if span else "" for doc, span in zip(docs, labels.evidence, strict=True)]
        rows.append(
            {
                "query_id": labels.query_id,
                "query": query,
                "doc_ids": labels.doc_ids,
                "docs": docs,
                "labels": labels.labels,
                "groups": labels.groups,
                "evidence": evidence,
                "confidence": labels.confidence,
            }
        )
    # By column, because Dataset.from_list loses the columns where every list has failed.
    return Dataset.from_dict({name: [row[name] for row in rows] for name in FEATURES}, features=FEATURES)


def labels_run(folder: Path) -> dict[str, dict[str, float]]:
    """The labels as a run: query id -> document id -> grade, so that ties and missing documents rank as in training.

    Raises:
        LabelingError: see :func:`label_lists`.
    """
    return {labels.query_id: dict(zip(labels.doc_ids, labels.labels, strict=True)) for labels in label_lists(folder)}


def _evidence(row: Mapping[str, Any]) -> tuple[int, int] | None:
    return None if row["evidence_start"] is None else (row["evidence_start"], row["evidence_end"])
