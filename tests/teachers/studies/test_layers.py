"""Quality by layer, number and depth, on lists whose good layer is planted."""

import pytest
import torch

from teachers.head_search import ndcg
from teachers.studies.layers import LayerSettings, by_count, by_depth, by_layer, tried_depths
from tests.teachers.studies.judged import planted

# three layers of two heads; the middle one ranks, its second head best
LISTS = planted([0.0, 0.0, 2.0, 5.0, 0.0, 1.0], queries=80)
SETTINGS = LayerSettings(heads=(1, 2), set_size=2, depth_step=1, folds=4)


def test_the_bell_stands_where_it_was_planted():
    bell = by_layer(LISTS, 2, SETTINGS)
    assert bell.best.mean(0).argmax() == bell.mean.mean(0).argmax() == bell.together.mean(0).argmax() == 1
    # a second way: each head of layer 1 alone, and the better one, which every fold chooses here
    alone = ndcg(LISTS.features[:, 2:4], LISTS, 10)
    torch.testing.assert_close(bell.mean[:, 1], alone.mean(1))
    torch.testing.assert_close(bell.best[:, 1], alone[:, 1])
    together = ndcg(LISTS.features[:, 2:4].mean(1, keepdim=True), LISTS, 10)[:, 0]
    torch.testing.assert_close(bell.together[:, 1], together)


def test_the_best_head_is_chosen_on_other_lists():
    # heads that are noise: chosen on the lists they are measured on, the best of 40 would look far above chance
    noise = planted([0.0] * 40, queries=60)
    chosen = by_layer(noise, 40, SETTINGS).best
    luckiest = ndcg(noise.features, noise, 10).mean(0).max()
    expected = sum(1 / torch.log2(torch.tensor(rank + 1.0)) for rank in range(1, 9)) / 8
    assert float(chosen.mean()) == pytest.approx(float(expected), abs=0.06)
    assert float(luckiest) > float(chosen.mean()) + 0.04


def test_equal_weights_fall_with_heads_that_do_not_rank_and_learned_ones_do_not():
    found = by_count(planted([3.0] + [0.0] * 11, queries=120), LayerSettings(heads=(1, 4), folds=3))
    assert found.tried == [1, 4, 12]
    equal, learned = found.equal.mean(0).tolist(), found.learned.mean(0).tolist()
    assert equal[0] > equal[1] > equal[2]
    assert learned[2] > equal[2] + 0.1
    assert learned[0] == pytest.approx(equal[0])


def test_a_cut_above_the_good_layer_knows_nothing_of_it():
    found = by_depth(LISTS, 2, SETTINGS)
    assert found.tried == [1, 2, 3]
    learned = found.learned.mean(0).tolist()
    assert learned[0] < 0.7 < learned[1]
    # with the third layer's heads of no use, the second cut ranks as the whole depth does
    assert learned[2] == pytest.approx(learned[1], abs=0.02)
    altered = planted([0.0, 0.0, 2.0, 5.0, 0.0, 1.0], queries=80)
    altered.features[:, 4:] = torch.randn(altered.features[:, 4:].shape)
    torch.testing.assert_close(by_depth(altered, 2, SETTINGS).learned[:, :2], found.learned[:, :2])


def test_the_equal_set_of_a_depth_holds_its_best_heads_alone():
    # every fold of 80 lists finds heads 3 and 2 best; the mean of the two ranks the whole depth
    equal = by_depth(LISTS, 2, SETTINGS).equal[:, 2]
    torch.testing.assert_close(equal, ndcg(LISTS.features[:, 2:4].mean(1, keepdim=True), LISTS, 10)[:, 0])


def test_the_whole_depth_is_always_tried():
    assert tried_depths(22, LayerSettings(depth_step=3)) == [1, 4, 7, 10, 13, 16, 19, 22]
    assert tried_depths(4, LayerSettings(depth_step=9)) == [4]
