"""Head usage against counts by hand."""

import pytest
import torch

from teachers.head_scores import HeadScores
from teachers.head_usage import head_usage
from teachers.heads import Head


class ByState:
    """Uses head 0.1 always, and head 1.0 where the query state is positive."""

    def weights(self, scores):
        weights = {Head(0, 1): 0.5}
        if float(scores.state[0]) > 0:
            weights[Head(1, 0)] = -2.0
        return weights


def entry(state):
    nothing = torch.zeros(2, 2, 3)
    return HeadScores(nothing, nothing, nothing, nothing[0, 0], torch.tensor([state]), torch.zeros(3), 1)


def test_use_is_counted_by_head_and_slice():
    uses = head_usage(ByState(), [entry(1.0), entry(-1.0), entry(1.0), entry(-1.0)], ["who", "who", "how", "why"])
    assert [use.head for use in uses] == [Head(1, 0), Head(0, 1)]
    rare, always = uses
    assert (rare.picked, rare.weight) == (0.5, -1.0)
    assert rare.by_slice == pytest.approx({"who": -1.0, "how": -2.0, "why": 0.0})
    assert (always.picked, always.weight) == (1.0, 0.5)
    assert set(always.by_slice.values()) == {0.5}
