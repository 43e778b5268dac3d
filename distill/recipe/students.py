"""A recipe's sections on the students and what each of them learns first."""

from __future__ import annotations

from typing import Any, Self

from pydantic import Field, NonNegativeInt, PositiveInt, field_validator, model_validator

from distill.recipe.section import Section, optional
from students.decoder import DecoderSettings
from students.encoder import EncoderSettings
from students.library_arguments import known_arguments


class WarmStart(Section):
    """What a student learns before the teacher's labels: a light ranker's scores, which cost no pass of a large model.

    A new ranking head knows nothing, and a teacher's lists are few; these are as many as there are queries.
    """

    ranker: str = Field(
        description="cross- or bi-encoder, as a model reference; the bi-encoder that the student starts from will do. "
        "It reads in bf16 where the hardware multiplies it natively; float32:MODEL does not"
    )
    queries: PositiveInt = Field(
        2_000, description="most queries: all that neither choose checkpoints nor measure, whatever else they do"
    )
    documents: int = Field(16, ge=2, description="of the first stage's list of each, evenly spaced")
    random: NonNegativeInt = Field(4, description="documents of the whole collection beside them, scored as well")
    trainer: dict[str, Any] = Field(
        default_factory=dict,
        description="arguments of CrossEncoderTrainingArguments, over the student's own defaults and one epoch",
    )

    @field_validator("trainer")
    @classmethod
    def _is_known(cls, value: dict[str, Any]) -> dict[str, Any]:
        return known_arguments(value)


WARM_START = "a first training on a light ranker's scores, before the teacher's labels; none: the labels alone"


class EncoderSection(EncoderSettings):
    """The encoder student."""

    start: str = Field(description="hub id (@REVISION pins it), folder, or package:NAME/PATH of an encoder")
    warm_start: WarmStart | None = optional(WARM_START)


class DecoderSection(DecoderSettings):
    """The decoder student."""

    start: str = Field(description="hub id (@REVISION pins it), folder, .gguf file, or package:NAME/PATH of a decoder")
    warm_start: WarmStart | None = optional(WARM_START)

    @model_validator(mode="after")
    def _keeps_its_words(self) -> Self:
        if self.warm_start is not None and (self.label_weight or self.reason_weight):
            raise ValueError(
                "warm_start leaves a re-ranker, without the language model's head that label_weight and reason_weight "
                "learn by; leave out warm_start, or set both to 0"
            )
        return self
