import pytest

from labeling import LabelingError
from labeling.pre_rank import pre_rank

SCORES = {"a": 1.0, "b": 3.0, "c": 2.0, "d": 2.0, "e": 0.5}


@pytest.mark.parametrize(
    ("top", "bottom", "expected"),
    [
        (2, 0, ["b", "d"]),  # c and d tie: the higher id first, as in trec_eval
        (2, 2, ["b", "d", "a", "e"]),
        (0, 3, ["c", "a", "e"]),
        (3, 2, ["b", "d", "c", "a", "e"]),
        (9, 9, ["b", "d", "c", "a", "e"]),
    ],
)
def test_best_and_worst_are_kept_best_first(top, bottom, expected):
    assert pre_rank(SCORES, top, bottom) == expected


@pytest.mark.parametrize(("top", "bottom"), [(0, 0), (-1, 3), (3, -1)])
def test_a_cut_that_keeps_nothing_is_refused(top, bottom):
    with pytest.raises(LabelingError, match=f"top={top}, bottom={bottom}"):
        pre_rank(SCORES, top, bottom)
