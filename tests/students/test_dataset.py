import logging

import pytest
from datasets import Dataset

from students.dataset import training_lists

GOOD = {"query": "q", "docs": ["a", "b"], "labels": [1.0, 0.0]}


def rows(**changed) -> Dataset:
    return Dataset.from_list([GOOD, GOOD | changed])


def test_columns_come_in_the_order_that_the_trainer_reads_and_others_are_left_out():
    shuffled = Dataset.from_list([{"groups": ["ranked"] * 2, "labels": [1.0, 0.0], "docs": ["a", "b"], "query": "q"}])
    assert training_lists(shuffled).column_names == ["query", "docs", "labels"]


def test_lists_without_an_order_are_left_out_and_counted(caplog):
    with caplog.at_level(logging.WARNING):
        kept = training_lists(rows(labels=[2.0, 2.0]))
    assert len(kept) == 1
    assert "1 of 2 lists" in caplog.text


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"query": "  "}, "training list 1: query is '  '"),
        ({"docs": ["a", None]}, "training list 1: docs must be a list of texts"),
        ({"labels": [1.0]}, "training list 1: 2 docs but 1 labels"),
        ({"labels": None}, "training list 1: 2 docs but None labels"),
        ({"labels": [1.0, float("nan")]}, "training list 1: label nan is no finite number"),
    ],
)
def test_a_malformed_list_is_named_with_what_it_needs(changed, message):
    with pytest.raises(ValueError, match=message):
        training_lists(rows(**changed))


def test_a_missing_column_is_named():
    with pytest.raises(ValueError, match="no column 'labels', only query, docs"):
        training_lists(Dataset.from_list([{"query": "q", "docs": ["a"]}]))


def test_without_any_order_there_is_nothing_to_train_on():
    with pytest.raises(ValueError, match="none of the 1 training lists"):
        training_lists(Dataset.from_list([GOOD | {"labels": [0.0, 0.0]}]))
