"""Errors that commands turn into one line; `DataError` stands with the collections."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class RecipeProblem:
    """One thing that is wrong with a recipe, and where: ``FILE:LINE:COLUMN``, or the text of an override."""

    place: str
    message: str

    def __str__(self) -> str:
        return f"{self.place}: {self.message}"


class RecipeError(ValueError):
    """A recipe that cannot be carried out; the message names the file, the key, what came and what is accepted."""

    problems: Sequence[RecipeProblem] = ()

    @classmethod
    def at(cls, place: object, message: str) -> Self:
        """An error at one place of a recipe."""
        return cls.of([RecipeProblem(str(place), message)])

    @classmethod
    def of(cls, problems: Sequence[RecipeProblem]) -> Self:
        """One error for several problems: its message is the first of them, and says how many more there are."""
        more = len(problems) - 1
        error = cls(str(problems[0]) + (f" (and {more} more: see `distill recipes check`)" if more else ""))
        error.problems = tuple(problems)
        return error


class ModelError(ValueError):
    """A model that cannot be found, loaded or exported."""


def first_line(error: BaseException) -> str:
    """The first line of what an error of a library says, without a full stop; its class where it says nothing."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
