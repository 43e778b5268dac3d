"""A collection's texts as label folders ask for them: to export labels with texts, and to see what has changed."""

from __future__ import annotations

from distill.collections.collection import Collection
from labeling.keys import text_hash


class CollectionTexts:
    """The texts of a collection, and their hashes, by id."""

    def __init__(self, collection: Collection) -> None:
        self._collection = collection

    def query(self, query_id: str) -> str:
        """The query's text.

        Raises:
            DataError: the collection has no such query.
        """
        return self._collection.query(query_id)

    def passage(self, doc_id: str) -> tuple[str, str, str]:
        """A document's text as it is judged, its title and its body.

        Raises:
            DataError: the collection has no such document.
        """
        text = self._collection.text(doc_id)
        document = self._collection.documents[doc_id]
        return text, document.title, document.text

    def query_hash(self, query_id: str) -> str | None:
        """Hash of the query's text; None for an unknown id."""
        return text_hash(self._collection.queries[query_id]) if query_id in self._collection.queries else None

    def document_hash(self, doc_id: str) -> str | None:
        """Hash of the document's text as it is judged; None for an unknown id."""
        return text_hash(self._collection.text(doc_id)) if doc_id in self._collection.documents else None
