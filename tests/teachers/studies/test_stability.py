"""Overlap, correlation and worth of head sets, by planted heads and by chance worked out by hand."""

from statistics import fmean

import pytest
import torch

from teachers.errors import TeacherError
from teachers.studies.stability import RuleGround, Spread, StabilitySettings, across, rule_grounds, within
from tests.teachers.studies.judged import as_scores, planted

SETTINGS = StabilitySettings(queries=(5, 20), heads=(4,), splits=6, least_held=10)


def test_planted_heads_are_found_again_on_every_sample():
    ground = RuleGround(planted([6.0] * 4 + [0.0] * 8), torch.rand(60, 12) / 10)
    ground.quality[:, :4] += 1
    rows = within(ground, SETTINGS)
    assert [row.queries for row in rows] == [5, 20]
    assert [row.held for row in rows] == [50, 20]
    for row in rows:
        assert (row.overlap[4].mean, row.overlap[4].low, row.overlap[4].high) == (4, 4, 4)
        assert row.loss[4].mean == pytest.approx(0)
        assert row.ndcg[4].mean > 0.95


def test_heads_that_are_all_alike_are_shared_as_often_as_chance_has_it():
    lists, chance = planted([0.0] * 60, queries=40), torch.Generator().manual_seed(0)
    settings = StabilitySettings(queries=(10,), heads=(15,), splits=10, least_held=10)
    rows = [within(RuleGround(lists, torch.rand(40, 60, generator=chance)), settings)[0] for _ in range(40)]
    # two random sets of 15 of 60 share 15 * 15 / 60 = 3.75, one pair of sets within 1.5 of it
    assert {row.chance[15] for row in rows} == {3.75}
    assert fmean(row.overlap[15].mean for row in rows) == pytest.approx(3.75, abs=0.4)
    assert abs(fmean(row.correlation.mean for row in rows)) < 0.05


def test_samples_are_disjoint():
    # a quality that only one query has: two disjoint samples cannot both see it
    quality = -torch.arange(10.0).expand(30, 10) * 1e-6
    quality = quality.clone()
    quality[3, 7] = 1.0
    rows = within(RuleGround(planted([0.0] * 10, queries=30), quality), StabilitySettings(
        queries=(10,), heads=(1,), splits=50, least_held=10))  # fmt: skip
    # whoever does not see it takes head 0, so both sets are head 0 or they differ
    assert 0 < rows[0].overlap[1].mean < 1


def test_a_set_found_on_few_queries_loses_what_it_misses():
    # 40 queries say that head 0 is best, 20 that the useless head 1 is: few queries may ask the wrong ones
    quality = torch.tensor([[0.6, 0.5]] * 40 + [[0.0, 0.1]] * 20)
    ground = RuleGround(planted([6.0, 0.0]), quality)
    few, many = within(ground, StabilitySettings(queries=(1, 25), heads=(1,), splits=40, least_held=10))
    assert few.loss[1].mean > 0.1 > many.loss[1].mean >= 0
    assert few.ndcg[1].mean < many.ndcg[1].mean


def test_a_spread_holds_95_percent_of_the_splits():
    assert Spread.of(range(1001)) == Spread(500, 25, 975)


def test_the_largest_samples_that_fit_come_last():
    ground = RuleGround(planted([0.0] * 4, queries=60), torch.rand(60, 4))
    rows = within(ground, StabilitySettings(queries=(5, 10, 40), heads=(2,), splits=2, least_held=10))
    assert [row.queries for row in rows] == [5, 10, 25]


def test_too_few_lists_are_refused():
    ground = RuleGround(planted([0.0] * 4, queries=19), torch.rand(19, 4))
    with pytest.raises(TeacherError, match="19 lists; two samples of 5 and the held-out lists need 20"):
        within(ground, SETTINGS)


def test_collections_with_other_heads_share_none_and_foreign_heads_are_worth_less():
    first = planted([6.0, 6.0, 0.0, 0.0, 0.0, 0.0], queries=30)
    second = planted([0.0, 0.0, 6.0, 6.0, 0.0, 0.0], queries=30, seed=1)
    settings = StabilitySettings(queries=(5,), heads=(2,), splits=4, least_held=10)
    grounds = [rule_grounds(*as_scores(lists, 3), settings) for lists in (first, second)]
    for rule in grounds[0]:
        row = across(grounds[0][rule], grounds[1][rule], settings)
        assert row.queries == 20
        assert row.overlap[2].mean == 0
        assert row.own[2].mean > 0.9 > 0.7 > row.foreign[2].mean
        same = across(grounds[0][rule], grounds[0][rule], settings)
        assert same.overlap[2].mean == 2
