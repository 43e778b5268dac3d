"""The ranking losses that sentence-transformers lacks: RankNet as a mean per query, alone and with term control."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from accelerate.utils import extract_model_from_parallel
from sentence_transformers import CrossEncoder
from sentence_transformers.util import batch_to_device
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from students.scoring_head import apply_scoring_head
from students.term_control import TermControlLayer
from students.term_matching import TermMatcher

PAIRS_PER_PASS = 16

Pair = tuple[str, str]
"""A query and a document."""


def ranknet(scores: Tensor, labels: Tensor, valid: Tensor) -> Tensor:
    """Mean over queries of the mean RankNet loss over each query's ordered pairs.

    A pair is ordered where one label is above the other; ties give no pair, and queries without a pair do not count.

    Args:
        scores: raw student scores, (queries, documents).
        labels: teacher labels on any scale, same shape, higher is better; only their order within a query is used.
        valid: bool, same shape; False marks padding.

    Returns:
        A scalar in nats; log(2) where all scores of a query are equal, zero where no query has a pair.

    Raises:
        ValueError: the three shapes differ.

    Source: Burges et al., Learning to Rank using Gradient Descent, ICML 2005, section 3, with target probability 1.
    The mean per query (instead of over all pairs of the batch) gives long lists no more weight than short ones.
    """
    if not scores.shape == labels.shape == valid.shape:
        shapes = [tuple(tensor.shape) for tensor in (scores, labels, valid)]
        raise ValueError(f"scores, labels and valid must have one shape, got {shapes}")
    ordered = (labels[:, :, None] > labels[:, None, :]) & valid[:, :, None] & valid[:, None, :]
    losses = F.softplus(scores[:, None, :] - scores[:, :, None]).masked_fill(~ordered, 0.0)
    pairs = ordered.sum(dim=(1, 2))
    per_query = losses.sum(dim=(1, 2)) / pairs.clamp(min=1)
    return per_query.sum() / (pairs > 0).sum().clamp(min=1)


class RankNetLoss(nn.Module):
    """RankNet over label lists, in the form that `CrossEncoderTrainer` calls.

    Args:
        model: the cross-encoder to train; it must have one output.
    """

    def __init__(self, model: CrossEncoder) -> None:
        super().__init__()
        self.model = model

    def forward(
        self, inputs: list[list[Any]], labels: list[Tensor], prompt: str | None = None, task: str | None = None
    ) -> Tensor:
        """The loss of a batch: inputs are [queries, document lists], labels one tensor (documents,) per query."""

        def score(pairs: list[Pair]) -> Tensor:
            return self.model(_features(self.model, pairs, prompt, task))["scores"].view(1, -1).float()

        (scores,) = _in_passes(_pairs(inputs), score)
        return _ranknet_of_lists(scores, labels)


class TermControlLoss(nn.Module):
    """RankNet on the model's own scores plus RankNet on the scores of the term control layer.

    The layer is part of this objective, not of the model: what is saved as a student never holds it.

    Args:
        model: the cross-encoder to train; an encoder of a family that `apply_scoring_head` knows.
        layer: the term control layer, of the model's hidden size.
        weight: factor of the second term; the methods call it lambda.
        terms: selects the document tokens that the layer sees; made for the model's tokenizer.

    Source: RRADistill (arXiv 2410.18097), as fixed in our own definition of the term control layer.
    """

    def __init__(self, model: CrossEncoder, layer: TermControlLayer, weight: float, terms: TermMatcher) -> None:
        super().__init__()
        self.model = model
        self.layer = layer
        self.weight = weight
        self.terms = terms

    def forward(
        self, inputs: list[list[Any]], labels: list[Tensor], prompt: str | None = None, task: str | None = None
    ) -> dict[str, Tensor]:
        """Both terms of a batch, by name; the trainer logs each and optimises their sum.

        Raises:
            ValueError: a prompt is set: it would shift the words that are compared.
        """
        if prompt:
            raise ValueError(f"term control compares the texts themselves and takes no prompt, got {prompt!r}")
        base, controlled = _in_passes(_pairs(inputs), lambda pairs: self._scores(pairs, task))
        return {
            "base": _ranknet_of_lists(base, labels),
            "term_control": self.weight * _ranknet_of_lists(controlled, labels),
        }

    def _scores(self, pairs: list[Pair], task: str | None) -> Tensor:
        """The model's own scores and the layer's, (2, pairs)."""
        features = _features(self.model, pairs, None, task)
        encoder = extract_model_from_parallel(self.model).transformers_model
        positions = [
            self.terms.positions(encoding, query, document)
            for encoding, (query, document) in zip(features.encodings, pairs, strict=True)
        ]
        with _last_hidden_state(encoder.base_model) as states:
            scores = self.model(features)["scores"]
        controlled = apply_scoring_head(encoder, self.layer(states[0].float(), positions))
        return torch.stack([scores.view(-1).float(), controlled.view(-1).float()])


def _in_passes(pairs: list[Pair], score: Callable[[list[Pair]], Tensor]) -> Tensor:
    """`score` of all pairs, (rows, pairs), in their order; it is called with few pairs of like length at a time.

    One pass over a whole batch of lists would spend about a third of its time on padding.
    """
    order = sorted(range(len(pairs)), key=lambda i: len(pairs[i][0]) + len(pairs[i][1]))
    parts = [order[start : start + PAIRS_PER_PASS] for start in range(0, len(order), PAIRS_PER_PASS)]
    scores = torch.cat([score([pairs[i] for i in part]) for part in parts], dim=1)
    return scores[:, torch.tensor(order).argsort().to(scores.device)]


def _pairs(inputs: list[list[Any]]) -> list[Pair]:
    queries, document_lists = inputs
    return [(query, doc) for query, docs in zip(queries, document_lists, strict=True) for doc in docs]


def _features(model: CrossEncoder, pairs: list[Pair], prompt: str | None, task: str | None) -> Any:
    features = model.preprocess(pairs, prompt=prompt, task=task)
    return batch_to_device(features, next(model.parameters()).device)


def _ranknet_of_lists(scores: Tensor, labels: Sequence[Tensor]) -> Tensor:
    """RankNet of flat scores (pairs,) cut into lists as long as their labels."""
    sizes = [len(row) for row in labels]
    matrix = pad_sequence(list(scores.split(sizes)), batch_first=True)
    label_matrix = pad_sequence([row.to(scores) for row in labels], batch_first=True)
    valid = torch.arange(max(sizes), device=scores.device)[None] < torch.tensor(sizes, device=scores.device)[:, None]
    return ranknet(matrix, label_matrix, valid)


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
