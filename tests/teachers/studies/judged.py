"""Judged lists made by hand: heads of known quality, so that every study's answer is known beforehand."""

from __future__ import annotations

import torch

from teachers.features import JudgedLists
from teachers.head_scores import HeadScores


def planted(heads: list[float], queries: int = 60, documents: int = 8, seed: int = 0) -> JudgedLists:
    """Lists with one relevant document each; head h scores it ``heads[h]`` above noise of its own."""
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(queries, len(heads), documents, generator=generator)
    relevant = torch.randint(documents, (queries,), generator=generator)
    gains = torch.zeros(queries, documents)
    gains[torch.arange(queries), relevant] = 1.0
    features += torch.tensor(heads)[None, :, None] * gains[:, None]
    states = torch.randn(queries, 6, generator=generator)
    return JudgedLists(features, torch.ones(queries, documents, dtype=torch.bool), gains, states)


def as_scores(lists: JudgedLists, heads_per_layer: int) -> tuple[list[HeadScores], list[list[float]]]:
    """The same lists as head scores whose masses rank as the features do."""
    scores = []
    for features, state in zip(lists.features, lists.states, strict=True):
        mass = features.sigmoid().unflatten(0, (-1, heads_per_layer)) / 10
        empty = torch.zeros(features.shape[1], dtype=torch.int64)
        scores.append(HeadScores(mass, torch.zeros_like(mass), mass, mass.sum((0, 1)), state, empty, 1))
    return scores, lists.gains.tolist()
