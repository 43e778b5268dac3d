"""Checks label lists at the door of training, because a wrong column trains silently worse instead of failing."""

import logging
import math
from collections.abc import Mapping
from typing import Any

from datasets import Dataset

from students import StudentError

logger = logging.getLogger(__name__)

COLUMNS = ["query", "docs", "labels"]


def training_lists(dataset: Dataset) -> Dataset:
    """The lists that a ranking loss can learn from, with the columns query, docs and labels in this order.

    Lists whose labels are all equal give no pair: they are left out, and the log says how many.

    Args:
        dataset: one row per list: `query` a text, `docs` its documents, `labels` one number per document, higher is
            better, on any scale. Other columns are ignored.

    Raises:
        StudentError: a column is missing, a row is malformed, or no list has two different labels.
    """
    missing = [name for name in COLUMNS if name not in dataset.column_names]
    if missing:
        names = ", ".join(dataset.column_names)
        raise StudentError(f"the training set has no column {missing[0]!r}, only {names}; it needs query, docs, labels")
    lists = dataset.select_columns(COLUMNS)
    for number, row in enumerate(lists):
        _check_row(number, row)
    kept = [number for number, labels in enumerate(lists["labels"]) if len(set(labels)) > 1]
    if not kept:
        raise StudentError(f"none of the {len(lists)} training lists has two different labels; ranking needs an order")
    left_out = len(lists) - len(kept)
    if left_out:
        logger.warning("%d of %d lists have equal labels throughout and are left out", left_out, len(lists))
    return lists.select(kept)


def _check_row(number: int, row: Mapping[str, Any]) -> None:
    query, docs, labels = (row[name] for name in COLUMNS)
    where = f"training list {number}"
    if not isinstance(query, str) or not query.strip():
        raise StudentError(f"{where}: query is {query!r}; a text that is not blank is needed")
    if not isinstance(docs, list) or not all(isinstance(document, str) for document in docs):
        raise StudentError(f"{where}: docs must be a list of texts, got {docs!r:.80}")
    if not isinstance(labels, list) or len(labels) != len(docs):
        count = len(labels) if isinstance(labels, list) else repr(labels)
        raise StudentError(f"{where}: {len(docs)} docs but {count} labels; one label per document is needed")
    for label in labels:
        if not isinstance(label, int | float) or not math.isfinite(label):
            raise StudentError(f"{where}: label {label!r} is no finite number")
