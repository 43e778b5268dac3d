"""Kinds of queries against permutations, and a router against its static start."""

import pytest
import torch
from scipy import stats

from teachers.router import RouterSettings
from teachers.studies.held_out import out_of_fold
from teachers.studies.routing import RoutingSettings, kind_test, plane, route_out_of_fold
from tests.teachers.studies.judged import planted

SETTINGS = RoutingSettings(permutations=199, folds=3, epochs=10, router=RouterSettings(check_every=10))
KINDS = ["a"] * 20 + ["b"] * 30


def test_the_share_between_kinds_is_worked_out_by_hand():
    # one head, means 1 and 0 of two and two queries: all of the variation lies between them
    labels = torch.tensor([[1.0], [1.0], [0.0], [0.0]])
    found = kind_test(labels, [7], ["a", "a", "b", "b"], SETTINGS)
    assert found.share == pytest.approx(1.0)
    assert found.chance == pytest.approx(1 / 3)
    # 2 of the 6 ways to deal two pairs keep the pairs: p near 1/3
    assert found.p_value == pytest.approx(1 / 3, abs=0.1)
    assert found.largest["a"][0] == (7, pytest.approx(0.5))
    # 1, 0, 1, 0: nothing lies between
    assert kind_test(labels, [7], ["a", "b", "a", "b"], SETTINGS).share == pytest.approx(0.0)


def test_one_head_gives_the_f_test_of_an_analysis_of_variance():
    labels = torch.rand(50, 1, generator=torch.Generator().manual_seed(3))
    found = kind_test(labels, [0], KINDS, SETTINGS)
    f, _ = stats.f_oneway(labels[:20, 0].numpy(), labels[20:, 0].numpy())
    assert found.share / (1 - found.share) * 48 == pytest.approx(float(f), rel=1e-4)


def test_kinds_that_mean_nothing_are_rarely_found_to_differ():
    generator = torch.Generator().manual_seed(0)
    values = [kind_test(torch.rand(50, 4, generator=generator), range(4), KINDS, SETTINGS).p_value for _ in range(60)]
    # p-values of a true null are uniform
    assert stats.kstest(values, "uniform").pvalue > 0.01
    planted_kind = torch.rand(50, 4, generator=generator)
    planted_kind[:20, 1] += 1
    found = kind_test(planted_kind, [9, 8, 7, 6], KINDS, SETTINGS)
    assert found.p_value == pytest.approx(1 / 200)
    assert found.largest["a"][0][0] == 8
    assert found.counts == {"a": 20, "b": 30}


def test_the_heads_picked_most_and_least_by_a_kind():
    # kind a picks heads 0 and 2 always, b heads 1, 3 and 4; the other head both do
    labels = torch.tensor([[1.0, 0, 1, 0, 0, 1]] * 2 + [[0.0, 1, 0, 1, 1, 1]] * 2)
    largest = kind_test(labels, [10, 11, 12, 13, 14, 15], ["a", "a", "b", "b"], SETTINGS).largest
    assert largest["a"] == [(10, 0.5), (12, 0.5), (13, -0.5), (14, -0.5)]
    assert largest["b"] == [(11, 0.5), (13, 0.5), (10, -0.5), (12, -0.5)]


def test_a_router_that_is_not_trained_ranks_as_the_static_weights():
    lists = planted([2.0, 1.0, 0.0, 0.0], queries=60)
    untrained = route_out_of_fold(lists, SETTINGS.model_copy(update={"epochs": 0}))
    torch.testing.assert_close(untrained.static, untrained.routed)
    assert untrained.spread == pytest.approx(0, abs=1e-6)
    trained = route_out_of_fold(lists, SETTINGS)
    assert trained.spread > 0
    torch.testing.assert_close(trained.static, untrained.static)


def test_the_plane_keeps_the_distances_of_what_lies_in_one():
    flat = torch.randn(12, 2, generator=torch.Generator().manual_seed(0)) @ torch.tensor(
        [[1.0, 0, 2, 0], [0, 3.0, 0, 1]]
    )
    placed, shares = plane(flat)
    torch.testing.assert_close(torch.cdist(placed, placed), torch.cdist(flat.double(), flat.double()))
    assert sum(shares) == pytest.approx(1.0)
    assert shares[0] >= shares[1]


def test_the_plane_tells_the_share_of_the_variation_along_each_axis():
    # squares of 9 + 9 along one axis and 1 + 1 along the other
    _, shares = plane(torch.tensor([[3.0, 0.0], [-3.0, 0.0], [0.0, 1.0], [0.0, -1.0]]))
    assert shares == pytest.approx((0.9, 0.1))


def test_no_list_is_measured_by_what_was_chosen_on_it():
    lists = planted([0.0], queries=11)
    lists.gains[:, 0] = torch.arange(11.0)

    def measure(train, held):
        assert not set(train.gains[:, 0].tolist()) & set(held.gains[:, 0].tolist())
        return held.gains[:, 0]

    assert out_of_fold(lists, 4, 0, measure).tolist() == list(range(11))
