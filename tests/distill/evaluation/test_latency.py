"""Latency, on a clock that the test turns, and read back from the file that it is written to."""

import json
from itertools import pairwise

import numpy as np
import pytest

from distill.collections.collection import DataError
from distill.evaluation.latency import (
    LatencyFigure,
    LatencyReport,
    MemoryUse,
    TimedList,
    measure_latency,
    read_latency,
)


class Clock:
    """A clock that stands still until a ranker turns it."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


class Sleeper:
    """A ranker whose every pair takes as long as it is told; it writes down who was asked what, in what order."""

    def __init__(self, name, clock, seconds_a_pair, asked):
        self.name, self.clock, self.pace, self.asked = name, clock, seconds_a_pair, asked

    def score_pairs(self, query, documents):
        self.asked.append((self.name, query, len(documents)))
        self.clock.now += self.pace * len(documents) * (1 + int(query))
        return [0.0] * len(documents)

    def count_tokens(self, query, documents):
        self.clock.now += 1000.0  # counting is not timed
        return len(documents) * (1 + int(query))


def lists_of(queries, *lengths):
    """Query n has three candidates of its own."""
    return {
        length: [TimedList(str(n), tuple(f"d{k}" for k in range(length)), min(3, length)) for n in range(queries)]
        for length in lengths
    }


@pytest.fixture
def measured():
    clock, asked = Clock(), []
    rankers = {"slow": Sleeper("slow", clock, 0.010, asked), "fast": Sleeper("fast", clock, 0.001, asked)}
    return measure_latency(rankers, lists_of(4, 2, 5), warmup=1, clock=clock), asked


def test_each_query_s_seconds_are_those_of_the_clock(measured):
    figures, _ = measured
    assert [(figure.model, figure.documents) for figure in figures] == [
        ("slow", 2), ("slow", 5), ("fast", 2), ("fast", 5),
    ]  # fmt: skip
    slow = figures[0]
    # 2 documents at 10 ms, times 1, 2, 3 and 4
    assert slow.seconds == pytest.approx((0.02, 0.04, 0.06, 0.08))
    assert slow.milliseconds(50) == pytest.approx(50)
    assert slow.pairs_per_second == pytest.approx(8 / 0.2)
    assert figures[3].seconds == pytest.approx((0.005, 0.010, 0.015, 0.020))


def test_tokens_are_a_mean_and_filled_lists_are_counted(measured):
    figures, _ = measured
    assert [figure.tokens for figure in figures] == pytest.approx([5, 12.5, 5, 12.5])  # documents times 2.5
    assert [figure.filled for figure in figures] == [0, 4, 0, 4]
    assert [figure.queries for figure in figures] == [4, 4, 4, 4]


def test_rankers_take_turns_at_each_query_and_at_going_first(measured):
    _, asked = measured
    assert len(asked) == 4 + 16  # one warm-up of each ranker and length
    timed = asked[4:]
    for one, two in zip(timed[::2], timed[1::2], strict=True):
        assert one[1:] == two[1:]
        assert {one[0], two[0]} == {"slow", "fast"}
    assert [name for name, _, _ in timed[::2]] == ["slow", "slow", "fast", "fast"] * 2


def test_the_warm_up_does_not_count():
    clock, asked = Clock(), []
    measure_latency({"one": Sleeper("one", clock, 0.01, asked)}, lists_of(4, 2), warmup=0, clock=clock)
    assert len(asked) == 4
    asked.clear()
    (figure,) = measure_latency({"one": Sleeper("one", clock, 0.01, asked)}, lists_of(4, 2), warmup=9, clock=clock)
    assert len(asked) == 8
    assert figure.queries == 4


@pytest.mark.parametrize("count", [1, 2, 19, 20, 99, 100, 101])
def test_percentiles_are_numpy_s_and_only_given_where_one_measurement_lies_beyond(count):
    seconds = tuple(np.random.default_rng(count).exponential(size=count).tolist())
    figure = LatencyFigure("one", 10, seconds, 1.0, 0)
    for percentile, least in ((50, 1), (95, 20), (99, 100)):
        expected = np.percentile(np.array(seconds) * 1000, percentile) if count >= least else None
        assert figure.milliseconds(percentile) == (None if expected is None else pytest.approx(expected))
    shown = [figure.milliseconds(percentile) for percentile in (50, 95, 99)]
    assert all(low <= high for low, high in pairwise(value for value in shown if value is not None))


def test_percentiles_by_hand():
    # 1 to 101 ms: the 99th percentile is the 100th of 101
    figure = LatencyFigure("one", 10, tuple(n / 1000 for n in range(101, 0, -1)), 1.0, 0)
    assert [figure.milliseconds(p) for p in (50, 95, 99)] == pytest.approx([51, 96, 100])
    assert figure.pairs_per_second == pytest.approx(10 * 101 / 5.151)


def test_nothing_to_time_is_refused():
    ranker = {"one": Sleeper("one", Clock(), 1, [])}
    for rankers, lists in (({}, lists_of(1, 2)), (ranker, {}), (ranker, {2: []}), (ranker, {2: [], **lists_of(1, 3)})):
        with pytest.raises(ValueError, match="needs a ranker, and the same queries, at least one"):
            measure_latency(rankers, lists)


def test_a_ranker_that_leaves_documents_out_is_refused():
    class Lazy(Sleeper):
        def score_pairs(self, query, documents):
            return [0.0]

    with pytest.raises(ValueError, match="1 scores for 2 documents"):
        measure_latency({"one": Lazy("one", Clock(), 1, [])}, lists_of(1, 2))


@pytest.fixture
def report(measured):
    return LatencyReport(measured[0], {"slow": MemoryUse(300.5, None), "fast": MemoryUse(200.0, 12.5)}, {"cores": 2})


def test_a_report_is_read_back_as_it_was_written(report, tmp_path):
    path = tmp_path / "latency.json"
    path.write_text(json.dumps({"run": "a.run", **report.as_json()}, allow_nan=False))
    assert read_latency(path) == report
    (row, *_) = json.loads(path.read_text())["figures"]
    assert row["p50_ms"] == pytest.approx(50)
    assert row["p99_ms"] is None


def test_a_figure_is_found_by_model_and_length(report):
    assert report.figure("fast", 5).seconds[0] == pytest.approx(0.005)
    with pytest.raises(KeyError, match="no latency of 'fast' at 7 documents"):
        report.figure("fast", 7)


# documents and tokens of a figure
FIGURE = (
    '{"figures": [{"model": "m", "documents": %s, "seconds": [0.1], "tokens": %s, "filled": 0}], "memory": {}, '
    '"machine": {}}'
)


@pytest.mark.parametrize(
    "content",
    [
        "", "[]", "{}", '{"figures": [{}], "memory": {}, "machine": {}}', '{"figures": 3}', "[" * 50_000,
        FIGURE % ("Infinity", "1"), FIGURE % ("NaN", "1"), FIGURE % ("10", "1" + "0" * 400),
    ],
    ids=lambda content: content[:60],
)  # fmt: skip
def test_another_file_is_refused_by_name(content, tmp_path):
    path = tmp_path / "other.json"
    path.write_text(content)
    with pytest.raises(DataError, match=r"other\.json: not a file of latencies; what `distill latency --json` writes"):
        read_latency(path)
    with pytest.raises(DataError, match=r"nowhere\.json: No such file"):
        read_latency(tmp_path / "nowhere.json")


@pytest.mark.parametrize(
    ("seconds", "problem"),
    [
        ([0.1, -1, 0], r"figures\.1\.seconds: -1\.0 among them; finite numbers above 0 are accepted"),
        ([0.1, 0], r"figures\.1\.seconds: 0\.0 among them"),
        ([float("nan")], r"figures\.1\.seconds: nan among them"),
        ([float("inf")], r"figures\.1\.seconds: inf among them"),
        ([], r"figures\.1\.seconds: none; finite numbers"),
        (None, r"figures is empty; the times of one model at least are accepted"),
    ],
)
def test_times_that_are_none_are_refused_by_their_place(report, seconds, problem, tmp_path):
    path, content = tmp_path / "latency.json", report.as_json()
    if seconds is None:
        content["figures"] = []
    else:
        content["figures"][1]["seconds"] = seconds
    path.write_text(json.dumps(content))
    with pytest.raises(DataError, match=rf"latency\.json: {problem}"):
        read_latency(path)
