"""Runs side by side: what is said beside the means."""

import json

import numpy as np
import pytest
from scipy import stats

from distill.collections.collection import DataError
from distill.evaluation.run_evaluation import evaluate_runs

QRELS = {"q1": {"a": 1}, "q2": {"b": 1}, "q3": {"z": 1}}
FIRST = {"q1": {"a": 1.0, "b": 2.0, "c": 3.0}, "q2": {"b": 1.0}, "q3": {"x": 1.0}}
BETTER = {"q1": {"a": 2.0, "d": 1.0}, "q2": {}, "q9": {"a": 1.0, "b": 1.0, "c": 1.0, "d": 1.0, "e": 1.0}}


def test_each_run_comes_with_its_depth_recall_and_what_it_lacks():
    found = evaluate_runs({"better": BETTER, "first": FIRST}, QRELS, ["RR", "judged@2"], first_stage="first")
    assert found.query_ids == ("q1", "q2", "q3")
    first, better = found.runs
    assert (first.name, first.missing, first.depth, first.outside) == ("first", (), 3, 0)
    assert first.recall == pytest.approx(2 / 3)
    assert first.means == pytest.approx({"RR": (1 / 3 + 1 + 0) / 3, "judged@2": (0 + 1 + 0) / 3})
    # an empty list is none; the document d of q1 is not the first stage's, and unjudged q9 does not count there
    assert (better.name, better.missing, better.outside) == ("better", ("q2", "q3"), 1)
    assert better.recall == pytest.approx(1 / 3)
    assert better.per_query["q2"] == {"RR": 0.0, "judged@2": 0.0}
    assert better.intervals == {}


def test_without_a_first_stage_the_order_stands_and_nothing_is_outside():
    found = evaluate_runs({"better": BETTER, "first": FIRST}, QRELS, ["RR"])
    assert [(run.name, run.outside) for run in found.runs] == [("better", None), ("first", None)]
    assert found.first_stage is None


def test_intervals_are_those_of_the_percentile_bootstrap_and_means_only_have_them():
    values = [1 / 3, 1.0, 0.0]
    (run,) = evaluate_runs({"first": FIRST}, QRELS, ["RR", "num_ret", "gm_map"], intervals=True).runs
    assert run.intervals.keys() == {"RR"}
    expected = stats.bootstrap(
        (np.array(values),), np.mean, n_resamples=10_000, method="percentile", rng=np.random.default_rng(1)
    ).confidence_interval
    # another seed: the ends are where the distribution of three values has few steps
    assert (run.intervals["RR"].low, run.intervals["RR"].high) == pytest.approx((expected.low, expected.high), abs=0.12)
    assert run.intervals["RR"].mean == pytest.approx(run.means["RR"])


def test_as_json_it_holds_what_is_shown_and_all_missing_queries():
    found = evaluate_runs({"first": FIRST, "better": BETTER}, QRELS, ["RR"], "first", intervals=True)
    content = json.loads(json.dumps(found.as_json(), allow_nan=False))
    assert content["queries"] == 3
    assert content["first_stage"] == "first"
    better = content["runs"][1]
    assert better["run"] == "better"
    assert better["missing"] == ["q2", "q3"]
    assert better["means"] == found.runs[1].means
    assert better["outside_first_stage"] == 1
    assert better["intervals"]["RR"] == [found.runs[1].intervals["RR"].low, found.runs[1].intervals["RR"].high]


def test_an_unknown_measure_is_refused():
    with pytest.raises(DataError, match="measure 'DCG'; accepted"):
        evaluate_runs({"first": FIRST}, QRELS, ["DCG"])
