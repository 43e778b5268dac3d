"""Checks label lists at the door of training, because a wrong column trains silently worse instead of failing."""

import logging
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from datasets import Dataset

from students import StudentError

logger = logging.getLogger(__name__)

COLUMNS = ["query", "docs", "labels"]

OPTIONAL_COLUMNS = ["groups", "evidence", "confidence"]
"""Handed through where the lists have them, and None where they do not: a loss always finds a column at its place."""

SCORES = "scores"
"""Column of labels whose distances mean something, beside `labels`, which may be an order alone."""

GROUPS = ("ranked", "missing", "random")


class ListBatch(NamedTuple):
    """What a loss is called with beside the labels: the columns of a batch of lists, one entry per list.

    `groups` and `evidence` hold one text per document, None where the lists have none; `weights` is one factor a list,
    see `students.list_weights`, and None is 1.
    """

    queries: list[str]
    documents: list[list[str]]
    groups: list[list[str] | None]
    evidence: list[list[str] | None]
    weights: list[float | None]


def list_batch(inputs: Sequence[list[Any]]) -> ListBatch:
    """The trainer's inputs by name; the optional ones may be left out at the end, and are then None throughout."""
    queries, documents, *optional = inputs
    unknown: list[Any] = [None] * len(queries)
    return ListBatch(queries, documents, *optional, *[unknown] * (len(OPTIONAL_COLUMNS) - len(optional)))


def used_columns(dataset: Dataset) -> Dataset:
    """The columns of the dataset that training reads, in the order query, docs, labels, groups, evidence, confidence.

    Raises:
        StudentError: the dataset has no query, docs or labels.
    """
    missing = [name for name in COLUMNS if name not in dataset.column_names]
    if missing:
        names = ", ".join(dataset.column_names)
        raise StudentError(f"the training set has no column {missing[0]!r}, only {names}; it needs query, docs, labels")
    return dataset.select_columns([*COLUMNS, *(name for name in OPTIONAL_COLUMNS if name in dataset.column_names)])


def with_scores(dataset: Dataset) -> Dataset:
    """The dataset with its `scores` as `labels`, for a loss that uses their size; without such a column, as it is.

    A list whose scores are all equal, such as one whose documents are all missing, keeps its labels: they still tell
    missing documents from random ones.
    """
    if SCORES not in dataset.column_names:
        return dataset
    rows = zip(dataset[SCORES], dataset["labels"], strict=True)
    chosen = [labels if scores and len(set(scores)) == 1 else scores for scores, labels in rows]
    return dataset.remove_columns([SCORES, "labels"]).add_column("labels", chosen)


def training_lists(dataset: Dataset) -> Dataset:
    """The lists that a ranking loss can learn from, with the columns of `COLUMNS` and `OPTIONAL_COLUMNS` in this order.

    Lists whose labels are all equal give no pair: they are left out, and the log says how many. Optional columns that
    the dataset has not are None in every row.

    Args:
        dataset: one row per list: `query` a text, `docs` its documents, `labels` one number per document, higher is
            better, on any scale; and where known `groups`, `evidence` (texts, empty where there is none) and
            `confidence`, as `ListBatch` has them. Other columns are ignored.

    Raises:
        StudentError: a column is missing, a row is malformed, or no list has two different labels.
    """
    lists = used_columns(dataset)
    for number, row in enumerate(lists):
        _check_row(number, row)
    kept = [number for number, labels in enumerate(lists["labels"]) if len(set(labels)) > 1]
    if not kept:
        raise StudentError(f"none of the {len(lists)} training lists has two different labels; ranking needs an order")
    left_out = len(lists) - len(kept)
    if left_out:
        logger.warning("%d of %d lists have equal labels throughout and are left out", left_out, len(lists))
    for name in OPTIONAL_COLUMNS:
        if name not in lists.column_names:
            lists = lists.add_column(name, [None] * len(lists))
    return lists.select_columns([*COLUMNS, *OPTIONAL_COLUMNS]).select(kept)


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
    _check_optional(where, len(docs), row)


def _check_optional(where: str, count: int, row: Mapping[str, Any]) -> None:
    groups, evidence, confidence = (row.get(name) for name in OPTIONAL_COLUMNS)
    for name, column in (("groups", groups), ("evidence", evidence)):
        if column is None:
            continue
        if not isinstance(column, list) or not all(isinstance(value, str) for value in column):
            raise StudentError(f"{where}: {name} must be a list of texts, got {column!r:.80}")
        if len(column) != count:
            raise StudentError(f"{where}: {count} docs but {len(column)} {name}; one per document is needed")
    unknown = next((group for group in groups or () if group not in GROUPS), None)
    if unknown is not None:
        raise StudentError(f"{where}: group {unknown!r} is unknown; groups are {', '.join(GROUPS)}")
    if confidence is not None and not (isinstance(confidence, int | float) and math.isfinite(confidence)):
        raise StudentError(f"{where}: confidence {confidence!r} is no finite number")
