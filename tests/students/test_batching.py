from students.batching import token_batches


def test_batches_hold_every_index_once_within_the_budget_longest_first():
    assert list(token_batches([3, 9, 4, 4, 12], 12)) == [[4], [1], [2, 3, 0]]


def test_a_pair_above_the_budget_has_a_batch_of_its_own_and_an_empty_one_has_a_place():
    assert list(token_batches([0, 50, 2], 12)) == [[1], [2, 0]]
