"""Confidence by hand, and as the teacher reports it against orders that are read one by one."""

import pytest
from scipy.stats import kendalltau

from teachers.agreement import agreement
from teachers.baselines import WeightedHeads
from teachers.features import FeatureSettings
from teachers.head_scores import HeadReader, canonical_order
from teachers.heads import Head
from teachers.prompt import PromptSettings
from teachers.teacher import HeadTeacher
from tests.teachers.conftest import build

QUERY, DOCUMENTS = "w7 w8", ["w1 w2 w3", "w5 w6", "w7 w20 w21", "w30 w31"]


@pytest.mark.parametrize(
    ("readings", "expected"),
    [
        ([[3, 2, 1], [30, 20, 10]], 1.0),
        ([[3, 2, 1], [1, 2, 3]], -1.0),
        # of three pairs two agree and one does not
        ([[3, 2, 1], [2, 3, 1]], 1 / 3),
        # (1 - 1 / 3 - 1 / 3) / 3: the first two agree fully, the third disagrees in two of three pairs with each
        ([[3, 2, 1], [6, 5, 4], [1, 3, 2]], (1 - 1 / 3 - 1 / 3) / 3),
        ([[1, 1, 1], [3, 2, 1]], None),
        ([[3, 2, 1]], None),
        ([[3], [2]], None),
    ],
)
@pytest.mark.filterwarnings("error")
def test_agreement_by_hand(readings, expected):
    assert agreement(readings) == (None if expected is None else pytest.approx(expected))


def test_the_teachers_confidence_is_that_of_its_two_orders(tokenizer):
    prompt = PromptSettings(introduction="w100", instruction="w101", null_query="w103")
    ranker = WeightedHeads((Head(1, 2), Head(0, 3)), (0.5, 0.25), FeatureSettings(), "by hand")
    model = build("llama")
    # the caller's order, to read each of the two orders by itself
    kept = HeadReader(model, tokenizer, prompt.model_copy(update={"order": "best_last"}), state_layer=1)
    alone = []
    for order in range(2):
        texts = canonical_order(QUERY, DOCUMENTS, order)[::-1]
        scores = dict(zip(texts, ranker.score(kept.read(QUERY, texts)).tolist(), strict=True))
        alone.append([scores[document] for document in DOCUMENTS])
    reader = HeadReader(model, tokenizer, prompt.model_copy(update={"orders": 2}), state_layer=1)
    judged = HeadTeacher(reader, ranker, {}).judge(QUERY, DOCUMENTS)
    assert [row["confidence"] for row in judged] == pytest.approx([kendalltau(*alone).statistic] * 4)
    assert alone[0] != alone[1]


def test_one_order_has_no_confidence(tokenizer):
    reader = HeadReader(build("llama"), tokenizer, PromptSettings(), state_layer=1)
    ranker = WeightedHeads((Head(1, 2),), (1.0,), FeatureSettings(), "by hand")
    assert all("confidence" not in row for row in HeadTeacher(reader, ranker, {}).judge(QUERY, DOCUMENTS))
