"""What every other part calls a collection: documents, queries and judgments, held in memory."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Qrels = dict[str, dict[str, int]]
Run = dict[str, dict[str, float]]


class DataError(ValueError):
    """A file or a run that cannot be used as it is; the message is one line that names the place."""

    @classmethod
    def at(cls, path: Path, line: int, message: str) -> DataError:
        """An error in line ``line`` (from 1) of a text file."""
        return cls(f"{path}:{line}: {message}")


@dataclass(frozen=True, slots=True)
class Document:
    """One document; ``title`` is empty where it has none."""

    doc_id: str
    title: str
    text: str
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Collection:
    """Documents and queries by id, and judgments by split name (``train``, ``dev``, ``test`` ...)."""

    name: str
    documents: dict[str, Document]
    queries: dict[str, str]
    qrels: dict[str, Qrels] = field(default_factory=dict)
    query_metadata: dict[str, dict[str, Any]] = field(default_factory=dict)

    def text(self, doc_id: str) -> str:
        """What is ranked: the title and the text, joined by a space where there is a title.

        Raises:
            DataError: the collection has no such document.
        """
        document = self.documents.get(doc_id)
        if document is None:
            raise DataError(f"collection {self.name} has no document {doc_id!r}; it has {len(self.documents)} others")
        return f"{document.title} {document.text}" if document.title else document.text

    def query(self, query_id: str) -> str:
        """The query's text.

        Raises:
            DataError: the collection has no such query.
        """
        if query_id not in self.queries:
            raise DataError(f"collection {self.name} has no query {query_id!r}; it has {len(self.queries)} others")
        return self.queries[query_id]

    def split(self, name: str) -> Qrels:
        """The judgments of one split.

        Raises:
            DataError: the collection has no such split.
        """
        if name not in self.qrels:
            accepted = ", ".join(sorted(self.qrels)) or "no split at all"
            raise DataError(f"collection {self.name} has no split {name!r}; it has {accepted}")
        return self.qrels[name]

    def fingerprint(self) -> str:
        """SHA-256 (hex) of all content, whatever its order; the collection's name does not count."""
        digest = hashlib.sha256()
        for part in (self._document_rows(), self._query_rows(), self._judgment_rows()):
            for row in part:
                digest.update(json.dumps(row, ensure_ascii=False, sort_keys=True).encode("utf-8", "surrogatepass"))
                digest.update(b"\n")
            digest.update(b"\n")
        return digest.hexdigest()

    def _document_rows(self) -> Iterable[list[Any]]:
        for doc_id in sorted(self.documents):
            document = self.documents[doc_id]
            yield [doc_id, document.title, document.text, dict(document.metadata)]

    def _query_rows(self) -> Iterable[list[Any]]:
        for query_id in sorted(self.queries):
            yield [query_id, self.queries[query_id], self.query_metadata.get(query_id, {})]

    def _judgment_rows(self) -> Iterable[list[Any]]:
        for split in sorted(self.qrels):
            for query_id in sorted(self.qrels[split]):
                yield [split, query_id, self.qrels[split][query_id]]
