"""Scores pairs with a saved student, at least as fast as `CrossEncoder.predict`: batches are sorted by token length."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from students.batching import suitable_budget, token_batches
from students.long_pairs import shortened_for
from students.passages import best_passage_scores, cut, passages_of


class Reranker:
    """A trained student: a sequence classifier with one output and its tokenizer.

    Args:
        model: the classifier, on the device where it is to run; scoring puts it into evaluation mode and back.
        tokenizer: its fast tokenizer; `model_max_length` is the length to which pairs are cut.
        batch_tokens: most tokens (padding included) of one forward pass; where None, what suits the model's device.
        in_passages: cut long documents as the model's configuration says, and take each one's best passage; False
            scores each document in one pass as other software does.
    """

    def __init__(self, model: Any, tokenizer: Any, batch_tokens: int | None = None, in_passages: bool = True) -> None:
        if model.config.num_labels != 1:
            raise ValueError(f"a re-ranker has one output, this model has {model.config.num_labels}")
        if batch_tokens is not None and batch_tokens < 1:
            raise ValueError(f"batch_tokens must be positive, got {batch_tokens}")
        self.model = model
        self.tokenizer = tokenizer
        self.batch_tokens = batch_tokens or suitable_budget(model.device)
        self.passages = passages_of(model.config) if in_passages else None

    @classmethod
    def load(
        cls, folder: str | Path, dtype: str = "float32", device: str | None = None, in_passages: bool = True
    ) -> Reranker:
        """Read a student's folder.

        Args:
            folder: what `train_encoder` or `train_decoder` wrote, or any sequence classifier with one output.
            dtype: number type of the weights, such as "float32" or "bfloat16"; scores are float32 either way.
            device: such as "cuda"; the first accelerator, or the processor, where None.
            in_passages: see the class.
        """
        model = AutoModelForSequenceClassification.from_pretrained(folder, dtype=dtype)
        target = device or torch.accelerator.current_accelerator(check_available=True) or "cpu"
        return cls(model.to(target), AutoTokenizer.from_pretrained(folder), in_passages=in_passages)

    def score_pairs(self, query: str, documents: Sequence[str]) -> list[float]:
        """One raw score per document, higher is better, in the order given."""
        return self.score_many([(query, documents)])[0]

    def score_many(self, lists: Sequence[tuple[str, Sequence[str]]]) -> list[list[float]]:
        """One list of scores for each (query, documents), in the order given.

        All pairs share their batches: many short lists cost no more than one long one.
        """
        return best_passage_scores(lists, self._cut, self._scores)

    def count_tokens(self, query: str, documents: Sequence[str]) -> int:
        """Tokens of these pairs that `score_pairs` sends through the model, as they are cut, without padding."""
        passages = list(chain.from_iterable(self._cut(list(documents))))
        if not passages:
            return 0
        return sum(map(len, self._encode([query] * len(passages), passages)["input_ids"]))

    def _cut(self, documents: list[str]) -> list[list[str]]:
        return cut(self.tokenizer, documents, self.passages)

    def _encode(self, queries: list[str], documents: list[str]) -> Any:
        return self.tokenizer(*shortened_for(self.tokenizer, queries, documents), truncation=True)

    @torch.inference_mode()
    def _scores(self, queries: list[str], documents: list[str]) -> list[float]:
        encoded = self._encode(queries, documents)
        lengths = [len(ids) for ids in encoded["input_ids"]]
        scores = torch.empty(len(lengths))
        training = self.model.training
        self.model.eval()
        try:
            for batch in token_batches(lengths, self.batch_tokens):
                rows = {name: [column[i] for i in batch] for name, column in encoded.items()}
                features = self.tokenizer.pad(rows, return_tensors="pt").to(self.model.device)
                scores[batch] = self.model(**features).logits[:, 0].float().cpu()
        finally:
            self.model.train(training)
        return scores.tolist()
