"""RouteHead's router: which heads to listen to for this query, learned from searched head sets and from rankings.

Source: RouteHead (arXiv 2604.24608). From the paper: a learnable embedding per head, a query embedding from the
frozen model's own hidden states, training on pseudo labels with a sparsity regulariser. Ours: the router multiplies
learned static weights and starts where it changes nothing, sees few principal directions of the query state, may
also be trained on the ranking itself, and is chosen by the held-out quality of the routed ranking.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Self

import torch
from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, PositiveFloat, PositiveInt, model_validator
from torch import Tensor
from torch.nn import functional

from teachers.baselines import listwise_cross_entropy
from teachers.features import JudgedLists

LEARNED = ("static", "center", "directions", "projection", "embeddings", "bias")
LIMITS = ("threshold", "min_heads", "max_heads")
"""What a `Router` is saved as: its tensors, and its numbers."""


class RouterSettings(BaseModel):
    """How the router is trained; capacity, epochs and threshold are chosen among the values given, by held-out nDCG."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    components: tuple[PositiveInt, ...] = Field(
        (1, 2, 4), min_length=1, description="principal directions of the query state: the capacities to try"
    )
    width: PositiveInt = Field(16, description="size of a head's embedding")
    epochs: PositiveInt = Field(100, description="most steps over all training queries")
    check_every: PositiveInt = Field(10, description="epochs between two looks at the held-out ranking")
    learning_rate: PositiveFloat = Field(0.005, description="of AdamW")
    weight_decay: NonNegativeFloat = Field(1.0, description="of AdamW, on the projection and the embeddings")
    ranking_weight: NonNegativeFloat = Field(1.0, description="of the listwise cross-entropy of the routed ranking")
    label_weight: NonNegativeFloat = Field(0.3, description="of the class-weighted BCE on the pseudo labels")
    sparsity: NonNegativeFloat = Field(0.01, description="of the mean gate (lambda)")
    thresholds: tuple[NonNegativeFloat, ...] = Field(
        (0.0, 0.05, 0.1, 0.2, 0.3), min_length=1, description="gates below it are closed: the values to try"
    )
    min_heads: PositiveInt = Field(16, description="heads that a query gets at least")
    max_heads: PositiveInt | None = Field(None, description="heads that a query gets at most; none: the whole pool")
    least_gain: NonNegativeFloat = Field(
        2.0, description="standard errors by which a trained router must beat the static weights to be taken"
    )
    folds: PositiveInt = Field(5, ge=2, description="parts of the training queries, each held out once")

    @model_validator(mode="after")
    def _leaves_room_between_the_bounds(self) -> Self:
        if self.max_heads is not None and self.max_heads < self.min_heads:
            raise ValueError(f"max_heads ({self.max_heads}) must not be below min_heads ({self.min_heads})")
        return self


@dataclass(frozen=True, slots=True)
class Router:
    """Gates over a pool of heads, and the static weights that they modulate.

    Args:
        static: v, weights of the pool's heads, (heads,).
        center, directions: query state to principal components, (hidden,) and (hidden, components).
        projection: W, (components, width); ``embeddings``: e, (heads, width); ``bias``: b, (heads,).
        threshold: gates below it are closed.
        min_heads, max_heads: bounds on the heads that stay open.
    """

    static: Tensor
    center: Tensor
    directions: Tensor
    projection: Tensor
    embeddings: Tensor
    bias: Tensor
    threshold: float = 0.0
    min_heads: int = 1
    max_heads: int = 1_000_000

    def gates(self, states: Tensor) -> Tensor:
        """g in (0, 1) for each query and head, (queries, heads), from states (queries, hidden)."""
        query = (states - self.center) @ self.directions @ self.projection
        return (query @ self.embeddings.T / self.embeddings.shape[1] ** 0.5 + self.bias).sigmoid()

    def head_weights(self, states: Tensor) -> Tensor:
        """Weight of each head for each query, (queries, heads): v * g / sigmoid(b), 0 for heads not chosen."""
        gates = self.gates(states)
        return self.static * gates / self.bias.sigmoid() * self._open(gates)

    def rank(self, lists: JudgedLists) -> Tensor:
        """Document scores, (queries, documents)."""
        return torch.einsum("qh,qhd->qd", self.head_weights(lists.states), lists.features)

    def tensors(self) -> dict[str, Tensor]:
        """Everything learned, by name."""
        return {name: getattr(self, name).contiguous() for name in LEARNED}

    def limits(self) -> dict[str, Any]:
        """The thresholds by name."""
        return {name: getattr(self, name) for name in LIMITS}

    def _open(self, gates: Tensor) -> Tensor:
        place = gates.argsort(dim=1, descending=True, stable=True).argsort(dim=1)
        return ((gates >= self.threshold) & (place < self.max_heads)) | (place < self.min_heads)


