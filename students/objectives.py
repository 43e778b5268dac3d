"""What `CrossEncoderTrainer` minimises: a list loss on the student's own scores, alone and with term control."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from accelerate.utils import extract_model_from_parallel
from sentence_transformers import CrossEncoder
from tokenizers import Encoding
from torch import Tensor, nn

from students.batching import suitable_budget, token_batches
from students.dataset import ListBatch, list_batch
from students.long_pairs import shortened_for
from students.losses import ListLoss, mean_over_lists
from students.passages import cut, passages_of
from students.scoring_head import apply_scoring_head, check_family
from students.term_control import TermControlLayer
from students.term_matching import TokenSelection


@dataclass(frozen=True)
class PairBatch:
    """Pairs that share a forward pass: their texts, the model's features, and each pair's tokens without padding.

    Of long texts there is what `students.long_pairs` leaves, which is more than the tokens are of.
    """

    pairs: list[tuple[str, str]]
    features: Any
    encodings: list[Encoding]


class ListObjective(nn.Module):
    """One loss over label lists, on the model's own scores.

    Args:
        model: the cross-encoder to train; it must have one output. Where its configuration says how long documents
            are cut, a document's score is that of its best passage.
        loss: of one list, see `students.losses.LOSSES`.
        pass_tokens: most tokens (padding included) of one forward pass; where None, what suits the model's device.
    """

    def __init__(self, model: CrossEncoder, loss: ListLoss, pass_tokens: int | None = None) -> None:
        super().__init__()
        self.model = model
        self.loss = loss
        self.pass_tokens = pass_tokens

    def forward(
        self, inputs: list[list[Any]], labels: list[Tensor], prompt: str | None = None, task: str | None = None
    ) -> Tensor | dict[str, Tensor]:
        """The loss of a batch: inputs are a `ListBatch`'s columns, labels one tensor (documents,) per query.

        Raises:
            ValueError: a prompt is set: what is saved would score without it.
        """
        if prompt:
            raise ValueError(f"a student's pairs are its texts alone and take no prompt, got {prompt!r}")
        batch = list_batch(inputs)
        return self.terms(batch, labels, document_scores(self.model, batch, self.pair_scores, self.pass_tokens))

    def pair_scores(self, batch: PairBatch) -> Tensor:
        """The model's own scores, (1, pairs)."""
        return self.model(batch.features)["scores"].view(1, -1).float()

    def terms(self, batch: ListBatch, labels: list[Tensor], scores: Tensor) -> Tensor | dict[str, Tensor]:
        """The loss of scores (1, documents)."""
        return mean_over_lists(self.loss, scores[0], labels, list_factors(batch))


class TermControlObjective(ListObjective):
    """A list loss on the model's own scores plus the same loss on the scores of the term control layer.

    The layer is part of this objective, not of the model: what is saved as a student never holds it.

    Args:
        model: the cross-encoder to train; an encoder of a family that `apply_scoring_head` knows.
        loss: of one list; both terms are this loss.
        layer: the term control layer, of the model's hidden size.
        weight: factor of the second term; the methods call it lambda.
        selection: selects the document tokens that the layer sees; made for the model's tokenizer.
        pass_tokens: see `ListObjective`.

    Raises:
        StudentError: the model is of a family that is not known.

    Source: RRADistill (arXiv 2410.18097), as fixed in our own definition of the term control layer.
    """

    def __init__(
        self,
        model: CrossEncoder,
        loss: ListLoss,
        layer: TermControlLayer,
        weight: float,
        selection: TokenSelection,
        pass_tokens: int | None = None,
    ) -> None:
        super().__init__(model, loss, pass_tokens)
        check_family(model.config)
        self.layer = layer
        self.weight = weight
        self.selection = selection

    def pair_scores(self, batch: PairBatch) -> Tensor:
        """The model's own scores and the layer's, (2, pairs)."""
        encoder = extract_model_from_parallel(self.model).transformers_model
        positions = [
            self.selection.positions(encoding, query, document)
            for encoding, (query, document) in zip(batch.encodings, batch.pairs, strict=True)
        ]
        with _last_hidden_state(encoder.base_model) as states:
            scores = self.model(batch.features)["scores"]
        controlled = apply_scoring_head(encoder, self.layer(states[0].float(), positions))
        return torch.stack([scores.view(-1).float(), controlled.view(-1).float()])

    def terms(self, batch: ListBatch, labels: list[Tensor], scores: Tensor) -> dict[str, Tensor]:
        """Both terms by name, of scores (2, documents); the trainer logs each and optimises their sum."""
        base, controlled = (mean_over_lists(self.loss, row, labels, list_factors(batch)) for row in scores)
        return {"base": base, "term_control": self.weight * controlled}


