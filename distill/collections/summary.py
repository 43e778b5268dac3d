"""The counts by which a user sees at a glance whether a collection was read as meant."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median

from distill.collections.collection import Collection


@dataclass(frozen=True, slots=True)
class SplitSummary:
    """One split: its queries, those with a relevant document, and its judgments; relevant is a relevance above 0."""

    queries: int
    with_relevant: int
    judgments: int
    relevant: int


@dataclass(frozen=True, slots=True)
class Summary:
    """Sizes of a collection; words are what white space separates, medians are 0 where there is nothing."""

    documents: int
    empty_documents: int
    median_document_words: float
    queries: int
    median_query_words: float
    splits: dict[str, SplitSummary]


def summarize(collection: Collection) -> Summary:
    """Count a collection's documents, queries and judgments."""
    document_words = [len(collection.text(doc_id).split()) for doc_id in collection.documents]
    splits = {}
    for split, qrels in collection.qrels.items():
        relevances = [relevance for judged in qrels.values() for relevance in judged.values()]
        splits[split] = SplitSummary(
            queries=len(qrels),
            with_relevant=sum(any(relevance > 0 for relevance in judged.values()) for judged in qrels.values()),
            judgments=len(relevances),
            relevant=sum(relevance > 0 for relevance in relevances),
        )
    return Summary(
        documents=len(document_words),
        empty_documents=document_words.count(0),
        median_document_words=_median(document_words),
        queries=len(collection.queries),
        median_query_words=_median(len(query.split()) for query in collection.queries.values()),
        splits=splits,
    )


def _median(counts: Iterable[int]) -> float:
    counts = list(counts)
    return float(median(counts)) if counts else 0.0
