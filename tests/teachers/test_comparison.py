"""The rules that choose heads, against plain loops; the comparison on made-up heads whose order is known."""

import math

import pytest
import torch

from teachers.baselines import StaticWeightsSettings
from teachers.comparison import BOUNDS, ComparisonSettings, rank_out_of_fold
from teachers.errors import TeacherError
from teachers.features import FeatureSettings, JudgedLists, judged_lists
from teachers.fitting import RouteHeadSettings
from teachers.head_scores import HeadScores
from teachers.head_search import (
    SearchSettings,
    rank_heads_by_mass,
    rank_heads_contrastively,
    search_static_set,
)
from teachers.router import RouterSettings

ROUTEHEAD = RouteHeadSettings(
    static=StaticWeightsSettings(pool_sizes=(8,), l1=(0.02,)),
    search=SearchSettings(bootstraps=2, max_heads=2),
    router=RouterSettings(epochs=20, check_every=10, folds=2),
)
SETTINGS = ComparisonSettings(heads=3, core_heads=2, core_temperature=0.1)


def reading(generator, relevant, documents=8):
    """2 layers of 4 heads. Head 1.2 finds the relevant document, head 0.1 half as clearly; the others see nothing."""
    real, null = (0.1 * torch.rand(2, 4, documents, generator=generator) for _ in range(2))
    real[1, 2, relevant] += 0.3
    real[0, 1, relevant] += 0.05
    state = torch.randn(6, generator=generator)
    return HeadScores(real, null, real - null, (real - null).sum((0, 1)), state, torch.zeros(documents), 10)


@pytest.fixture(scope="module")
def lists():
    generator = torch.Generator().manual_seed(0)
    relevant = torch.randint(0, 8, (60,), generator=generator).tolist()
    scores = [reading(generator, place) for place in relevant]
    return scores, torch.eye(8)[relevant].tolist()


@pytest.fixture(scope="module")
def compared(lists):
    scores, gains = lists
    return rank_out_of_fold(scores, gains, {"backwards": [-torch.tensor(gain) for gain in gains]}, ROUTEHEAD, SETTINGS)


def test_the_mass_rule_is_the_mean_over_lists_of_the_mean_on_relevant_documents(lists):
    scores, gains = lists
    gains = [*gains[:5], [1.0, 1.0, 0, 0, 0, 0, 0, 0]]
    stacked = judged_lists(scores[:6], gains, FeatureSettings(mass="masked", normalise="none"))
    means = []
    for head in range(8):
        per_list = []
        for entry, gain in zip(scores[:6], gains, strict=True):
            found = [float(entry.masked.flatten(0, 1)[head, d]) for d in range(8) if gain[d] > 0]
            per_list.append(sum(found) / len(found))
        means.append(sum(per_list) / len(per_list))
    assert rank_heads_by_mass(stacked).tolist() == sorted(range(8), key=lambda head: -means[head])


def test_the_contrastive_rule_is_a_softmax_over_one_relevant_document_and_the_others(lists):
    scores, gains = lists
    gains = [*gains[:5], [1.0, 1.0, 0, 0, 0, 0, 0, 0]]
    stacked = judged_lists(scores[:6], gains, FeatureSettings(mass="raw", normalise="none"))
    means = []
    for head in range(8):
        per_list = []
        for entry, gain in zip(scores[:6], gains, strict=True):
            mass = [float(value) / 0.05 for value in entry.real.flatten(0, 1)[head]]
            others = sum(math.exp(mass[d]) for d in range(8) if gain[d] == 0)
            shares = [math.exp(mass[d]) / (math.exp(mass[d]) + others) for d in range(8) if gain[d] > 0]
            per_list.append(sum(shares) / len(shares))
        means.append(sum(per_list) / len(per_list))
    assert rank_heads_contrastively(stacked, 0.05).tolist() == sorted(range(8), key=lambda head: -means[head])


def test_padding_changes_no_rule(lists):
    scores, gains = lists
    raw = judged_lists(scores, gains, FeatureSettings(mass="raw", normalise="none"))
    padding = torch.zeros(60, 8, 3)
    wide = JudgedLists(
        torch.cat([raw.features, padding], 2),
        torch.cat([raw.valid, padding[:, 0].bool()], 1),
        torch.cat([raw.gains, padding[:, 0]], 1),
        raw.states,
    )
    assert torch.equal(rank_heads_contrastively(wide, 0.1), rank_heads_contrastively(raw, 0.1))
    assert torch.equal(rank_heads_by_mass(wide), rank_heads_by_mass(raw))


def test_the_searched_set_begins_with_the_head_that_finds_and_leaves_out_the_blind(lists):
    scores, gains = lists
    found = search_static_set(judged_lists(scores, gains, FeatureSettings()), SearchSettings(), 8)
    assert found[0] == 6
    assert len(found) < 8


def quality(ranked, gains):
    """nDCG@10 of one relevant document, counted by hand: 1 / log2(1 + its rank)."""
    ranks = [1 + int((row > row[gain.index(1.0)]).sum()) for row, gain in zip(ranked, gains, strict=True)]
    return sum(1 / math.log2(1 + rank) for rank in ranks) / len(ranks)


def test_every_row_ranks_every_list(compared):
    assert {len(rows) for rows in compared.values()} == {60}
    assert {len(row) for rows in compared.values() for row in rows} == {8}
    assert set(compared) == {
        "backwards", "random_heads", "all_heads", "mass_heads", "best_heads", "contrastive_heads", "searched_heads",
        "static_weights", "routehead", "routehead+backwards", "oracle_heads", "oracle_random",
    }  # fmt: skip


def test_the_rows_stand_in_the_order_that_the_made_up_heads_dictate(compared, lists):
    means = {name: quality(rows, lists[1]) for name, rows in compared.items()}
    # the relevant document last of eight: 1 / log2(9)
    assert means["backwards"] == pytest.approx(1 / math.log2(9))
    assert means["backwards"] < means["random_heads"] < means["searched_heads"] <= means["oracle_heads"]
    assert means["static_weights"] > 0.95
    # an opinion that is wrong every time tells the mixture all it needs
    assert means["routehead+backwards"] == 1.0


def test_the_oracle_over_noise_shows_how_much_is_luck(compared, lists):
    assert quality(compared["oracle_random"], lists[1]) > 0.8


def test_a_list_is_not_ranked_by_what_its_own_judgments_taught(lists):
    scores, gains = lists
    # with other judgments, heads and weights of the other fold change, those for the list itself do not
    place = 0
    changed = [gain[::-1] if i == place else gain for i, gain in enumerate(gains)]
    before = rank_out_of_fold(scores, gains, {}, ROUTEHEAD, SETTINGS)
    after = rank_out_of_fold(scores, changed, {}, ROUTEHEAD, SETTINGS)
    for name in set(before) - set(BOUNDS):
        torch.testing.assert_close(after[name][place], before[name][place], rtol=0, atol=0, msg=name)
    assert not torch.equal(after["oracle_heads"][place], before["oracle_heads"][place])


def test_a_list_that_teaches_nothing_is_refused(lists):
    with pytest.raises(TeacherError, match="leave it out"):
        rank_out_of_fold(lists[0][:2], [lists[1][0], [0.0] * 8], {}, ROUTEHEAD, SETTINGS)
