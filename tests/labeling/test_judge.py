import math

import numpy as np
import pytest
import torch

from labeling import LabelingError
from labeling.judge import ScoreAdapter, read_judgments

GOOD = {
    "score": 0.5,
    "missing": False,
    "evidence": (0, 3),
    "reason": "it is red",
    "truncated": 2,
    "tokens": 9,
    "confidence": 0.75,
    "note": "2 numbers repeated",
}


class Lengths:
    def score(self, query, documents):
        return torch.tensor([len(document) for document in documents], dtype=torch.float32)


def test_a_plain_scorer_becomes_a_judge():
    description = {"name": "lengths"}
    judge = ScoreAdapter(Lengths(), description)
    description["name"] = "changed by the caller"
    assert judge.judge("any", ["four", "seven"]) == [{"score": 4.0}, {"score": 5.0}]
    assert judge.describe() == {"name": "lengths"}


def test_every_field_is_read():
    (judgment,) = read_judgments([GOOD], ["d1"], ["red fox"])
    assert judgment.model_dump() == GOOD


def test_what_the_judge_does_not_know_stays_unknown():
    (judgment,) = read_judgments([{"score": 1}], ["d1"], ["red fox"])
    assert (judgment.missing, judgment.evidence, judgment.truncated, judgment.tokens) == (None, None, 0, None)


@pytest.mark.parametrize("score", [np.float32(0.5), np.float64(0.5), torch.tensor(0.5)])
def test_numbers_of_the_usual_libraries_are_scores(score):
    (judgment,) = read_judgments([{"score": score}], ["d1"], ["red fox"])
    assert type(judgment.score) is float
    assert judgment.score == 0.5


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"score": math.nan}, "document 'd1': score: .*finite.*got nan"),
        ({"score": math.inf}, "document 'd1': score: .*finite"),
        ({"score": None}, "document 'd1': score: "),
        ({"evidance": (0, 3)}, "document 'd1': evidance: "),
        ({"truncated": -1}, "document 'd1': truncated: "),
        ({"evidence": (3, 3)}, "evidence 3:3 is not a span of its 7 characters"),
        ({"evidence": (0, 8)}, "evidence 0:8 is not a span of its 7 characters"),
    ],
)
def test_an_answer_that_means_nothing_is_refused(change, message):
    with pytest.raises(LabelingError, match=message) as caught:
        read_judgments([GOOD | change], ["d1"], ["red fox"])
    assert "\n" not in str(caught.value)


def test_an_absent_score_is_refused():
    with pytest.raises(LabelingError, match="document 'd1': score: "):
        read_judgments([{"missing": True}], ["d1"], ["red fox"])


@pytest.mark.parametrize("count", [1, 3])
def test_there_is_one_answer_a_document(count):
    with pytest.raises(LabelingError, match=f"gave {count} judgments for 2 documents"):
        read_judgments([{"score": 1.0}] * count, ["d1", "d2"], ["red fox", "old hen"])
