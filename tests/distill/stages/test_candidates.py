"""Judgments from a ranking, and lists that can teach, worked by hand."""

from distill.stages.candidates import answerable, judgments_from


def test_the_first_of_a_ranking_are_relevant_best_first():
    run = {"q": {"a": 0.1, "b": 0.9, "c": 0.5, "d": 0.5}}
    # c and d are tied: trec_eval puts d first
    assert judgments_from(run, 3) == {"q": {"b": 3, "d": 2, "c": 1}}
    assert judgments_from(run, 9) == {"q": {"b": 9, "d": 8, "c": 7, "a": 6}}


def test_a_list_can_teach_where_it_holds_a_relevant_document():
    run = {"q1": {"a": 1.0}, "q2": {"b": 1.0}, "q3": {"c": 1.0}, "q4": {"d": 1.0}}
    assert answerable(run, {"q1": {"a": 1}, "q2": {"b": 0}, "q3": {"z": 1}}) == {"q1": {"a": 1.0}}
