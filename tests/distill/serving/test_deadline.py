"""Deadlines on a clock that only the ranker moves: what is reached, and that none is overrun by a known pace."""

from __future__ import annotations

import pytest

from distill.serving.deadline import score_until
from distill.serving.pace import FIRST_CHUNK, Duration, Pace

DOCUMENTS = [f"{'word ' * (1 + n % 7)}{n}" for n in range(60)]


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class Sleeper:
    """A call takes 2 ms and 1 ms a word, times how busy the machine is; the score is the document's place."""

    def __init__(self, clock: Clock) -> None:
        self.clock, self.busy, self.calls = clock, 1.0, []

    def score_pairs(self, query, documents):
        self.calls.append(len(documents))
        self.clock.now += self.busy * (0.002 + 0.001 * self.count_tokens(query, documents))
        return [float(DOCUMENTS.index(document)) if document in DOCUMENTS else 0.0 for document in documents]

    def count_tokens(self, query, documents):
        return sum(len(document.split()) for document in documents)


@pytest.fixture
def sleeper():
    return Sleeper(Clock())


def seconds(documents: list[str]) -> float:
    return 0.001 * sum(len(document.split()) for document in documents)


def test_the_pace_is_measured_before_the_first_query(sleeper):
    pace = Pace.measured(sleeper, sleeper.clock)
    assert pace.scoring.fixed == pytest.approx(0.002)
    assert pace.scoring.per_unit == pytest.approx(0.001)
    assert pace.scoring.of(100) == pytest.approx(1.25 * 0.102)


def test_without_haste_all_documents_are_scored_in_the_order_given(sleeper):
    scores = score_until(sleeper, "q", DOCUMENTS, 100.0, Pace.measured(sleeper, sleeper.clock), sleeper.clock)
    assert scores == list(range(60))


@pytest.mark.parametrize("allowed", [0.001, 0.004, 0.01, 0.03, 0.1, 0.2])
def test_a_deadline_holds_and_little_of_it_is_wasted(sleeper, allowed):
    pace = Pace.measured(sleeper, sleeper.clock)
    begun = sleeper.clock.now
    scores = score_until(sleeper, "q", DOCUMENTS, begun + allowed, pace, sleeper.clock)
    assert sleeper.clock.now - begun <= allowed
    # those that were reached are the first ones given
    assert scores == list(range(len(scores)))
    # what is left would not have held one more, taken for a quarter longer than it lasts
    left = allowed - (sleeper.clock.now - begun)
    assert len(scores) == 60 or left < 1.6 * (0.002 + seconds([DOCUMENTS[len(scores)]]))


def test_chunks_grow_while_there_is_time_and_shrink_towards_the_end(sleeper):
    pace = Pace.measured(sleeper, sleeper.clock)
    sleeper.calls.clear()
    score_until(sleeper, "q", DOCUMENTS, sleeper.clock.now + 0.28, pace, sleeper.clock)
    assert sleeper.calls[0] == FIRST_CHUNK
    assert max(sleeper.calls) > FIRST_CHUNK
    assert sleeper.calls[-1] < FIRST_CHUNK


def test_the_pace_follows_a_machine_that_gets_busy_and_one_that_recovers(sleeper):
    pace = Pace.measured(sleeper, sleeper.clock)
    late = []
    for busy in (3.0, 1.0):
        sleeper.busy = busy
        for _ in range(20):
            begun = sleeper.clock.now
            scores = score_until(sleeper, "q", DOCUMENTS, begun + 0.1, pace, sleeper.clock)
            late.append(sleeper.clock.now - begun > 0.1)
        assert pace.scoring.per_unit == pytest.approx(busy * 0.001, rel=0.1)
        assert seconds(DOCUMENTS[: len(scores)]) > 0.05 / busy
    # half of what is left at most is planned for one call, so that even the first busy query is hardly late
    assert sum(late) <= 1


def test_a_pace_that_lets_nothing_run_is_doubted(sleeper):
    pace = Pace(Duration(10.0, 0.0), Duration(0.0, 0.0))
    reached = [len(score_until(sleeper, "q", DOCUMENTS, sleeper.clock.now + 1, pace, sleeper.clock)) for _ in range(30)]
    assert reached[0] == 0
    assert reached[-1] == 60


def test_a_document_that_takes_too_long_to_be_cut_into_tokens_is_not_begun():
    class Reader(Sleeper):
        """A microsecond a character, counted or scored; the model reads ten words at most."""

        def count_tokens(self, query, documents):
            self.clock.now += 1e-6 * sum(map(len, documents))
            return sum(min(10, len(document.split())) for document in documents)

    reader = Reader(Clock())
    pace = Pace.measured(reader, reader.clock)
    begun = reader.clock.now
    documents = [*DOCUMENTS[:3], "word " * 1_000_000, *DOCUMENTS[3:]]
    assert score_until(reader, "q", documents, begun + 0.5, pace, reader.clock) == [0, 1, 2]
    assert reader.clock.now - begun < 0.5


class SlowReader(Sleeper):
    """To cut texts into tokens takes a millisecond a call and two microseconds a character."""

    def count_tokens(self, query, documents):
        self.clock.now += 0.001 + 2e-6 * sum(len(query) + len(document) for document in documents)
        return super().count_tokens(query, documents)


def test_tiny_documents_say_nothing_of_the_time_of_a_character():
    reader = SlowReader(Clock())
    pace = Pace.measured(reader, reader.clock)
    assert pace.reading.per_unit == pytest.approx(2e-6)
    for _ in range(30):
        score_until(reader, "when is the meter read?", ["-"] * 4, reader.clock.now + 0.3, pace, reader.clock)
    assert pace.reading.of(1000) == pytest.approx(1.25 * 0.003, rel=0.3)
    long = ["word " * 90] * 10
    assert len(score_until(reader, "q", long, reader.clock.now + 0.3, pace, reader.clock)) >= 1


def test_what_let_nothing_run_is_doubted_and_nothing_else():
    """A reading estimate that is far too high is lowered until something runs; that of scoring stays what it was."""
    reader = SlowReader(Clock())
    pace = Pace(Duration(0.002, 0.001), Duration(0.001, 1.0))
    reached = [len(score_until(reader, "q", DOCUMENTS, reader.clock.now + 1, pace, reader.clock)) for _ in range(30)]
    assert reached[0] == 0
    assert reached[-1] == 60
    assert pace.scoring.per_unit == pytest.approx(0.001, rel=0.3)


def test_no_document_needs_no_time(sleeper):
    assert score_until(sleeper, "q", [], 0.0, Pace(Duration(1.0, 1.0), Duration(0.0, 0.0)), sleeper.clock) == []
