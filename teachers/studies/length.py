"""Whether heads found on short lists rank long ones, and whether a document's place in the prompt decides its rank."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, PositiveInt
from torch import Tensor

from teachers.baselines import learn_weights
from teachers.features import JudgedLists
from teachers.folds import fold_places
from teachers.head_scores import reading_order
from teachers.head_search import rank_heads
from teachers.prompt import PromptSettings
from teachers.studies.held_out import out_of_fold, set_ndcg, weighted_ndcg

PARTS = ("first fifth", "second", "middle", "fourth", "last fifth")
"""Of a prompt, by where the relevant document stands among the documents."""


class LengthSettings(BaseModel):
    """Which heads are carried from one length to another."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    heads: PositiveInt = Field(16, description="heads of the equal-weight set")
    pool: PositiveInt = Field(64, description="best single heads that learn a weight")
    l1: NonNegativeFloat = Field(0.005, description="pull of learned weights towards zero")
    folds: PositiveInt = Field(5, ge=2, description="parts of the lists, each measured with what the others chose")
    cutoff: PositiveInt = Field(10, description="k of nDCG@k")
    seed: int = Field(0, description="of the folds")


def shortened(gains: Sequence[float], size: int) -> list[int]:
    """Places of a list's first ``size`` documents, in their order; its first relevant one is always among them.

    Raises:
        ValueError: no document is relevant.
    """
    relevant = next((place for place, gain in enumerate(gains) if gain > 0), None)
    if relevant is None:
        raise ValueError("a list without a relevant document cannot be shortened around it")
    if relevant < size:
        return list(range(min(size, len(gains))))
    return [*range(size - 1), relevant]


def carried(by_size: Mapping[int, JudgedLists], settings: LengthSettings) -> dict[tuple[int, int], Tensor]:
    """Held-out nDCG of each query's list, (queries, 2): the best heads averaged, and learned weights.

    Args:
        by_size: the same queries in the same order, with lists of each size.
        settings: which heads.

    Returns:
        By (size of the lists that heads and weights were found on, size of the lists that they ranked).
    """
    count = len(next(iter(by_size.values())))
    found = {(one, other): torch.zeros(count, 2) for one in by_size for other in by_size}
    for train, held in fold_places(count, settings.folds, settings.seed):
        for one, lists in by_size.items():
            chosen = _chosen(lists.take(train), settings)
            for other, used in by_size.items():
                found[one, other][held] = _ranked(used.take(held), *chosen, settings)
    return found


def held_out_quality(lists: JudgedLists, settings: LengthSettings) -> Tensor:
    """nDCG of each list, (queries, 2), by heads and weights of the other folds; see `carried`."""
    return out_of_fold(
        lists, settings.folds, settings.seed,
        lambda train, held: _ranked(held, *_chosen(train, settings), settings),
    )  # fmt: skip


def quality_from(train: JudgedLists, used: Sequence[JudgedLists], settings: LengthSettings) -> list[Tensor]:
    """nDCG of other lists, (queries, 2) each, by heads and weights found on ``train``; see `carried`."""
    chosen = _chosen(train, settings)
    return [_ranked(lists, *chosen, settings) for lists in used]


def relevant_place(
    query: str, documents: Sequence[str], gains: Sequence[float], prompt: PromptSettings, order: int = 0
) -> float | None:
    """Where the relevant document stood among the documents of the prompt, from 0 (first) to 1 (last).

    None where several are relevant, where there is one document only, and where the document stood in several places:
    in several orders, or in windows.
    """
    if prompt.orders > 1 or prompt.window_tokens is not None:
        return None
    relevant = [text for text, gain in zip(documents, gains, strict=True) if gain > 0]
    standing = reading_order(query, documents, prompt, order)
    if len(relevant) != 1 or len(standing) < 2:
        return None
    return standing.index(relevant[0]) / (len(standing) - 1)


def part_of(place: float) -> str:
    """Which of `PARTS` a place from 0 to 1 lies in."""
    return PARTS[min(len(PARTS) - 1, int(place * len(PARTS)))]


def _chosen(train: JudgedLists, settings: LengthSettings) -> tuple[list[int], Tensor]:
    """Heads from best to worst, and the weights of the first ones."""
    order = rank_heads(train, settings.cutoff).tolist()
    return order, learn_weights(train.of_heads(order[: settings.pool]), settings.l1)


def _ranked(lists: JudgedLists, order: list[int], weights: Tensor, settings: LengthSettings) -> Tensor:
    weighted = weighted_ndcg(lists.of_heads(order[: settings.pool]), weights[None], settings.cutoff)[:, 0]
    return torch.stack([set_ndcg(lists, order[: settings.heads], settings.cutoff), weighted], 1)
