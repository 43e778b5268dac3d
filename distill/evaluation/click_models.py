"""Simulated users: how likely a result is clicked, given its judged grade and where it stands.

No model here was fitted to anybody's users. They are the field's standard stand-ins, so that simulations compare.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Grades = NDArray[np.integer[Any]]
Clicks = NDArray[np.bool_]
Probabilities = NDArray[np.float64]

NOTHING = -1
"""The grade of a place on the page where no document stands."""

CASCADE_MODELS = ("perfect", "navigational", "informational")
MODELS = (*CASCADE_MODELS, "position_based")
HIGHEST_GRADE = 50

# Click and stop probabilities by grade, as published for judgments of two, three and five grades.
_PUBLISHED = {
    "perfect": {
        2: ((0.0, 1.0), (0.0, 0.0)),
        3: ((0.0, 0.5, 1.0), (0.0, 0.0, 0.0)),
        5: ((0.0, 0.2, 0.4, 0.8, 1.0), (0.0, 0.0, 0.0, 0.0, 0.0)),
    },
    "navigational": {
        2: ((0.05, 0.95), (0.2, 0.9)),
        3: ((0.05, 0.5, 0.95), (0.2, 0.5, 0.9)),
        5: ((0.05, 0.3, 0.5, 0.7, 0.95), (0.2, 0.3, 0.5, 0.7, 0.9)),
    },
    "informational": {
        2: ((0.4, 0.9), (0.1, 0.5)),
        3: ((0.4, 0.7, 0.9), (0.1, 0.3, 0.5)),
        5: ((0.4, 0.6, 0.7, 0.8, 0.9), (0.1, 0.2, 0.3, 0.4, 0.5)),
    },
}


class ClickModel(Protocol):
    """A simulated user in front of a page of results; pages are grades from the top, `NOTHING` where none stands."""

    @property
    def name(self) -> str:
        """What tables call it."""
        ...

    def clicks(self, grades: Grades, rng: np.random.Generator) -> Clicks:
        """The clicks of one user on each page, both (sessions, positions)."""
        ...

    def click_probabilities(self, grades: Grades) -> Probabilities:
        """How likely each place of each page is clicked, both (pages, positions)."""
        ...


@dataclass(frozen=True, slots=True)
class CascadeModel:
    """Reads from the top, clicks by the grade, and after a click leaves by the grade.

    Literature on online evaluation calls it the cascade model; as it allows several clicks, it is an instance of the
    dependent click model.

    Args:
        name: what tables call it.
        click: probability of a click on a document that is read, by grade from 0.
        stop: probability of leaving after that click, by grade from 0.

    Raises:
        ValueError: the two differ in length, or a value is no probability.

    Source: Guo, Liu, Wang, Efficient Multiple-Click Models in Web Search, WSDM 2009; Chuklin, Markov, de Rijke, Click
    Models for Web Search, 2015, chapter 3.
    """

    name: str
    click: tuple[float, ...]
    stop: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.click) != len(self.stop):
            raise ValueError(f"{len(self.click)} click probabilities and {len(self.stop)} stop probabilities")
        _check_probabilities((*self.click, *self.stop))

    def clicks(self, grades: Grades, rng: np.random.Generator) -> Clicks:
        """The clicks of one user on each page, both (sessions, positions)."""
        attracted = rng.random(grades.shape) < _by_grade(self.click, grades)
        leaves = attracted & (rng.random(grades.shape) < _by_grade(self.stop, grades))
        gone = np.cumsum(leaves, axis=1) - leaves > 0
        return np.logical_and(attracted, np.logical_not(gone))

    def click_probabilities(self, grades: Grades) -> Probabilities:
        """How likely each place of each page is clicked, both (pages, positions)."""
        attracted = _by_grade(self.click, grades)
        stays = np.cumprod(1 - attracted * _by_grade(self.stop, grades), axis=1)
        return attracted * np.hstack([np.ones((len(grades), 1)), stays[:, :-1]])


@dataclass(frozen=True, slots=True)
class PositionBasedModel:
    """Reads each place with a probability of its own, 1 / rank ** eta, and clicks by the grade of what is read.

    Args:
        name: what tables call it.
        click: probability of a click on a document that is read, by grade from 0.
        eta: how fast reading falls off; 0 reads everything.

    Raises:
        ValueError: a value is no probability, or ``eta`` is negative.

    Source: Joachims, Swaminathan, Schnabel, Unbiased Learning-to-Rank with Biased Feedback, WSDM 2017, section 6.
    """

    name: str
    click: tuple[float, ...]
    eta: float = 1.0

    def __post_init__(self) -> None:
        _check_probabilities(self.click)
        if not self.eta >= 0:
            raise ValueError(f"eta must be at least 0, got {self.eta}")

    def clicks(self, grades: Grades, rng: np.random.Generator) -> Clicks:
        """The clicks of one user on each page, both (sessions, positions)."""
        return rng.random(grades.shape) < self.click_probabilities(grades)

    def click_probabilities(self, grades: Grades) -> Probabilities:
        """How likely each place of each page is clicked, both (pages, positions)."""
        return _by_grade(self.click, grades) * examination(grades.shape[1], self.eta)


def click_model(name: str, max_grade: int, eta: float = 1.0, noise: float = 0.1) -> ClickModel:
    """The standard model of this name for judgments from 0 to ``max_grade``.

    The cascade models are published for two, three and five grades (``max_grade`` 1, 2 and 4); for others, the five are
    read between by straight lines. ``position_based`` clicks what it reads with probability ``noise`` +
    (1 - ``noise``) * (2 ** grade - 1) / (2 ** max_grade - 1).

    Args:
        name: one of `MODELS`.
        max_grade: the highest grade that a judge could give.
        eta: of ``position_based``.
        noise: of ``position_based``: how likely a document of grade 0 is clicked when it is read.

    Raises:
        ValueError: the name is unknown, or a number is out of range.

    Source: Hofmann, Whiteson, de Rijke, Balancing Exploration and Exploitation in Listwise and Pairwise Online Learning
    to Rank for Information Retrieval, Information Retrieval 16, 2013, and Schuth, Oosterhuis, Whiteson, de Rijke,
    Multileave Gradient Descent for Fast Online Learning to Rank, WSDM 2016 (the probabilities); Ai, Bi, Luo, Guo,
    Croft, Unbiased Learning to Rank with Unbiased Propensity Estimation, SIGIR 2018 (``position_based``).
    """
    if not 1 <= max_grade <= HIGHEST_GRADE:
        raise ValueError(f"the highest grade must be from 1 to {HIGHEST_GRADE}, got {max_grade}")
    if name == "position_based":
        if not 0 <= noise <= 1:
            raise ValueError(f"noise must be from 0 to 1, got {noise}")
        gains = (2.0 ** np.arange(max_grade + 1) - 1) / (2.0**max_grade - 1)
        return PositionBasedModel(name, tuple((noise + (1 - noise) * gains).tolist()), eta)
    if name not in _PUBLISHED:
        raise ValueError(f"click model {name!r}; accepted are {', '.join(MODELS)}")
    published = _PUBLISHED[name]
    if max_grade + 1 in published:
        return CascadeModel(name, *published[max_grade + 1])
    places = np.linspace(0, 4, max_grade + 1)
    click, stop = (tuple(np.interp(places, range(5), values).tolist()) for values in published[5])
    return CascadeModel(name, click, stop)


def examination(positions: int, eta: float = 1.0) -> Probabilities:
    """How likely each place is read, 1 / rank ** eta, from the top: (positions,)."""
    return np.arange(1, positions + 1, dtype=float) ** -eta


def _by_grade(probabilities: Sequence[float], grades: Grades) -> Probabilities:
    """Each grade's probability; 0 where no document stands."""
    if grades.size and not NOTHING <= grades.min() <= grades.max() < len(probabilities):
        came = f"{grades.min()} to {grades.max()}"
        raise ValueError(f"grades {came}; this model knows 0 to {len(probabilities) - 1}, and {NOTHING} for nothing")
    # the last entry is what index -1, `NOTHING`, finds
    return np.array([*probabilities, 0.0])[grades]


def _check_probabilities(values: Sequence[float]) -> None:
    for value in values:
        if not 0 <= value <= 1:
            raise ValueError(f"a probability is from 0 to 1, got {value}")
