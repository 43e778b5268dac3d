"""Collections in MS MARCO's files of tab-separated columns."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from distill.collections.collection import Collection, DataError, Document
from distill.collections.files import numbered_lines
from distill.collections.trec import read_qrels


def read_msmarco(collection: Path, queries: Path, qrels: Mapping[str, Path]) -> Collection:
    """Read ``collection.tsv`` and ``queries.tsv`` (id, text) and files of judgments by split; all may end in ``.gz``.

    Raises:
        DataError: a line is malformed, an id used twice, or a judgment names a query or document that is not there.
    """
    texts = _read_texts(collection, "document")
    query_texts = _read_texts(queries, "query")
    splits = {split: read_qrels(path, query_texts, texts) for split, path in qrels.items()}
    documents = {doc_id: Document(doc_id, "", text) for doc_id, text in texts.items()}
    return Collection(collection.resolve().parent.name, documents, query_texts, splits)


def _read_texts(path: Path, what: str) -> dict[str, str]:
    texts: dict[str, str] = {}
    for line, row in numbered_lines(path):
        identifier, tab, text = row.partition("\t")
        if not tab or identifier.split() != [identifier]:
            said = f"{row[:40]!r}; a {what} line is its id (without white space), a tab, and its text"
            raise DataError.at(path, line, said)
        if identifier in texts:
            raise DataError.at(path, line, f"{what} id {identifier!r} a second time; ids must be unique")
        texts[identifier] = text
    return texts
