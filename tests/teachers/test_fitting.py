"""Fits on made-up head scores whose best heads are known."""

from dataclasses import replace

import pytest
import torch
from pydantic import ValidationError

from teachers.baselines import (
    AllHeads,
    StaticWeightsSettings,
    WeightedHeads,
    best_heads,
    equal_weights,
    learn_weights,
)
from teachers.errors import TeacherError
from teachers.features import JudgedLists
from teachers.fitting import RouteHeadSettings, fit_router, gains_of
from teachers.head_search import SearchSettings, ndcg
from teachers.heads import Head
from teachers.router import RouterSettings, train_router, untrained_router

SETTINGS = RouteHeadSettings(
    static=StaticWeightsSettings(pool_sizes=(8,), l1=(0.04,)),
    search=SearchSettings(bootstraps=2, max_heads=2),
    router=RouterSettings(epochs=200, check_every=20, min_heads=1, learning_rate=0.05, weight_decay=0.0),
)
# where only the choice of weights counts, or that two fits are alike
QUICK = SETTINGS.model_copy(update={"router": RouterSettings(epochs=20, check_every=10, min_heads=1)})


def lists_of(queries, seed=0, kinds=False, heads=8):
    """So many heads, 10 documents, one relevant. Head 2 finds it always; with ``kinds``, in half of the queries head 5
    does and head 2 finds a wrong one, and the query state tells which kind it is."""
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(queries, heads, 10, generator=generator)
    gains = torch.zeros(queries, 10)
    relevant = torch.randint(0, 10, (queries,), generator=generator)
    gains[torch.arange(queries), relevant] = 1
    states = 0.1 * torch.randn(queries, 6, generator=generator)
    finder = torch.full((queries,), 2)
    if kinds:
        second = torch.arange(queries) % 2 == 1
        finder[second] = 5
        states[:, 0] += second.float() * 4 - 2
        other = torch.where(second, 2, 5)
        features[torch.arange(queries), other, (relevant + 1) % 10] += 3
    features[torch.arange(queries), finder, relevant] += 3
    return JudgedLists(features, torch.ones(queries, 10, dtype=torch.bool), gains, states)


def quality(scores, lists):
    return float(ndcg(scores[:, None], lists, 10).mean())


def test_an_untrained_router_ranks_as_the_static_weights_do():
    lists = lists_of(30)
    static = learn_weights(lists, 0.01)
    labels = torch.rand(30, 8, generator=torch.Generator().manual_seed(1))
    router = untrained_router(lists, static, labels, SETTINGS.router, 2)
    torch.testing.assert_close(router.rank(lists), torch.einsum("h,qhd->qd", static, lists.features))


def test_the_router_routes_where_two_kinds_of_queries_need_different_heads():
    train, test = lists_of(200, kinds=True), lists_of(200, seed=1, kinds=True)
    fitted = fit_router(train, 4, SETTINGS)
    heads, router, report = fitted.heads, fitted.router, fitted.report
    places = [head.layer * 4 + head.index for head in heads]
    static = learn_weights(train.of_heads(places), 0.04)
    routed = quality(router.rank(test.of_heads(places)), test)
    fixed = quality(torch.einsum("h,qhd->qd", static, test.features[:, places]), test)
    assert routed > fixed + 0.1
    assert report.routed > report.static + 0.1
    weights = router.head_weights(test.states)
    assert float(weights[::2, places.index(2)].mean()) > 2 * float(weights[1::2, places.index(2)].mean())


def test_the_router_stays_static_where_there_is_nothing_to_route():
    fitted = fit_router(lists_of(60), 4, SETTINGS)
    assert fitted.report.epochs == 0
    assert fitted.report.routed == fitted.report.static
    assert not fitted.router.projection.any()


def test_held_out_scores_have_the_reported_quality_and_do_not_know_the_list():
    lists = lists_of(60)
    fitted = fit_router(lists, 4, QUICK)
    assert quality(fitted.held_out, lists) == pytest.approx(fitted.report.routed)
    # other judgments for one list change every fit but its own fold's
    gains = lists.gains.clone()
    gains[7] = gains[7].roll(1)
    changed = fit_router(replace(lists, gains=gains), 4, QUICK)
    torch.testing.assert_close(changed.held_out[7], fitted.held_out[7], rtol=0, atol=0)
    assert not torch.equal(changed.held_out, fitted.held_out)


def test_a_fit_repeats_exactly():
    first, second = (fit_router(lists_of(40, kinds=True), 4, QUICK).router for _ in range(2))
    assert all(torch.equal(first.tensors()[name], second.tensors()[name]) for name in first.tensors())


def test_padding_changes_no_fit():
    lists = lists_of(40, kinds=True)
    wide = JudgedLists(
        torch.nn.functional.pad(lists.features, (0, 3), value=7.0),
        torch.nn.functional.pad(lists.valid, (0, 3)),
        torch.nn.functional.pad(lists.gains, (0, 3)),
        lists.states,
    )
    torch.testing.assert_close(learn_weights(wide, 0.01), learn_weights(lists, 0.01))
    assert torch.equal(ndcg(wide.features, wide, 10), ndcg(lists.features, lists, 10))


