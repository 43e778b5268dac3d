"""Head scores made by hand, in which each rule must pick the one head that was made for it."""

from typing import get_args

import pytest
import torch

from teachers.errors import TeacherError
from teachers.head_scores import HeadScores
from teachers.head_sets import HeadSetSettings, SetName, find_head_sets, random_heads
from teachers.heads import Head

LAYERS, HEADS, DOCUMENTS = 3, 4, 6


def head_scores(real, null, masked):
    return HeadScores(
        real=real, null=null, masked=masked, all_heads=masked.sum((0, 1)), state=torch.zeros(5),
        truncated=torch.zeros(DOCUMENTS, dtype=torch.long), tokens=1,
    )  # fmt: skip


@pytest.fixture
def judged():
    """30 lists whose relevant document is another one each time; all heads but three are noise.

    1.2 has the highest masked calibrated mass on it, but its raw mass on all documents alike, which makes it blind to
    the contrastive rule and to weights over log mass. 2.1 has the highest raw mass on it by far, but the null query
    gives it the same, so that its calibrated mass is noise. 0.3 has a raw mass that is lowest on the relevant document:
    worth a negative weight.
    """
    generator = torch.Generator().manual_seed(0)
    scores, gains = [], []
    for number in range(30):
        relevant = number % DOCUMENTS
        real = 0.01 + 0.001 * torch.rand(LAYERS, HEADS, DOCUMENTS, generator=generator)
        masked = 0.001 * torch.randn(LAYERS, HEADS, DOCUMENTS, generator=generator)
        real[1, 2], masked[1, 2, relevant] = 0.01, 0.01
        real[2, 1, relevant] = 0.05
        real[0, 3, relevant] = 0.0002
        scores.append(head_scores(real, torch.zeros_like(real), masked))
        gains.append([float(place == relevant) for place in range(DOCUMENTS)])
    return scores, gains


def test_each_rule_finds_the_head_that_was_made_for_it(judged):
    sets = find_head_sets(*judged, HeadSetSettings(count=2), copy=[Head(9, 9), Head(8, 8), Head(7, 7)])
    assert sets["query_focused"][0] == Head(1, 2)
    assert sets["contrastive"][0] == Head(2, 1)
    assert set(sets["routed"]) == {Head(2, 1), Head(0, 3)}
    assert sets["copy"] == [Head(9, 9), Head(8, 8)]
    assert tuple(sets) == get_args(SetName)


def test_a_set_of_k_heads_begins_a_larger_one(judged):
    small, large = (find_head_sets(*judged, HeadSetSettings(count=count)) for count in (3, 12))
    assert "copy" not in small
    for name, heads in small.items():
        assert heads == large[name][:3]
        assert len(set(large[name])) == 12


def test_the_random_set_follows_its_seed_and_nothing_else(judged):
    scores, gains = judged
    first = find_head_sets(scores, gains, HeadSetSettings(count=5, seed=1))["random"]
    assert first == find_head_sets(scores[:9], gains[:9], HeadSetSettings(count=5, seed=1))["random"]
    assert first != find_head_sets(scores, gains, HeadSetSettings(count=5, seed=2))["random"]


def test_random_heads_are_drawn_evenly():
    drawn = [random_heads(LAYERS, HEADS, seed)[:3] for seed in range(120)]
    counts = {Head(layer, index): 0 for layer in range(LAYERS) for index in range(HEADS)}
    for heads in drawn:
        for head in heads:
            counts[head] += 1
    # 360 draws over 12 heads: 30 each, with a standard deviation of sqrt(120 * 1/4 * 3/4) = 4.7
    assert all(30 - 4 * 4.7 < count < 30 + 4 * 4.7 for count in counts.values())


def test_lists_without_a_relevant_document_change_nothing(judged):
    scores, gains = judged
    more = find_head_sets([*scores, scores[0]], [*gains, [0.0] * DOCUMENTS], HeadSetSettings())
    assert more == find_head_sets(scores, gains, HeadSetSettings())
    with pytest.raises(TeacherError, match="none of 1 lists holds a relevant document"):
        find_head_sets(scores[:1], [[0.0] * DOCUMENTS], HeadSetSettings())
