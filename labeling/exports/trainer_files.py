"""One label list as the rows that trainers of re-rankers and retrievers read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from labeling.exports.selection import ExportList, ExportSettings, drawn, sides

# sentence-transformers takes the columns in this ORDER as its model's inputs, whatever they are called; only the
# name of the last, "label" or "labels", tells it which one is the target. A further column would be a further input.
ST_LIST = pa.schema([("query", pa.string()), ("docs", pa.list_(pa.string())), ("labels", pa.list_(pa.float64()))])
ST_PAIR = pa.schema([("query", pa.string()), ("document", pa.string()), ("label", pa.float64())])
ST_TRIPLE = pa.schema([("query", pa.string()), ("positive", pa.string()), ("negative", pa.string())])
ST_TRIPLE_MARGIN = ST_TRIPLE.append(pa.field("label", pa.float64()))


def st_list(item: ExportList, settings: ExportSettings) -> Iterator[dict[str, Any]]:
    """A labelled list for sentence-transformers' listwise losses: ``query, docs, labels``, best document first.

    ``labels`` are the values. A list whose values are all equal teaches no order and gives no row.
    """
    values = [document.value for document in item.documents]
    if len(set(values)) > 1:
        yield {"query": item.query, "docs": [document.text for document in item.documents], "labels": values}


def st_pair(item: ExportList, settings: ExportSettings) -> Iterator[dict[str, Any]]:
    """A pair for each document: ``query, document, label``; ``label`` is the value.

    Binary cross-entropy needs labels in [0, 1], so values ``unit``; a regression takes any.
    """
    rows = [
        {"query": item.query, "document": document.text, "label": document.value} for document in item.documents
    ]  # fmt: skip
    yield from drawn(rows, item, settings)


def st_triple(item: ExportList, settings: ExportSettings) -> Iterator[dict[str, Any]]:
    """A triple for each positive with each negative: ``query, positive, negative``.

    With ``margin`` a fourth column ``label`` holds the positive's value less the negative's, as MarginMSE asks for.
    """
    positives, negatives = sides(item, settings.positives)
    rows = [
        {"query": item.query, "positive": positive.text, "negative": negative.text}
        | ({"label": positive.value - negative.value} if settings.margin else {})
        for positive in positives
        for negative in negatives
    ]
    yield from drawn(rows, item, settings)


def flagembedding(item: ExportList, settings: ExportSettings) -> Iterator[dict[str, Any]]:
    """FlagEmbedding's line for knowledge distillation: ``query, pos, neg, pos_scores, neg_scores`` and ``prompt``.

    ``pos`` and ``neg`` are the positives and negatives, ``pos_scores`` and ``neg_scores`` their values in the same
    order. A list without a positive or a negative gives no row, because FlagEmbedding draws from both.
    """
    positives, negatives = sides(item, settings.positives)
    if positives and negatives:
        prompt = {} if settings.prompt is None else {"prompt": settings.prompt}
        yield {
            "query": item.query,
            "pos": [document.text for document in positives],
            "neg": [document.text for document in negatives],
            "pos_scores": [document.value for document in positives],
            "neg_scores": [document.value for document in negatives],
        } | prompt


def tevatron(item: ExportList, settings: ExportSettings) -> Iterator[dict[str, Any]]:
    """Tevatron's line: ``query_id, query, positive_passages, negative_passages``, each passage ``docid, title, text``.

    Tevatron joins title and text itself. A list without a positive or a negative gives no row.
    """
    positives, negatives = (
        [{"docid": document.doc_id, "title": document.title, "text": document.body} for document in side]
        for side in sides(item, settings.positives)
    )
    if positives and negatives:
        yield {
            "query_id": item.query_id,
            "query": item.query,
            "positive_passages": positives,
            "negative_passages": negatives,
        }


def rank_llm(item: ExportList, settings: ExportSettings) -> Iterator[dict[str, Any]]:
    """RankLLM's request: ``query`` {text, qid} and ``candidates`` {docid, score, doc}, best first, score the value."""
    candidates = [
        {
            "docid": document.doc_id,
            "score": document.value,
            "doc": {"title": document.title, "text": document.body} if document.title else {"text": document.text},
        }
        for document in item.documents
    ]
    yield {"query": {"text": item.query, "qid": item.query_id}, "candidates": candidates}
