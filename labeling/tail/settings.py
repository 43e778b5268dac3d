"""What may be said about the tail of a query log, in a recipe or on the command line."""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, PositiveInt, field_validator, model_validator

from labeling.tail.query_text import LANGUAGES

MAX_COUNT = 10**12
"""The largest frequency or number of clicks that a log may give: sums of them fit into 64 bits."""


class TailSettings(BaseModel):
    """Which queries of a log count as tail; the cuts are made in the order of these settings."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    head_share: float = Field(
        0.5,
        ge=0,
        lt=1,
        description="the most frequent queries that together carry at most this share of traffic are head; 0: none",
    )
    max_frequency: PositiveInt | None = Field(None, description="more frequent queries are head, whatever their share")
    min_frequency: PositiveInt = Field(1, description="rarer queries are left out")
    max_clicks: NonNegativeInt | None = Field(
        None, description="queries with more clicks are left out: there is evidence to rank them by; needs clicks"
    )
    max_click_rate: float | None = Field(
        None, ge=0, le=1, description="queries with more clicks an impression are left out; needs both"
    )
    min_words: NonNegativeInt = Field(1, description="shorter queries are left out")
    max_words: PositiveInt | None = Field(None, description="longer queries are left out")
    near_duplicates: bool = Field(
        False, description="of queries that have the same words but for order, ending and stop words, keep one"
    )
    sample: PositiveInt | None = Field(
        None, le=100_000, description="keep this many, of lengths and frequencies as in the tail and of varied words"
    )
    seed: int = Field(0, description="of the sample")
    language: str = Field("english", description="whose endings and stop words near-duplicates and sample pass over")

    @field_validator("language")
    @classmethod
    def _language_is_known(cls, name: str) -> str:
        if name not in LANGUAGES:
            raise ValueError(f"no stemmer for {name!r}; accepted are {', '.join(LANGUAGES)}")
        return name

    @model_validator(mode="after")
    def _limits_leave_room(self) -> Self:
        if self.max_words is not None and self.min_words > self.max_words:
            raise ValueError(f"min_words ({self.min_words}) cannot exceed max_words ({self.max_words})")
        if self.max_frequency is not None and self.min_frequency > self.max_frequency:
            raise ValueError(f"min_frequency ({self.min_frequency}) cannot exceed max_frequency ({self.max_frequency})")
        return self

    def needed_columns(self) -> frozenset[str]:
        """The counts that a log must have for these settings."""
        clicks = {"clicks"} if self.max_clicks is not None or self.max_click_rate is not None else set()
        return frozenset({"frequency"} | clicks | ({"impressions"} if self.max_click_rate is not None else set()))
