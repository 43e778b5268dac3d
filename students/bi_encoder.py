"""The start model as a bi-encoder: the baseline that a student trained from it should pass."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sentence_transformers import SentenceTransformer


class BiEncoder:
    """Scores documents by the cosine of their vector and the query's; nothing is kept between calls.

    Where the model names prompts of its own for queries and documents, texts are encoded behind them.

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
        """The same for each (query, documents); every distinct text is encoded once, behind the model's own prompt."""
        queries, documents = _distinct_texts(lists)
        if not queries:
            return [[] for _ in lists]
        options: dict[str, Any] = {
            "normalize_embeddings": True, "convert_to_tensor": True, "show_progress_bar": False,
        }  # fmt: skip
        asked = dict(zip(queries, self._encoder.encode_query(queries, **options).float(), strict=True))
        vectors = self._encoder.encode_document(documents, **options).float()
        row = {text: number for number, text in enumerate(documents)}
        return [
            (vectors[[row[text] for text in texts]] @ asked[query]).tolist() if texts else [] for query, texts in lists
        ]

    def count_tokens(self, query: str, documents: Sequence[str]) -> int:
        """Tokens of the distinct texts that `score_pairs` encodes, as they are cut, without padding and prompts."""
        texts = [text for side in _distinct_texts([(query, documents)]) for text in side]
        return int(self._encoder.preprocess(texts)["attention_mask"].sum()) if texts else 0


def _distinct_texts(lists: Sequence[tuple[str, Sequence[str]]]) -> tuple[list[str], list[str]]:
    """Queries that have documents, and documents."""
    queries = dict.fromkeys(query for query, documents in lists if documents)
    return list(queries), list(dict.fromkeys(text for _, documents in lists for text in documents))
