import torch

from students.term_control import TermControlLayer
from tests.students.conftest import learned_layer


def layer() -> TermControlLayer:
    torch.manual_seed(0)
    return learned_layer(16, 4, 32)


def test_an_untrained_layer_hands_the_first_token_through_and_can_learn_from_the_selected_ones():
    states = torch.randn(2, 6, 16)
    untrained = TermControlLayer(16, 4, 32)
    output = untrained(states, [[2, 4], []])
    torch.testing.assert_close(output, states[:, :1])
    output[0].sum().backward()
    # what the selected tokens say reaches the weights that were zero; one step of training, and it counts
    assert untrained.layer.self_attn.out_proj.weight.grad.abs().sum() > 0
    torch.optim.SGD(untrained.parameters(), lr=0.1).step()
    untrained.eval()
    assert not torch.allclose(untrained(states, [[2, 4], []])[0], untrained(states, [[2], []])[0])


def test_the_layer_sees_the_first_token_and_the_selected_ones_alone():
    states = torch.randn(1, 6, 16)
    changed = states.clone()
    changed[:, [1, 3, 5]] += 1
    torch.testing.assert_close(layer()(states, [[2, 4]]), layer()(changed, [[2, 4]]))
    assert not torch.allclose(layer()(states, [[2, 4]]), layer()(states, [[2]]))


def test_the_output_is_the_first_token_s_among_the_chosen():
    states = torch.randn(1, 6, 16)
    expected = layer().layer(states[:, [0, 4, 2]])[:, :1]
    torch.testing.assert_close(layer()(states, [[4, 2]]), expected)


def test_pairs_of_a_batch_do_not_touch_each_other():
    states = torch.randn(3, 6, 16)
    selected = [[1, 2, 3, 4], [], [5]]
    together = layer()(states, selected)
    for row, own in enumerate(selected):
        torch.testing.assert_close(together[row : row + 1], layer()(states[row : row + 1], [own]))


def test_without_a_match_the_first_token_attends_to_itself():
    states = torch.randn(2, 4, 16)
    output = layer()(states, [[], []])
    assert output.shape == (2, 1, 16)
    torch.testing.assert_close(output, layer().layer(states[:, :1]))
