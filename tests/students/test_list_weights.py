import logging

import pytest
from datasets import Dataset

from students import StudentError
from students.list_weights import confidence_weights, with_weights


def test_weights_by_hand():
    # clipped 0.5, 1, 0, 1 with mean 0.625
    assert confidence_weights([0.5, 1.0, -0.3, None]) == pytest.approx([0.8, 1.6, 0.0, 1.6])
    assert confidence_weights([2.0, 1.0]) == [1.0, 1.0]


def test_without_any_confidence_above_zero_nothing_would_be_learnt():
    with pytest.raises(StudentError, match="none of the 2 lists has a confidence above 0"):
        confidence_weights([0.0, -1.0])


def test_confidence_weighs_only_where_asked_for(caplog):
    lists = Dataset.from_dict({"query": ["a", "b"], "confidence": [0.5, None]})
    assert with_weights(lists, by_confidence=False)["weight"][:] == [None, None]
    assert with_weights(lists, by_confidence=True)["weight"][:] == pytest.approx([2 / 3, 4 / 3])
    unknown = Dataset.from_dict({"query": ["a"], "confidence": [None]})
    with caplog.at_level(logging.WARNING):
        assert with_weights(unknown, by_confidence=True)["weight"][:] == [1.0]
    assert "changes nothing" in caplog.text
