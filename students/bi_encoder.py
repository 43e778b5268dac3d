"""The start model as a bi-encoder: the baseline that a student trained from it should pass."""

from collections.abc import Sequence
from pathlib import Path

from sentence_transformers import SentenceTransformer


class BiEncoder:
    """Scores documents by the cosine of their vector and the query's; nothing is kept between calls.

    Args:
        model: a folder or hub id that `SentenceTransformer` loads.
        device: such as "cuda"; the first accelerator, or the processor, where None.
        dtype: number type of the weights, such as "float32" or "bfloat16".
    """

    def __init__(self, model: str | Path, device: str | None = None, dtype: str = "float32") -> None:
        self._encoder = SentenceTransformer(str(model), device=device, model_kwargs={"dtype": dtype})

    def score_pairs(self, query: str, documents: Sequence[str]) -> list[float]:
        """Cosine of each document, in [-1, 1], in the order given."""
        return self.score_many([(query, documents)])[0]

    def score_many(self, lists: Sequence[tuple[str, Sequence[str]]]) -> list[list[float]]:
        """The same for each (query, documents); every distinct text is encoded once."""
        texts = _distinct(lists)
        if not texts:
            return [[] for _ in lists]
        vectors = self._encoder.encode(
            texts, normalize_embeddings=True, convert_to_tensor=True, show_progress_bar=False
        ).float()
        row = {text: number for number, text in enumerate(texts)}
        return [
            (vectors[[row[document] for document in documents]] @ vectors[row[query]]).tolist() if documents else []
            for query, documents in lists
        ]

    def count_tokens(self, query: str, documents: Sequence[str]) -> int:
        """Tokens of the distinct texts that `score_pairs` encodes, as they are cut, without padding."""
        texts = _distinct([(query, documents)])
        return int(self._encoder.preprocess(texts)["attention_mask"].sum()) if texts else 0


def _distinct(lists: Sequence[tuple[str, Sequence[str]]]) -> list[str]:
    return list(dict.fromkeys(text for query, documents in lists if documents for text in (query, *documents)))
