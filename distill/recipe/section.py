"""What every section of a recipe is: it refuses unknown keys, does not change, and leaves out what came to it later."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class Section(BaseModel):
    """A part of a recipe: unknown keys are refused, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def optional_table(description: str) -> Any:
    """As `optional`, of a key that holds names."""
    return Field(default_factory=dict, exclude_if=lambda value: not value, description=description)


def optional(description: str, **limits: Any) -> Any:
    """A key that is left out of what is written where it is not set: a stage that it came to later keeps its
    fingerprint."""
    return Field(None, exclude_if=lambda value: value is None, description=description, **limits)