def test_threshold_and_bounds_open_and_close_heads():
    lists = lists_of(20)
    router = untrained_router(lists, torch.ones(8), torch.rand(20, 8), SETTINGS.router, 1)
    gates = router.gates(lists.states)[0]
    middle = float(gates.sort().values[4])
    opened = replace(router, threshold=middle).head_weights(lists.states)[0] != 0
    assert torch.equal(opened, gates >= middle)
    assert int((replace(router, threshold=2.0, min_heads=3).head_weights(lists.states)[0] != 0).sum()) == 3
    assert int((replace(router, max_heads=5).head_weights(lists.states)[0] != 0).sum()) == 5


def test_sparsity_closes_gates():
    lists, labels = lists_of(40), torch.full((40, 8), 0.5)
    start = untrained_router(lists, torch.ones(8), labels, SETTINGS.router, 1)
    free, pressed = (
        train_router(start, lists, labels, SETTINGS.router.model_copy(update={"sparsity": value}), 100)[-1]
        for value in (0.0, 5.0)
    )
    assert float(pressed.gates(lists.states).mean()) < float(free.gates(lists.states).mean()) - 0.1


def test_too_few_judged_lists_are_refused():
    with pytest.raises(TeacherError, match="4 candidate lists hold a relevant document and 10 are the least"):
        fit_router(lists_of(4), 4, SETTINGS)


def test_learned_weights_find_the_head_that_ranks():
    weights = learn_weights(lists_of(60), 0.02)
    assert int(weights.argmax()) == 2
    assert float(weights[2]) > 5 * float(weights.abs().sort().values[-2])


def test_the_best_head_is_the_one_that_ranks():
    assert str(best_heads(lists_of(60), 4, 1)[0]) == "0.2"


def test_pool_and_l1_are_chosen_by_what_held_out_lists_say():
    # one head ranks and seven are noise: the pool of one is the better, and of the strengths the one that leaves it be
    settings = QUICK.model_copy(update={"static": StaticWeightsSettings(pool_sizes=(1, 8), l1=(100.0, 0.01))})
    report = fit_router(lists_of(40), 4, settings).report
    assert (report.pool, report.l1) == (1, 0.01)
    # two kinds of queries need two heads
    wide = fit_router(lists_of(60, kinds=True), 4, settings).report
    assert wide.pool == 8


def test_heads_beyond_the_searched_ones_stand_behind_them_and_are_trained():
    lists = lists_of(40, kinds=True)
    # none of the searched three is in more than a fifth of the sets
    labels = torch.rand(40, 3, generator=torch.Generator().manual_seed(0)) / 5
    start = untrained_router(lists, torch.ones(8), labels, SETTINGS.router, 2)
    for limit in (1, 2, 3):
        opened = replace(start, max_heads=limit).head_weights(lists.states) != 0
        assert bool((opened.sum(1) == limit).all()) and not bool(opened[:, 3:].any())
    # no threshold closes a searched head and leaves one that was never searched
    assert not bool((replace(start, threshold=0.2, min_heads=0).head_weights(lists.states) != 0).any())
    trained = train_router(start, lists, labels, SETTINGS.router, 20)[-1]
    assert bool((trained.bias[3:] != start.bias[3:]).all())


def test_a_bound_on_heads_keeps_the_pool_s_best():
    """One head ranks, 40 more are noise and at the pool's end; 32 are searched."""
    lists = lists_of(40, heads=41)
    bounded = RouterSettings(min_heads=1, max_heads=4, components=(1,), epochs=10)
    wide = StaticWeightsSettings(pool_sizes=(41,), l1=(0.0,))
    settings = SETTINGS.model_copy(update={"router": bounded, "static": wide})
    fitted = fit_router(lists, 41, settings)
    opened = fitted.router.head_weights(lists.states) != 0
    assert bool((opened.sum(1) == 4).all())
    assert int(opened.any(0).nonzero().max()) < settings.search.pool_size
    assert fitted.report.static > 0.8


def test_bounds_on_heads_that_leave_nothing_between_them_are_refused():
    with pytest.raises(ValidationError, match=r"max_heads \(8\) must not be below min_heads \(16\)"):
        RouterSettings(max_heads=8)


def test_a_head_set_is_read_as_it_was_written(tmp_path):
    fitted = equal_weights([Head(1, 2), Head(0, 3)])
    fitted.save(tmp_path / "heads.json")
    assert WeightedHeads.load(tmp_path / "heads.json") == fitted


def test_a_broken_head_set_is_refused_with_its_path(tmp_path):
    (tmp_path / "heads.json").write_text('{"heads": ["1.2"]}')
    with pytest.raises(TeacherError, match=r"heads\.json: no head set"):
        WeightedHeads.load(tmp_path / "heads.json")


def test_gains_count_unjudged_and_negative_as_nothing():
    assert gains_of(["a", "b", "c"], {"a": 2, "b": -1}) == [2.0, 0.0, 0.0]


def test_all_heads_need_the_whole_depth():
    assert AllHeads().depth is None
