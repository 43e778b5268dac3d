"""No query chooses checkpoints and measures."""

import pytest

from distill.collections.collection import Collection, DataError
from distill.recipe.sources import QueryRoles
from distill.stages.roles import plan_queries


def collection(dev, test):
    names = [f"q{number}" for number in range(12)]
    splits = {"train": names[:4], "dev": dev, "test": test}
    qrels = {split: {name: {"d": 1} for name in judged} for split, judged in splits.items()}
    return Collection("tiny", {"d": "text"}, {name: f"words of {name}" for name in names}, qrels, {})


def test_a_query_of_both_splits_is_named_even_where_a_limit_would_leave_it_out():
    roles = QueryRoles(label_from="unjudged", dev_limit=1)
    plan = plan_queries(collection(["q4", "q5"], ["q6", "q7"]), roles)
    assert not set(plan.dev) & set(plan.test)
    with pytest.raises(DataError, match="1 queries are judged in 'dev' and in 'test', such as 'q6'; what chooses"):
        plan_queries(collection(["q4", "q5", "q6"], ["q6", "q7"]), roles)


def test_one_split_for_both_is_refused():
    with pytest.raises(DataError, match="2 queries are judged in 'test' and in 'test'"):
        plan_queries(collection([], ["q6", "q7"]), QueryRoles(label_from="unjudged", dev_split="test"))
    assert plan_queries(collection([], ["q6", "q7"]), QueryRoles(label_from="unjudged", dev_split=None)).dev == []
