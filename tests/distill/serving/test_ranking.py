"""Orders by hand: what limits leave out stays below, and ties go as trec_eval breaks them."""

from __future__ import annotations

import math

import pytest

from distill.collections.trec import ranking as trec_ranking
from distill.errors import ModelError
from distill.serving.pace import Duration, Pace
from distill.serving.ranking import Limits, Totals, probability, rank_documents


class Lengths:
    """A document's score is the number of its characters."""

    def score_pairs(self, query, documents):
        return [float(len(document)) for document in documents]

    def count_tokens(self, query, documents):
        return len(documents)


TEXTS = ["aa", "aaaa", "a", "aaaa", "aaaaa"]


def test_documents_are_ordered_by_score_and_ties_keep_their_order():
    found = rank_documents(Lengths(), "q", TEXTS)
    assert found.order == (4, 1, 3, 0, 2)
    assert found.scores == (2, 4, 1, 4, 5)
    assert not found.deadline


def test_ties_go_by_id_as_in_a_run():
    ids = ["d0", "d1", "d2", "d3", "d4"]
    found = rank_documents(Lengths(), "q", TEXTS, ids=ids)
    assert found.order == (4, 3, 1, 0, 2)
    assert [ids[place] for place in found.order] == trec_ranking(dict(zip(ids, found.scores, strict=True)))


def test_scores_that_a_run_cannot_tell_apart_are_ties():
    class Near(Lengths):
        def score_pairs(self, query, documents):
            return [1.0, 1.0 + 1e-12]

    assert rank_documents(Near(), "q", ["a", "b"]).order == (0, 1)


def test_documents_beyond_the_limit_stay_below_in_first_stage_order():
    found = rank_documents(Lengths(), "q", TEXTS, Limits(documents=2))
    assert found.order == (1, 0, 2, 3, 4)
    assert [found.score(place) for place in found.order] == [4, 2, None, None, None]
    assert not found.deadline


def test_long_documents_are_cut_and_counted():
    found = rank_documents(Lengths(), "q", TEXTS, Limits(documents=4, characters=3))
    assert found.scores == (2, 3, 1, 3)
    assert (found.cut_documents, found.cut_characters) == (2, 2)


def test_a_deadline_says_so_and_takes_a_pace():
    found = rank_documents(
        Lengths(), "q", TEXTS, Limits(seconds=1e-9), pace=Pace(Duration(1.0, 1.0), Duration(0.0, 0.0))
    )
    assert (found.order, found.scores, found.deadline) == ((0, 1, 2, 3, 4), (), True)
    with pytest.raises(ValueError, match=r"a deadline takes a pace; Pace\.measured gives one"):
        rank_documents(Lengths(), "q", TEXTS, Limits(seconds=1))


@pytest.mark.parametrize("score", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("seconds", [None, 1000.0])
def test_scores_that_have_no_place_in_an_order_are_refused(score, seconds):
    class Broken(Lengths):
        def score_pairs(self, query, documents):
            return [1.0, score, *[2.0] * (len(documents) - 2)]

    pace = Pace(Duration(0.0, 0.0), Duration(0.0, 0.0))
    with pytest.raises(ModelError, match=f"1 of 5 documents have a score that is not finite: {score}"):
        rank_documents(Broken(), "q", TEXTS, Limits(seconds=seconds), pace=pace)


def test_totals_are_sums():
    totals = Totals()
    for limits in (Limits(documents=4, characters=3), Limits()):
        totals.add(rank_documents(Lengths(), "q", TEXTS, limits))
    assert totals == Totals(queries=2, documents=10, reached=9, cut_documents=2, cut_characters=2)


@pytest.mark.parametrize("limits", [{"documents": 0}, {"characters": -1}, {"seconds": 0.0}])
def test_limits_are_positive(limits):
    with pytest.raises(ValueError, match=f"{next(iter(limits))} must be positive"):
        Limits(**limits)


def test_probabilities_by_hand():
    assert probability(0.0) == 0.5
    assert probability(math.log(3)) == pytest.approx(0.75)
    assert probability(-math.log(3)) == pytest.approx(0.25)
    # far out, where exp alone would overflow
    assert (probability(1e4), probability(-1e4)) == (1.0, 0.0)
