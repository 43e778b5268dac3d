"""Correlations, pairs and growing sets against numpy, by copies of heads and by heads that complete each other."""

import numpy as np
import pytest
import torch

from teachers.features import JudgedLists
from teachers.head_search import ndcg
from teachers.studies.redundancy import RedundancySettings, correlations, growing_sets, pairs
from tests.teachers.studies.judged import planted

LISTS = planted([1.5, 1.5, 1.0, 0.0, 0.0], queries=90)


def test_correlations_are_those_of_numpy_list_by_list():
    valid = LISTS.valid.clone()
    valid[:, 6:] = torch.arange(90)[:, None] % 2 == 0
    lists = JudgedLists(LISTS.features, valid, LISTS.gains, LISTS.states)
    expected = np.mean([np.corrcoef(f[:, v].numpy()) for f, v in zip(lists.features, valid, strict=True)], axis=0)
    np.testing.assert_allclose(correlations(lists).numpy(), expected, atol=1e-5)


def test_a_copy_of_a_head_adds_nothing_and_an_independent_one_helps():
    features = LISTS.features.clone()
    features[:, 2] = features[:, 0]
    lists = JudgedLists(features, LISTS.valid, LISTS.gains, LISTS.states)
    found = {pair.heads: pair for pair in pairs(lists, RedundancySettings(pool=5, folds=3))}
    assert len(found) == 10
    assert found[0, 2].correlation == pytest.approx(1.0)
    assert torch.equal(found[0, 2].gains, torch.zeros(90))
    assert found[0, 1].gains.mean() > 0.03
    # a head of noise pulls a good one down
    assert found[0, 3].gains.mean() < -0.03
    together = ndcg(features[:, [0, 1]].sum(1, keepdim=True), lists, 10)[:, 0]
    alone = ndcg(features[:, [0, 1]], lists, 10)
    # the better one differs by fold, but is one of the two
    gains = found[0, 1].gains
    same = torch.isclose(gains[:, None], together[:, None] - alone, atol=1e-6)
    assert same.any(1).all()


def test_sets_grow_by_their_rule_and_copies_count_once():
    features = LISTS.features.clone()
    features[:, 3] = features[:, 4] = features[:, 0]
    lists = JudgedLists(features, LISTS.valid, LISTS.gains, LISTS.states)
    grown = growing_sets(lists, RedundancySettings(heads=5, folds=3))
    for found in grown.values():
        assert found.ndcg.shape == (90, 5)
        torch.testing.assert_close(found.ndcg[:, 0], found.alone[:, 0])
    # greedy looks for what completes the set, the next best single may be a copy
    assert grown["greedy"].ndcg[:, 1].mean() > grown["best"].ndcg[:, 1].mean() - 1e-6
    assert grown["best"].effective[0] == pytest.approx(1.0)
    # three copies and two independent heads: eigenvalues 3, 1, 1, so 25 / 11
    assert grown["best"].effective[4] == pytest.approx(25 / 11, abs=0.25)


def test_each_size_tells_what_its_last_head_is_worth_alone():
    grown = growing_sets(planted([1.0, 3.0, 0.0, 2.0]), RedundancySettings(heads=4, folds=3))["best"]
    # best head first: 3.0, 2.0, 1.0, 0.0 above the noise
    alone = grown.alone.mean(0)
    assert (alone.diff() < -0.05).all(), alone
