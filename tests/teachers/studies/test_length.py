"""Lists cut shorter, places in prompts and heads carried between lengths."""

import pytest
import torch

from teachers.features import JudgedLists
from teachers.head_scores import HeadScores, mean_scores, reading_order
from teachers.prompt import PromptSettings
from teachers.studies.length import (
    PARTS,
    LengthSettings,
    carried,
    part_of,
    quality_from,
    relevant_place,
    shortened,
)
from tests.teachers.studies.judged import planted

SETTINGS = LengthSettings(heads=2, pool=4, folds=3)


@pytest.mark.parametrize(
    ("gains", "size", "kept"),
    [
        ([0, 0, 0, 1, 0], 2, [0, 3]),
        ([0, 1, 0, 1, 0], 3, [0, 1, 2]),
        ([0, 0, 1], 9, [0, 1, 2]),
        ([0, 0, 0, 0, 1], 5, [0, 1, 2, 3, 4]),
    ],
)
def test_a_shortened_list_keeps_its_first_documents_and_a_relevant_one(gains, size, kept):
    assert shortened(gains, size) == kept


def test_shorter_lists_lie_within_longer_ones():
    gains = [0, 0, 0, 0, 0, 0, 1, 0, 1]
    cut = [set(shortened(gains, size)) for size in range(2, 10)]
    assert all(one < other for one, other in zip(cut, cut[1:], strict=False))
    with pytest.raises(ValueError, match="without a relevant document"):
        shortened([0, 0], 2)


def test_the_place_is_that_of_the_prompt():
    prompt = PromptSettings()
    documents = [f"w{n}" for n in range(5)]
    standing = reading_order("q", documents, prompt)
    for place, text in enumerate(standing):
        gains = [float(text == document) for document in documents]
        assert relevant_place("q", documents, gains, prompt) == place / 4
    published = PromptSettings(order="best_last")
    # the caller's first document stands last
    assert relevant_place("q", documents, [1, 0, 0, 0, 0], published) == 1.0
    assert relevant_place("q", documents, [1, 1, 0, 0, 0], prompt) is None
    assert relevant_place("q", ["w1"], [1], prompt) is None
    # a document of several orders, or of windows, stood in several places
    for several in ({"orders": 2}, {"window_tokens": 60}):
        assert relevant_place("q", documents, [1, 0, 0, 0, 0], prompt.model_copy(update=several)) is None


def test_places_fall_into_fifths():
    assert [part_of(place) for place in (0.0, 0.19, 0.2, 0.5, 0.79, 0.8, 1.0)] == [
        PARTS[0], PARTS[0], PARTS[1], PARTS[2], PARTS[3], PARTS[4], PARTS[4]
    ]  # fmt: skip


def test_heads_are_carried_from_where_they_are_found():
    short, long = planted([5.0, 0.0, 0.0, 0.0]), planted([0.0, 0.0, 0.0, 5.0], seed=1)
    found = carried({5: short, 20: long}, SETTINGS.model_copy(update={"heads": 1}))
    means = {pair: quality.mean(0).tolist() for pair, quality in found.items()}
    for column in (0, 1):
        assert means[5, 5][column] > 0.9 and means[20, 20][column] > 0.9
        assert means[5, 20][column] < 0.7 and means[20, 5][column] < 0.7


def test_other_lists_heads_rank_these():
    lists = planted([5.0, 0.0, 0.0, 0.0], queries=40)
    one, other = lists.take(range(30)), lists.take(range(30, 40))
    (quality,) = quality_from(one, [other], SETTINGS.model_copy(update={"heads": 1}))
    assert quality.shape == (10, 2)
    assert quality.mean() > 0.9
    # the lists that are ranked teach nothing: with their judgments turned about, the scores stay
    turned = JudgedLists(other.features, other.valid, other.gains.flip(1), other.states)
    (again,) = quality_from(one, [turned], SETTINGS.model_copy(update={"heads": 1}))
    assert again.mean() < 0.8


def test_the_mean_of_two_orders_is_what_a_reader_of_two_gives(tokenizer):
    from teachers.head_scores import HeadReader
    from tests.teachers.conftest import build

    model = build("llama")
    documents = ["w1 w2 w3", "w4 w5", "w6 w7 w8 w9"]
    readings = [HeadReader(model, tokenizer, PromptSettings(), first_order=n).read("w5 w6", documents) for n in (0, 1)]
    both = HeadReader(model, tokenizer, PromptSettings(orders=2)).read("w5 w6", documents)
    mean = mean_scores(readings)
    assert isinstance(mean, HeadScores)
    for name in ("real", "null", "masked", "all_heads", "state"):
        torch.testing.assert_close(getattr(mean, name), getattr(both, name))
    assert (mean.tokens, mean.truncated.tolist()) == (both.tokens, both.truncated.tolist())
