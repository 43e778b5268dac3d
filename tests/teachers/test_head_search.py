"""The search against exhaustive loops, and nDCG against trec_eval."""

import itertools
import math

import pytest
import pytrec_eval
import torch

from teachers.features import JudgedLists
from teachers.head_search import SearchSettings, listwise_log_likelihood, ndcg, rank_heads, search_sets, soft_labels


def random_lists(queries=12, heads=6, documents=9, seed=0):
    generator = torch.Generator().manual_seed(seed)
    valid = torch.arange(documents)[None] < torch.randint(4, documents + 1, (queries, 1), generator=generator)
    gains = torch.randint(0, 3, (queries, documents), generator=generator).float() * valid
    gains[:, 0] = 1
    features = torch.randn(queries, heads, documents, generator=generator) * valid[:, None]
    return JudgedLists(features, valid, gains, torch.randn(queries, 5, generator=generator))


def objective_of(lists, query, chosen, weight):
    scores = lists.features[query, list(chosen)].mean(0)[None, None]
    one = lists.take([query])
    return float(ndcg(scores, one, 10)[0, 0] + weight * listwise_log_likelihood(scores, one)[0, 0])


def test_ndcg_equals_trec_eval():
    lists = random_lists()
    measured = ndcg(lists.features, lists, 10)
    for query, head in itertools.product(range(12), range(6)):
        places = [d for d in range(9) if lists.valid[query, d]]
        qrels = {"q": {f"d{d}": int(lists.gains[query, d]) for d in places}}
        run = {"q": {f"d{d}": float(lists.features[query, head, d]) for d in places}}
        expected = pytrec_eval.RelevanceEvaluator(qrels, {"ndcg_cut_10"}).evaluate(run)["q"]["ndcg_cut_10"]
        assert float(measured[query, head]) == pytest.approx(expected, abs=1e-6)


def test_tied_documents_share_their_mean_rank():
    # three tied, one relevant: rank 2, so 1 / log2(3)
    valid, gains = torch.ones(1, 3, dtype=torch.bool), torch.tensor([[0.0, 1, 0]])
    lists = JudgedLists(torch.zeros(1, 1, 3), valid, gains, torch.zeros(1, 1))
    assert float(ndcg(lists.features, lists, 10)) == pytest.approx(1 / math.log2(3))


def test_log_likelihood_by_hand():
    # softmax of (log 3, 0) is (3/4, 1/4); padding takes no part
    valid, gains = torch.tensor([[True, True, False]]), torch.tensor([[1.0, 0, 0]])
    lists = JudgedLists(torch.zeros(1, 1, 3), valid, gains, torch.zeros(1, 1))
    scores = torch.tensor([[[math.log(3), 0.0, 99.0]]])
    assert float(listwise_log_likelihood(scores, lists)) == pytest.approx(math.log(0.75))


def test_heads_are_ranked_by_mean_ndcg():
    lists = random_lists()
    lists.features[:, 3] = lists.gains
    assert rank_heads(lists)[0] == 3


@pytest.mark.parametrize("weight", [0.0, 0.3])
def test_forward_selection_equals_the_plain_loop(weight):
    lists = random_lists(seed=1)
    settings = SearchSettings(max_heads=3, likelihood_weight=weight, swap_rounds=0)
    found = search_sets(lists, settings)
    for query in range(len(lists)):
        chosen: list[int] = []
        zero = torch.zeros(1, 1, 9)
        one = lists.take([query])
        best = float(ndcg(zero, one, 10)[0, 0] + weight * listwise_log_likelihood(zero, one)[0, 0])
        while len(chosen) < 3:
            values = {h: objective_of(lists, query, [*chosen, h], weight) for h in range(6) if h not in chosen}
            head = max(values, key=lambda h: (values[h], -h))
            if values[head] <= best + 1e-6:
                break
            chosen, best = [*chosen, head], values[head]
        assert found[query].nonzero()[:, 0].tolist() == sorted(chosen)


def test_no_single_swap_improves_a_searched_set():
    lists = random_lists(seed=2)
    settings = SearchSettings(max_heads=3, likelihood_weight=0.1, swap_rounds=20)
    for query, row in enumerate(search_sets(lists, settings)):
        chosen = row.nonzero()[:, 0].tolist()
        value = objective_of(lists, query, chosen, 0.1)
        for out, into in itertools.product(chosen, set(range(6)) - set(chosen)):
            swapped = [into if head == out else head for head in chosen]
            assert objective_of(lists, query, swapped, 0.1) <= value + 1e-5


def test_a_set_never_exceeds_the_most_heads():
    found = search_sets(random_lists(queries=40, heads=10), SearchSettings(max_heads=2))
    assert int(found.sum(1).max()) <= 2


def test_soft_labels_are_shares_and_repeat_under_one_seed():
    lists = random_lists()
    settings = SearchSettings(bootstraps=4, seed=3)
    labels = soft_labels(lists, settings)
    assert torch.equal(labels, soft_labels(lists, settings))
    assert set((labels * 4).unique().tolist()) <= {0.0, 1.0, 2.0, 3.0, 4.0}


def test_a_head_that_always_finds_the_relevant_document_is_always_chosen():
    lists = random_lists()
    lists.gains[:] = 0
    lists.gains[:, 0] = 1
    lists.features[:, 4] = 9 * lists.gains
    assert torch.equal(soft_labels(lists, SearchSettings(max_heads=1))[:, 4], torch.ones(12))


def test_labels_are_stable_under_another_seed():
    # every head sees the relevant document a little, some better than others: which set wins is partly luck
    lists = random_lists(queries=60, heads=12)
    strength = torch.linspace(0.2, 1.5, 12)[None, :, None]
    lists = JudgedLists(lists.features + strength * (lists.gains > 0)[:, None], lists.valid, lists.gains, lists.states)

    def agreement(bootstraps):
        first, second = (
            soft_labels(lists, SearchSettings(max_heads=4, bootstraps=bootstraps, seed=seed)) for seed in (0, 1)
        )
        rows = [torch.corrcoef(torch.stack(pair))[0, 1] for pair in zip(first, second, strict=True)]
        return float(torch.stack(rows).nanmean())

    assert agreement(8) > 0.85
    assert agreement(1) < agreement(8) < agreement(32)
