"""The start model as a bi-encoder: the baseline that a student trained from it should pass."""

from collections.abc import Sequence
from pathlib import Path

from sentence_transformers import SentenceTransformer


class BiEncoder:
    """Scores documents by the cosine of their vector and the query's; nothing is kept between calls.

    Args:
        model: a folder or hub id that `SentenceTransformer` loads.
    """

    def __init__(self, model: str | Path) -> None:
        self._encoder = SentenceTransformer(str(model))

    def score_pairs(self, query: str, documents: Sequence[str]) -> list[float]:
        """Cosine of each document, in [-1, 1], in the order given."""
        return self.score_many([(query, documents)])[0]

    def score_many(self, lists: Sequence[tuple[str, Sequence[str]]]) -> list[list[float]]:
        """The same for each (query, documents); every distinct text is encoded once."""
        texts = list(dict.fromkeys(text for query, documents in lists for text in (query, *documents)))
        if not texts:
            return [[] for _ in lists]
        vectors = self._encoder.encode(
            texts, normalize_embeddings=True, convert_to_tensor=True, show_progress_bar=False
        )
        row = {text: number for number, text in enumerate(texts)}
        return [
            (vectors[[row[document] for document in documents]] @ vectors[row[query]]).tolist() if documents else []
            for query, documents in lists
        ]
