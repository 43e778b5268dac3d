import logging

import pytest
from datasets import Dataset

from students.dataset import ListBatch, list_batch, training_lists, with_scores

GOOD = {"query": "q", "docs": ["a", "b"], "labels": [1.0, 0.0]}


def rows(**changed) -> Dataset:
    return Dataset.from_list([GOOD, GOOD | changed])


def test_columns_come_in_the_order_that_the_trainer_reads_and_others_are_left_out():
    row = {"doc_ids": ["x", "y"], "confidence": 0.5, "groups": ["ranked"] * 2, "labels": [1.0, 0.0]}
    kept = training_lists(Dataset.from_list([row | {"docs": ["a", "b"], "query": "q"}]))
    assert kept.column_names == ["query", "docs", "labels", "groups", "evidence", "confidence"]
    assert kept[0]["groups"] == ["ranked", "ranked"] and kept[0]["confidence"] == 0.5
    assert kept[0]["evidence"] is None


def test_a_loss_finds_the_columns_of_the_trainer_s_batch_by_name():
    from sentence_transformers.cross_encoder.data_collator import CrossEncoderDataCollator

    rows = training_lists(rows_with(evidence=["", "b"], groups=["ranked", "random"]))
    collator = CrossEncoderDataCollator(lambda *_: {}, valid_label_columns=["labels"])
    columns = [column for name, column in collator(list(rows)).items() if name != "label"]
    assert list_batch(columns) == ListBatch(
        ["q", "q"], [["a", "b"]] * 2, [["ranked", "random"]] * 2, [["", "b"]] * 2, [None, None]
    )
    assert list_batch(columns[:2]) == ListBatch(["q", "q"], [["a", "b"]] * 2, [None] * 2, [None] * 2, [None] * 2)


def rows_with(**optional) -> Dataset:
    return Dataset.from_list([GOOD | optional] * 2)


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


@pytest.mark.parametrize(
    ("optional", "message"),
    [
        ({"groups": ["ranked"]}, "training list 0: 2 docs but 1 groups"),
        ({"groups": ["ranked", "worst"]}, "training list 0: group 'worst' is unknown; groups are ranked, missing"),
        ({"evidence": ["a", None]}, "training list 0: evidence must be a list of texts"),
        ({"confidence": float("inf")}, "training list 0: confidence inf is no finite number"),
    ],
)
def test_a_malformed_optional_column_is_named(optional, message):
    with pytest.raises(ValueError, match=message):
        training_lists(rows_with(**optional))


def test_a_missing_column_is_named():
    with pytest.raises(ValueError, match="no column 'labels', only query, docs"):
        training_lists(Dataset.from_list([{"query": "q", "docs": ["a"]}]))


def test_without_any_order_there_is_nothing_to_train_on():
    with pytest.raises(ValueError, match="none of the 1 training lists"):
        training_lists(Dataset.from_list([GOOD | {"labels": [0.0, 0.0]}]))


def test_scores_take_the_labels_place_where_there_are_any():
    scored = with_scores(rows_with(scores=[0.7, 0.1]))
    assert training_lists(scored)["labels"][0] == [0.7, 0.1]
    assert with_scores(rows_with())["labels"][0] == [1.0, 0.0]
