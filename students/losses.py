"""Losses of one label list: pure functions of the student's scores and the teacher's labels, chosen by name.

A list is the unit everywhere: its documents are compared with each other alone, and a batch's loss is the mean over
its lists, so that long lists weigh no more than short ones.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import torch
import torch.nn.functional as F
from sentence_transformers.cross_encoder.losses import ADRMSELoss, LambdaLoss, ListNetLoss
from torch import Tensor

LossName = Literal["ranknet", "margin_mse", "listnet", "lambda", "adr_mse"]

ListLoss = Callable[[Tensor, Tensor], Tensor]
"""Raw scores and labels of one list, both (documents,), to a scalar. Labels are on any scale, higher is better."""

TOP_GRADE = 4.0
"""Grade of a list's best documents in the Lambda loss, as in web search; its gain is 2^4 - 1."""


def ranknet(scores: Tensor, labels: Tensor) -> Tensor:
    """Mean RankNet loss in nats over the list's ordered pairs; log(2) where all scores are equal.

    A pair is ordered where one label is above the other; ties give no pair, and without any pair the loss is zero.

    Raises:
        ValueError: the shapes differ.

    Source: Burges et al., Learning to Rank using Gradient Descent, ICML 2005, section 3, with target probability 1.
    The library's RankNet has the same sum, but its mean runs over all pairs of a batch.
    """
    ordered = _ordered(scores, labels)
    return _mean(F.softplus(-_gaps(scores)), ordered)


def margin_mse(scores: Tensor, labels: Tensor) -> Tensor:
    """Mean squared difference between score gap and label gap over the ordered pairs, labels standardised.

    Raises:
        ValueError: the shapes differ.

    Source: Hofstätter et al., Improving Efficient Neural Ranking Models with Cross-Architecture Knowledge Distillation,
    2020, section 3.2. The library's class wants as many negatives in every row; label lists differ in length. Ties give
    no pair, as nothing is known of the order of, say, two missing documents.
    """
    ordered = _ordered(scores, labels)
    return _mean((_gaps(scores) - _gaps(standardised(labels))).square(), ordered)


def listnet(scores: Tensor, labels: Tensor) -> Tensor:
    """The library's ListNet on standardised labels: cross entropy in nats of the two softmax distributions."""
    return _by_library(ListNetLoss, scores, standardised(labels))


def lambda_loss(scores: Tensor, labels: Tensor) -> Tensor:
    """The library's LambdaLoss (NDCG-Loss2++) on the labels' `grades`, as negative labels would be clamped to 0."""
    return _by_library(LambdaLoss, scores, grades(labels))


def adr_mse(scores: Tensor, labels: Tensor) -> Tensor:
    """The library's ADR-MSE: squared error of approximate ranks, discounted; it uses the labels' order alone."""
    return _by_library(ADRMSELoss, scores, labels)


LOSSES: Mapping[LossName, ListLoss] = {
    "ranknet": ranknet,
    "margin_mse": margin_mse,
    "listnet": listnet,
    "lambda": lambda_loss,
    "adr_mse": adr_mse,
}


SIZED_LOSSES: frozenset[LossName] = frozenset({"margin_mse", "listnet"})
"""Losses that learn how far apart labels are; to the others a list's order is all."""


def mean_over_lists(
    loss: ListLoss, scores: Tensor, labels: Sequence[Tensor], weights: Sequence[float] | None = None
) -> Tensor:
    """The loss of a batch: the mean over its lists of each list's loss times its weight.

    Args:
        loss: of one list.
        scores: of all documents, (documents,), list after list.
        labels: one tensor per list, as long as the list.
        weights: one per list; where None, all are 1.
    """
    parts = scores.split([len(row) for row in labels])
    losses = torch.stack([loss(part, row.to(part.device)) for part, row in zip(parts, labels, strict=True)])
    return losses.mean() if weights is None else (losses * losses.new_tensor(weights)).mean()


def standardised(labels: Tensor) -> Tensor:
    """Labels with mean 0 and standard deviation 1 within their list; all 0 where they are equal.

    A teacher's scores have a scale per query, which says nothing about relevance.
    """
    # in double precision: scores such as 1000.001 and 1000.002 are told apart
    exact = labels.double()
    centred = exact - exact.mean()
    spread = centred.square().mean().sqrt()
    return (centred / spread if spread > 0 else torch.zeros_like(centred)).float()


def grades(labels: Tensor) -> Tensor:
    """Labels as grades in [0, `TOP_GRADE`] by their order alone: the distinct labels stand at equal distances."""
    distinct, place = labels.unique(return_inverse=True)
    return place.float() * (TOP_GRADE / max(1, len(distinct) - 1))


def _gaps(values: Tensor) -> Tensor:
    """(documents, documents): the row's value minus the column's."""
    return values[:, None] - values[None, :]


def _ordered(scores: Tensor, labels: Tensor) -> Tensor:
    """(documents, documents), bool: where the row's label is above the column's."""
    if scores.shape != labels.shape:
        raise ValueError(f"scores and labels must have one shape, got {tuple(scores.shape)} and {tuple(labels.shape)}")
    return labels[:, None] > labels[None, :]


def _mean(losses: Tensor, chosen: Tensor) -> Tensor:
    """Mean of the chosen losses; zero where none is chosen."""
    return losses.masked_fill(~chosen, 0.0).sum() / chosen.sum().clamp(min=1)


class _GivenScores:
    """Stands where the library's losses call a model: its answer is scores that are known already."""

    num_labels = 1

    def __init__(self, scores: Tensor) -> None:
        self.scores = scores
        self.device = scores.device

    def preprocess(self, pairs: list[Any], **kwargs: Any) -> dict[str, Tensor]:
        return {}

    def __call__(self, features: dict[str, Tensor]) -> dict[str, Tensor]:
        return {"scores": self.scores}


def _by_library(loss_class: Any, scores: Tensor, labels: Tensor) -> Tensor:
    # all of the list at once: in parts the library would ask for the scores once a part
    loss = loss_class(_GivenScores(scores), mini_batch_size=-1)
    documents = [""] * len(scores)
    result: Tensor = loss([[""], [documents]], [labels])
    return result
