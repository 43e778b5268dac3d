"""Contexts by hand: the gold segment where it was asked for, and no more tokens than were asked for."""

from collections import Counter

import pytest

from teachers.errors import TeacherError
from teachers.studies.answers import POSITIONS, cell, haystack

DISTRACTORS = [f"d{n} x y" for n in range(40)]


def words(text):
    return len(text.split())


@pytest.mark.parametrize(("position", "place"), [("start", 0), ("middle", 4), ("end", 8)])
def test_the_gold_segment_stands_where_it_was_asked_for(position, place):
    # 30 tokens less 5 of the gold text leave room for eight distractors of three
    made = haystack("the gold text is here", DISTRACTORS, 30, position, words, "q")
    assert (made.gold, len(made.segments), made.tokens) == (place, 9, 29)
    assert made.segments[place].text == "the gold text is here"
    whole = "\n".join(segment.text for segment in made.segments)
    assert all(whole[segment.start : segment.end] == segment.text for segment in made.segments)


def test_a_longer_context_holds_the_shorter_ones_distractors():
    short, long = (haystack("g", [*DISTRACTORS, "g"], size, "start", words, "q").segments for size in (16, 31))
    assert [one.text for one in long[: len(short)]] == [one.text for one in short]
    assert Counter(one.text for one in long)["g"] == 1
    assert haystack("g", DISTRACTORS, 31, "start", words, "other").segments != long


def test_too_few_distractors_are_said():
    with pytest.raises(TeacherError, match="40 distractors do not fill a context of 500 tokens"):
        haystack("g", DISTRACTORS, 500, "end", words, "q")


def test_questions_are_spread_evenly_over_lengths_and_positions():
    # as many lengths as positions: in step with each other they would meet in three pairs only
    lengths = (100, 200, 300)
    cells = Counter(cell(number, lengths) for number in range(18))
    assert cells == {(length, position): 2 for length in lengths for position in POSITIONS}
