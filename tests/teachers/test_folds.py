"""How lists are split into those that are chosen on and those that are measured."""

import pytest

from teachers.errors import TeacherError
from teachers.folds import fold_places


def test_every_list_is_measured_once_and_never_with_what_was_chosen_on_it():
    folds = fold_places(11, 4, 0)
    assert len(folds) == 4
    assert sorted(place for _, held in folds for place in held.tolist()) == list(range(11))
    assert all(sorted([*train.tolist(), *held.tolist()]) == list(range(11)) for train, held in folds)


def test_the_folds_of_a_seed_stay_what_they_are():
    """Torch's permutation under seed 5, modulo 3, is 1 0 1 2 0 2 0: other folds would change every measured figure."""
    assert [held.tolist() for _, held in fold_places(7, 3, 5)] == [[1, 4, 6], [0, 2], [3, 5]]


def test_fewer_lists_than_folds_are_refused():
    with pytest.raises(TeacherError, match="3 lists cannot be held out in 4 folds"):
        fold_places(3, 4, 0)
