"""A recipe's `queries.tail`: the same rule as for a log, on the counts in the queries' metadata."""

from __future__ import annotations

import pytest

from distill.collections.collection import Collection, DataError
from distill.recipe.sources import QueryRoles
from distill.stages.roles import plan_queries
from labeling import LabelingError

COUNTS = {"q1": (50, 9), "q2": (20, 0), "q3": (4, 3), "q4": (3, 0), "q5": (3, 1)}


def plan(tail, keep=("frequency", "clicks")):
    """Query ids to label of five queries without judgments, beside two that are judged."""
    metadata = {name: {"frequency": f, "clicks": c} for name, (f, c) in COUNTS.items()}
    metadata |= {name: {"frequency": 1, "clicks": 0} for name in ("fit", "test")}
    metadata = {name: {key: row[key] for key in keep} for name, row in metadata.items()}
    queries = {name: f"two words of {name}" for name in metadata}
    qrels = {split: {name: {"d": 1}} for split, name in (("train", "fit"), ("test", "test"))}
    roles = QueryRoles.model_validate({"fit_share": 1.0, "dev_split": None, "tail": tail})
    return set(plan_queries(Collection("tiny", {}, queries, qrels, metadata), roles).label)


def test_only_the_tail_is_labelled():
    # traffic 82: the first two carry 70 of it, the first three 74, which is over nine tenths
    assert plan({"head_share": 0.9}) == {"q3", "q4", "q5"}
    assert plan({"head_share": 0.9, "max_clicks": 1}) == {"q4", "q5"}
    assert plan({"head_share": 0, "sample": 5}, keep=("frequency",)) <= COUNTS.keys()


def test_counts_that_are_not_there_are_named():
    with pytest.raises(DataError, match="has frequency None; `queries.tail` needs a whole number"):
        plan({}, keep=("clicks",))
    with pytest.raises(LabelingError, match="clicks None is not a whole number of at least 0"):
        plan({"max_clicks": 1}, keep=("frequency",))
