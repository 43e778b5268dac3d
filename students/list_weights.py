"""What a label list's confidence makes of its loss: lists that the teacher was unsure of teach less."""

import logging
from collections.abc import Sequence

from datasets import Dataset

from students import StudentError

logger = logging.getLogger(__name__)


def with_weights(lists: Dataset, by_confidence: bool) -> Dataset:
    """The lists with a column `weight` in place of `confidence`; it is None throughout unless confidence weighs.

    Raises:
        StudentError: confidence is to weigh, and no list has a confidence above 0.
    """
    confidence = lists["confidence"]
    weights = confidence_weights(confidence) if by_confidence else [None] * len(lists)
    if by_confidence and all(value is None for value in confidence):
        logger.warning("confidence_weight changes nothing: none of the %d lists has a confidence", len(lists))
    return lists.remove_columns("confidence").add_column("weight", weights)


def confidence_weights(confidence: Sequence[float | None]) -> list[float]:
    """Each list's confidence, clipped to [0, 1] and 1 where unknown, divided by the mean over all lists.

    The mean weight of the whole set is 1, so the learning rate keeps its meaning. A mean of 1 in every batch would
    undo the weights where batches are small: a batch of one list would always weigh 1.

    Raises:
        StudentError: no confidence is above 0.
    """
    clipped = [1.0 if value is None else min(1.0, max(0.0, value)) for value in confidence]
    mean = sum(clipped) / len(clipped)
    if mean == 0:
        raise StudentError(f"confidence_weight: none of the {len(clipped)} lists has a confidence above 0")
    return [value / mean for value in clipped]
