import random

import pytest
from pydantic import ValidationError

from labeling import LabelingError
from labeling.tail.queries import LoggedQuery, choose_tail_queries
from labeling.tail.settings import TailSettings

# traffic 100: the first carries .50, the first two .70, the first four .90
LOG = [
    LoggedQuery("q1", "shoes", 50, 40, 50),
    LoggedQuery("q2", "red shoes", 20, 5, 20),
    LoggedQuery("q3", "blue shoes size nine", 10, 1, 10),
    LoggedQuery("q4", "boots", 10, 0, 0),
    LoggedQuery("q5", "laces for old boots", 6, 0, 6),
    LoggedQuery("q6", "sole", 4, 2, 4),
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
        ({"head_share": 0, "max_words": 2}, ["q1", "q2", "q4", "q6"]),
        ({"head_share": 0, "min_frequency": 10}, ["q1", "q2", "q3", "q4"]),
        ({"head_share": 0, "max_clicks": 1}, ["q3", "q4", "q5"]),
        ({"head_share": 0, "max_clicks": 0}, ["q4", "q5"]),
        ({"head_share": 0, "max_click_rate": 0.25}, ["q2", "q3", "q4", "q5"]),
        ({"head_share": 0, "max_click_rate": 0.24}, ["q3", "q4", "q5"]),
    ],
)
def test_the_tail_is_what_the_head_leaves(settings, expected):
    assert choose_tail_queries(LOG, TailSettings(**settings)).query_ids == expected


def test_a_query_counts_for_the_first_cut_that_takes_it():
    settings = TailSettings(head_share=0.5, max_frequency=15, max_clicks=0, max_words=3)
    report = choose_tail_queries(LOG, settings).report
    # q1 is head, of the others q2 is asked more than 15 times, q3 and q6 are clicked (q3 is long as well), q5 is long
    assert [(cut.name, cut.queries, cut.traffic) for cut in report.cuts] == [
        ("head_share", 1, 50), ("max_frequency", 1, 20), ("max_clicks", 2, 14), ("min_words", 0, 0), ("max_words", 1, 6)
    ]  # fmt: skip
    assert [(cut.queries_left, cut.traffic_left) for cut in report.cuts] == [
        (5, 50),
        (4, 30),
        (2, 16),
        (2, 16),
        (1, 10),
    ]
    assert (report.queries, report.traffic, report.max_frequency) == (6, 100, 15)
    assert (report.chosen, report.chosen_traffic) == (1, 10)
    assert [example.query_id for example in report.cuts[2].examples] == ["q3", "q6"]  # the more frequent first
    assert all(example.text is None for cut in report.cuts for example in cut.examples)


def test_of_near_duplicates_the_most_frequent_is_kept():
    log = [
        LoggedQuery("a", "shoes for running", 3),
        LoggedQuery("b", "running shoe", 5),
        LoggedQuery("c", "the shoes, run!", 5),
        LoggedQuery("d", "running shoes men", 1),
        LoggedQuery("e", "not running shoes", 1),
    ]
    assert choose_tail_queries(log, TailSettings(head_share=0, near_duplicates=True)).query_ids == ["b", "d", "e"]
    settings = TailSettings(head_share=0, near_duplicates=True, language="none")
    assert choose_tail_queries(log, settings).query_ids == ["a", "b", "c", "d", "e"]


def test_the_sample_is_of_the_size_asked_for_and_hangs_on_the_seed_alone():
    log = [LoggedQuery(f"q{n}", f"word{n % 37} thing{n % 11}", 1 + n % 3) for n in range(300)]
    settings = TailSettings(head_share=0, sample=20)
    chosen = choose_tail_queries(log, settings).query_ids
    assert len(chosen) == 20
    assert set(choose_tail_queries(log[::-1], settings).query_ids) == set(chosen)
    assert set(choose_tail_queries(log, settings.model_copy(update={"seed": 1})).query_ids) != set(chosen)
    assert len(choose_tail_queries(log, TailSettings(head_share=0, sample=301)).query_ids) == 300


def test_the_order_of_the_log_does_not_change_the_choice():
    shuffled = random.Random(5).sample(LOG, len(LOG))
    settings = TailSettings(head_share=0.7)
    assert set(choose_tail_queries(shuffled, settings).query_ids) == set(choose_tail_queries(LOG, settings).query_ids)


def test_a_query_of_nothing_has_no_words():
    log = [LoggedQuery("q1", " \u200b", 1), LoggedQuery("q2", "a", 1)]
    assert choose_tail_queries(log, TailSettings()).query_ids == ["q2"]
    assert choose_tail_queries(log, TailSettings(min_words=0)).query_ids == ["q1", "q2"]


def test_the_log_may_be_an_iterator():
    assert choose_tail_queries(iter(LOG), TailSettings(head_share=0.9)).query_ids == ["q5", "q6"]


@pytest.mark.parametrize(
    ("log", "message"),
    [
        ([], "the query log is empty"),
        ([LoggedQuery("q1", "a", 1), LoggedQuery("q1", "b", 2)], "'q1' comes twice"),
        ([LoggedQuery("q1", "a", 0)], "'q1': frequency 0 is not"),
        ([LoggedQuery("q1", "a", 2.5)], "'q1': frequency 2.5 is not"),
        ([LoggedQuery("q1", "a", 2, clicks=-1)], "'q1': clicks -1 is not"),
    ],
)
def test_a_log_that_cannot_be_counted_is_refused(log, message):
    with pytest.raises(LabelingError, match=message):
        choose_tail_queries(log, TailSettings())


@pytest.mark.parametrize(("setting", "missing"), [("max_clicks", "clicks"), ("max_click_rate", "clicks")])
def test_counts_that_a_setting_needs_are_asked_for(setting, missing):
    with pytest.raises(LabelingError, match=f"'q1': {missing} None is not a whole number"):
        choose_tail_queries([LoggedQuery("q1", "a", 1)], TailSettings(**{setting: 0}))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"min_words": 3, "max_words": 2}, r"min_words \(3\) cannot exceed max_words \(2\)"),
        ({"min_frequency": 3, "max_frequency": 2}, r"min_frequency \(3\) cannot exceed max_frequency \(2\)"),
        ({"language": "klingon"}, "no stemmer for 'klingon'; accepted are none, arabic"),
        ({"sample": 0}, "sample"),
    ],
)
def test_settings_that_leave_nothing_are_refused(settings, message):
    with pytest.raises(ValidationError, match=message):
        TailSettings(**settings)


def test_a_misspelt_setting_is_refused():
    with pytest.raises(ValidationError, match="min_word"):
        TailSettings(min_word=2)
