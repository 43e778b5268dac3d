"""Long documents in passages: a document's score is that of its best passage (MaxP), in training and in scoring."""

from collections.abc import Sequence
from itertools import groupby
from typing import Any, Self

import torch
from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, PositiveInt, model_validator
from torch import Tensor

CONFIG_KEY = "passages"
"""Where a student's `config.json` says how long documents are cut; libraries leave the key alone."""


class PassageSettings(BaseModel):
    """How a document that is longer than one passage is cut."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    tokens: PositiveInt = Field(description="longest passage, in the student's tokens; leave room for the query")
    overlap: NonNegativeInt = Field(0, description="tokens that a passage shares with the one before it")
    most: PositiveInt | None = Field(
        None, description="passages of a document that are read, from its start; none: all"
    )

    @model_validator(mode="after")
    def _moves_on(self) -> Self:
        if self.overlap >= self.tokens:
            raise ValueError(f"overlap ({self.overlap}) must be below tokens ({self.tokens})")
        return self


def passages_of(config: Any) -> PassageSettings | None:
    """How a model's configuration says that long documents are cut; None where it says nothing."""
    settings = getattr(config, CONFIG_KEY, None)
    return None if settings is None else PassageSettings.model_validate(settings)


def cut(tokenizer: Any, documents: Sequence[str], settings: PassageSettings | None) -> list[list[str]]:
    """The passages of each document, in their order; a document of one passage, or without settings, stays whole.

    Passages are texts, so that any server scores them as it scores documents.

    Args:
        tokenizer: the student's fast tokenizer.
        documents: texts.
        settings: see `PassageSettings`.
    """
    if settings is None or not documents:
        return [[document] for document in documents]
    windows = tokenizer(
        list(documents), add_special_tokens=False, truncation=True, max_length=settings.tokens, stride=settings.overlap,
        return_overflowing_tokens=True, return_offsets_mapping=True,
    )  # fmt: skip
    owners = windows["overflow_to_sample_mapping"]
    found = []
    for document, group in groupby(range(len(owners)), key=owners.__getitem__):
        spans = [windows["offset_mapping"][window] for window in group]
        text = documents[document]
        passages = [text[span[0][0] : span[-1][1]] for span in spans] if len(spans) > 1 else [text]
        found.append(passages[: settings.most])
    return found


def best_of(scores: Tensor, counts: Sequence[int]) -> Tensor:
    """Best score of each document, (rows, documents); the gradient flows into its best passage alone.

    Args:
        scores: of all passages, (rows, passages), document after document.
        counts: passages of each document.
    """
    return torch.stack([part.max(dim=1).values for part in scores.split(list(counts), dim=1)], dim=1)