def untrained_router(lists: JudgedLists, static: Tensor, labels: Tensor, settings: RouterSettings, size: int) -> Router:
    """The router that training starts from: it ranks as the static weights of the heads that are left open do.

    Without ``max_heads`` that is all of them. ``W`` is zero, so every query gets the gate sigmoid(b), which the score
    divides out; b is the log-odds of the head being chosen in ``labels`` (queries, the pool's first heads).
    """
    center = lists.states.mean(0)
    # full SVD of (queries, hidden): the sign of a direction is arbitrary, so the largest entry is made positive
    _, spread, directions = torch.linalg.svd(lists.states - center, full_matrices=False)
    directions = directions[:size].T
    directions = directions * directions.gather(0, directions.abs().argmax(0)[None]).sign()
    scale = spread[:size].clamp_min(1e-6) / max(1, len(lists) - 1) ** 0.5
    searched = labels.mean(0).clamp(0.02, 0.98)
    # heads beyond the searched ones have no label, and stand behind these in the pool: none is opened before them
    share = torch.full((len(static),), float(searched.min()))
    share[: len(searched)] = searched
    generator = torch.Generator().manual_seed(0)
    width = settings.width
    return Router(
        static=static,
        center=center,
        directions=directions / scale,
        projection=torch.zeros(directions.shape[1], width),
        embeddings=torch.randn(len(static), width, generator=generator),
        bias=(share / (1 - share)).log(),
        min_heads=min(settings.min_heads, len(static)),
        max_heads=settings.max_heads or len(static),
    )


def train_router(
    start: Router, lists: JudgedLists, labels: Tensor, settings: RouterSettings, epochs: int
) -> list[Router]:
    """Routers along the way, one each ``check_every`` epochs, ``start`` first; no randomness.

    The objective is ranking_weight * listwise cross-entropy + label_weight * class-weighted BCE + sparsity * mean
    gate. The static weights stay as they are.
    """
    learned = {name: getattr(start, name).clone().requires_grad_() for name in ("projection", "embeddings", "bias")}
    groups = [
        {"params": [learned["projection"], learned["embeddings"]], "weight_decay": settings.weight_decay},
        {"params": [learned["bias"]], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=settings.learning_rate)
    routers = [start]
    for epoch in range(1, epochs + 1):
        optimizer.zero_grad()
        _objective(replace(start, **learned), lists, labels, settings).backward()
        optimizer.step()
        if epoch % settings.check_every == 0:
            routers.append(replace(start, **{name: value.detach().clone() for name, value in learned.items()}))
    return routers


def _objective(router: Router, lists: JudgedLists, labels: Tensor, settings: RouterSettings) -> Tensor:
    gates = router.gates(lists.states)
    weights = router.static * gates / router.bias.sigmoid()
    ranking = listwise_cross_entropy(torch.einsum("qh,qhd->qd", weights, lists.features), lists)
    # a head is in few of the sets: its rare ones weigh as much as its many zeros
    positive = ((1 - labels).sum() / labels.sum().clamp_min(1e-6)).clamp(1.0, 100.0)
    searched = gates[:, : labels.shape[1]].clamp(1e-6, 1 - 1e-6)
    imitation = functional.binary_cross_entropy(searched, labels, weight=labels * positive + (1 - labels))
    return settings.ranking_weight * ranking + settings.label_weight * imitation + settings.sparsity * gates.mean()
