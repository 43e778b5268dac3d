"""Hashes of texts and teachers: finished work is recognised by content, never by name or date."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from labeling import LabelingError


def canonical_json(value: Any) -> str:
    """The one JSON text of a value, in ASCII, whatever the order of its keys.

    Raises:
        ValueError, TypeError: the value is not JSON (NaN and infinities are not).
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def text_hash(text: str) -> str:
    """32 hexadecimal digits (128 bits) that stand for a text; any string has one, lone surrogates included."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def teacher_hash(description: Mapping[str, Any]) -> str:
    """32 hexadecimal digits that stand for a judge's description.

    Raises:
        LabelingError: the description is not made of JSON values.
    """
    try:
        return text_hash(canonical_json(dict(description)))
    except (TypeError, ValueError) as error:
        raise LabelingError(f"the judge's describe() must return JSON values only; {error}") from error
