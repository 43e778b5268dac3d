"""A start model as a sequence classifier with one output: its body as it was, its head new where it has another."""

import logging
from typing import Any

from transformers import AutoModelForSequenceClassification

from students import StudentError

logger = logging.getLogger(__name__)


def load_classifier(start: str, **settings: Any) -> Any:
    """The start model in fp32 with one output; ``settings`` go to ``from_pretrained``.

    A head of several outputs, as models that tell classes apart have it, is left behind.

    Raises:
        StudentError: weights beside the head have other sizes than the start model's configuration says.
    """
    model, found = AutoModelForSequenceClassification.from_pretrained(
        start, dtype="float32", ignore_mismatched_sizes=True, output_loading_info=True, **settings
    )
    for name, stored, wanted in sorted(found["mismatched_keys"]):
        if wanted[0] != 1:
            raise StudentError(f"{start}: {name} has the shape {tuple(stored)}; by its configuration {tuple(wanted)}")
        logger.warning("%s: its head %s has %d outputs; the student begins with a new one", start, name, stored[0])
    return model
