import random

import pytest
from pydantic import ValidationError

from labeling import LabelingError
from labeling.tail_queries import TailSettings, choose_tail_queries

# traffic 100: the first carries .50, the first two .70, the first four .90
LOG = [
    ("q1", "shoes", 50),
    ("q2", "red shoes", 20),
    ("q3", "blue shoes size nine", 10),
    ("q4", "boots", 10),
    ("q5", "laces for old boots", 6),
    ("q6", "sole", 4),
]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"head_share": 0.5}, ["q2", "q3", "q4", "q5", "q6"]),
        ({"head_share": 0.49}, ["q1", "q2", "q3", "q4", "q5", "q6"]),
        ({"head_share": 0.7}, ["q3", "q4", "q5", "q6"]),
        ({"head_share": 0.89}, ["q3", "q4", "q5", "q6"]),  # q3 and q4 have one frequency: both or neither
        ({"head_share": 0.9}, ["q5", "q6"]),
        ({"head_share": 0.99}, ["q6"]),  # the rarest are always tail
        ({"head_share": 0.0}, ["q1", "q2", "q3", "q4", "q5", "q6"]),
        ({"head_share": 0.0, "max_frequency": 9}, ["q5", "q6"]),
        ({"head_share": 0.9, "max_frequency": 40}, ["q5", "q6"]),
        ({"head_share": 0.7, "min_words": 2}, ["q3", "q5"]),
    ],
)
def test_the_tail_is_what_the_head_leaves(settings, expected):
    assert choose_tail_queries(LOG, TailSettings(**settings)).query_ids == expected


def test_the_report_counts_every_query_once():
    choice = choose_tail_queries(LOG, TailSettings(head_share=0.7, min_words=2))
    assert (choice.queries, choice.too_frequent, choice.too_short, len(choice.query_ids)) == (6, 2, 2, 2)
    assert choice.max_frequency == 10
    assert choice.traffic_share == pytest.approx(0.16)


def test_the_order_of_the_log_does_not_change_the_choice():
    shuffled = random.Random(5).sample(LOG, len(LOG))
    settings = TailSettings(head_share=0.7)
    assert set(choose_tail_queries(shuffled, settings).query_ids) == set(choose_tail_queries(LOG, settings).query_ids)


def test_the_log_may_be_an_iterator():
    assert choose_tail_queries(iter(LOG), TailSettings(head_share=0.9)).query_ids == ["q5", "q6"]


@pytest.mark.parametrize(
    ("log", "message"),
    [
        ([], "the query log is empty"),
        ([("q1", "a", 1), ("q1", "b", 2)], "'q1' comes twice"),
        ([("q1", "a", 0)], "'q1': frequency 0 is not"),
        ([("q1", "a", 2.5)], "'q1': frequency 2.5 is not"),
    ],
)
def test_a_log_that_cannot_be_counted_is_refused(log, message):
    with pytest.raises(LabelingError, match=message):
        choose_tail_queries(log, TailSettings())


def test_a_misspelt_setting_is_refused():
    with pytest.raises(ValidationError, match="min_word"):
        TailSettings(min_word=2)
