"""Where in the model ranking happens: quality by layer, by number of heads and by the depth at which a pass stops."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, PositiveInt
from torch import Tensor

from teachers.baselines import learn_weights
from teachers.features import JudgedLists
from teachers.head_scores import HeadReader
from teachers.head_search import rank_heads, single_head_ndcg
from teachers.studies.held_out import out_of_fold, set_ndcg, weighted_ndcg


class LayerSettings(BaseModel):
    """What is tried, and how it is measured."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    heads: tuple[PositiveInt, ...] = Field(
        (1, 2, 4, 8, 16, 32, 64, 128), min_length=1, description="numbers of heads to try; all heads come last"
    )
    set_size: PositiveInt = Field(16, description="heads of the equal-weight set at each depth")
    depth_step: PositiveInt = Field(3, description="layers between two depths that are tried")
    l1: NonNegativeFloat = Field(0.005, description="pull of learned weights towards zero")
    folds: PositiveInt = Field(5, ge=2, description="parts of the lists, each measured with what the others chose")
    cutoff: PositiveInt = Field(10, description="k of nDCG@k")
    seed: int = Field(0, description="of the folds")


@dataclass(frozen=True, slots=True)
class LayerQuality:
    """nDCG of each list, by layer; all tensors (queries, layers).

    Args:
        mean: over the layer's heads, each alone.
        best: of the layer's best single head, chosen on the other folds.
        together: of all its heads with equal weights.
    """

    mean: Tensor
    best: Tensor
    together: Tensor


@dataclass(frozen=True, slots=True)
class TriedSets:
    """nDCG of each list for each thing tried, (queries, tried), with equal and with learned weights.

    Args:
        tried: numbers of heads, or depths.
    """

    tried: list[int]
    equal: Tensor
    learned: Tensor


def by_layer(lists: JudgedLists, heads_per_layer: int, settings: LayerSettings) -> LayerQuality:
    """The bell: how well each layer's heads rank, alone and together."""
    alone = single_head_ndcg(lists, settings.cutoff).unflatten(1, (-1, heads_per_layer))
    together = lists.features.unflatten(1, (-1, heads_per_layer)).mean(2)
    layers = JudgedLists(together, lists.valid, lists.gains, lists.states)

    def best(train: JudgedLists, held: JudgedLists) -> Tensor:
        chosen = single_head_ndcg(train, settings.cutoff).double().mean(0).view(-1, heads_per_layer).argmax(1)
        own = single_head_ndcg(held, settings.cutoff).unflatten(1, (-1, heads_per_layer))
        return own.gather(2, chosen[None, :, None].expand(len(held), -1, 1))[:, :, 0]

    chosen = out_of_fold(lists, settings.folds, settings.seed, best)
    return LayerQuality(alone.mean(2), chosen, single_head_ndcg(layers, settings.cutoff))


def by_count(lists: JudgedLists, settings: LayerSettings) -> TriedSets:
    """Held-out quality of the best few single heads, by how many; order and weights come from the other folds."""
    total = lists.features.shape[1]
    counts = sorted({min(count, total) for count in (*settings.heads, total)})

    def measure(train: JudgedLists, held: JudgedLists) -> Tensor:
        order = rank_heads(train, settings.cutoff).tolist()
        return torch.stack([_both(train, held, order[:count], order[:count], settings) for count in counts], 1)

    found = out_of_fold(lists, settings.folds, settings.seed, measure)
    return TriedSets(counts, found[..., 0], found[..., 1])


def by_depth(lists: JudgedLists, heads_per_layer: int, settings: LayerSettings) -> TriedSets:
    """Held-out quality of what heads of the first so many layers give: the best few with equal weights, all learned."""
    layers = lists.features.shape[1] // heads_per_layer
    depths = tried_depths(layers, settings)

    def measure(train: JudgedLists, held: JudgedLists) -> Tensor:
        order = rank_heads(train, settings.cutoff).tolist()
        columns = []
        for depth in depths:
            above = [head for head in order if head < depth * heads_per_layer]
            columns.append(_both(train, held, above[: settings.set_size], above, settings))
        return torch.stack(columns, 1)

    found = out_of_fold(lists, settings.folds, settings.seed, measure)
    return TriedSets(depths, found[..., 0], found[..., 1])


def tried_depths(layers: int, settings: LayerSettings) -> list[int]:
    """Depths at equal steps, the whole depth always among them."""
    return sorted(range(layers, 0, -settings.depth_step))


def seconds_by_depth(
    reader: HeadReader, lists: Sequence[tuple[str, Sequence[str]]], depths: Sequence[int]
) -> dict[int, float]:
    """Median seconds of one list's pass at each depth, nothing from a store; depths take turns on each list.

    The first list is read once before, so that nothing is timed that is done once.
    """
    readers = {depth: reader.at_depth(depth, state_layer=min(reader.state_layer, depth - 1)) for depth in depths}
    taken: dict[int, list[float]] = {depth: [] for depth in depths}
    readers[max(depths)].read(*lists[0])
    for query, documents in lists:
        for depth, own in readers.items():
            start = time.perf_counter()
            own.read(query, documents)
            taken[depth].append(time.perf_counter() - start)
    return {depth: statistics.median(seconds) for depth, seconds in taken.items()}


def _both(
    train: JudgedLists, held: JudgedLists, equal: Sequence[int], learned: Sequence[int], settings: LayerSettings
) -> Tensor:
    """nDCG of the held lists, (queries, 2): ``equal`` heads averaged, ``learned`` heads weighted on ``train``."""
    weights = learn_weights(train.of_heads(learned), settings.l1)
    weighted = weighted_ndcg(held.of_heads(learned), weights[None], settings.cutoff)[:, 0]
    return torch.stack([set_ndcg(held, equal, settings.cutoff), weighted], 1)
