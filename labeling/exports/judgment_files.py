"""One label list as the lines of TREC's files and of judgment tools."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from labeling import LabelingError
from labeling.exports.selection import ExportList, ExportSettings

TAG = "distill"

# Quepid's import accepts exactly these three and splits lines at every comma; the further ones are for other tools.
JUDGMENT_COLUMNS = ("query", "docid", "rating")
DETAIL_COLUMNS = ("query_id", "score", "rank", "group", "confidence")


def qrels(item: ExportList, settings: ExportSettings) -> Iterator[str]:
    """TREC judgments: a line of query id, 0, document id and grade for each document.

    Raises:
        LabelingError: an id is empty or holds white space, which the format cannot carry.
    """
    for document in item.documents:
        yield f"{_word(item.query_id)} 0 {_word(document.doc_id)} {document.grade}"


def run(item: ExportList, settings: ExportSettings) -> Iterator[str]:
    """A TREC run: a line of query id, Q0, document id, rank, value and tag for each document.

    Lines stand as trec_eval ranks them: by the value as float32, ties by document id, descending.

    Raises:
        LabelingError: an id is empty or holds white space, which the format cannot carry.
    """
    values = {document.doc_id: np.float32(document.value) for document in item.documents}
    order = sorted(sorted(values, reverse=True), key=lambda doc_id: -values[doc_id])
    for rank, doc_id in enumerate(order, start=1):
        yield f"{_word(item.query_id)} Q0 {_word(doc_id)} {rank} {values[doc_id]:.9g} {TAG}"


def judgments(item: ExportList, settings: ExportSettings) -> Iterator[list[Any]]:
    """Rows of ``query, docid, rating``, with ``details`` also ``query_id, score, rank, group, confidence``.

    ``rating`` is the grade; ``max_grade`` brings it to a tool's scale, such as Quepid's 0 to 3. U+FFFD stands for NUL,
    at which spreadsheets end a cell.
    """
    for document in item.documents:
        row: list[Any] = [item.query.replace("\0", "\ufffd"), document.doc_id.replace("\0", "\ufffd"), document.grade]
        if settings.details:
            row += [item.query_id, document.score, document.rank, document.group, item.confidence]
        yield row


def _word(identifier: str) -> str:
    if identifier.split() != [identifier]:
        raise LabelingError(f"id {identifier!r}: TREC files take words without white space; export another format")
    return identifier