def list_factors(batch: ListBatch) -> list[float]:
    """What each list's loss is multiplied with."""
    return [1.0 if weight is None else weight for weight in batch.weights]


def document_scores(
    model: Any, batch: ListBatch, score: Callable[[PairBatch], Tensor], pass_tokens: int | None = None
) -> Tensor:
    """Scores of all documents of the lists, (rows, documents), list after list; of each its best passage's.

    Args:
        model: the cross-encoder, wrapped for several processes or not.
        batch: label lists.
        score: scores (rows, pairs) of pairs that share a forward pass; called with pairs of like length.
        pass_tokens: most tokens of one pass, padding included; where None, what suits the model's device.
    """
    plain = extract_model_from_parallel(model)
    device = next(model.parameters()).device
    documents = [document for row in batch.documents for document in row]
    passages = cut(plain.tokenizer, documents, passages_of(plain.config))
    counts = [len(row) for row in passages]
    queries = [query for query, row in zip(batch.queries, batch.documents, strict=True) for _ in row]
    pairs = [(query, text) for query, row in zip(queries, passages, strict=True) for text in row]
    parts, order = [], []
    for rows, part in _passes(plain.tokenizer, pairs, pass_tokens or suitable_budget(device), device):
        parts.append(score(part))
        order.extend(rows)
    in_order = torch.cat(parts, dim=1)[:, torch.tensor(order, device=device).argsort()]
    return in_order if len(counts) == len(pairs) else best_of(in_order, counts)


def _passes(
    tokenizer: Any, pairs: Sequence[tuple[str, str]], budget: int, device: torch.device
) -> Iterator[tuple[list[int], PairBatch]]:
    """The pairs in passes of at most `budget` tokens, each with the pairs' places.

    One pass over a whole batch of lists would spend about a third of its time on padding.
    """
    queries, texts = shortened_for(tokenizer, [query for query, _ in pairs], [text for _, text in pairs])
    pairs = list(zip(queries, texts, strict=True))
    encoded = tokenizer(queries, texts, truncation=True)
    for rows in token_batches([len(ids) for ids in encoded["input_ids"]], budget):
        columns = {name: [column[row] for row in rows] for name, column in encoded.items()}
        features = tokenizer.pad(columns, return_tensors="pt").to(device)
        yield rows, PairBatch([pairs[row] for row in rows], features, [encoded.encodings[row] for row in rows])


@contextmanager
def _last_hidden_state(backbone: nn.Module) -> Iterator[list[Tensor]]:
    """A list that holds the backbone's last hidden state (pairs, tokens, hidden) after a pass within the context.

    A hook, because `CrossEncoder` hands out scores alone and asking for all hidden states keeps every layer's.
    """
    states: list[Tensor] = []
    hook = backbone.register_forward_hook(lambda module, args, output: states.append(output[0]))
    try:
        yield states
    finally:
        hook.remove()


def best_of(scores: Tensor, counts: Sequence[int]) -> Tensor:
    """Best score of each document, (rows, documents); the gradient flows into its best passage alone.

    Args:
        scores: of all passages, (rows, passages), document after document.
        counts: passages of each document.
    """
    return torch.stack([part.max(dim=1).values for part in scores.split(list(counts), dim=1)], dim=1)
