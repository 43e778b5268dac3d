"""How studies tell a mean with its 95 % interval."""

from __future__ import annotations

from typing import TYPE_CHECKING

from distill.evaluation.statistics import Interval, PairedDifference, mean_interval
from distill.studies.study import Cell

if TYPE_CHECKING:
    from torch import Tensor

    from teachers.studies.stability import Spread


def mean_of(values: Tensor) -> Interval:
    """The mean of one figure a list, (lists,), with its bootstrap interval."""
    # 2,000 resamples place the ends well within .002 on lists as many as these
    return mean_interval(values.tolist(), resamples=2000)


def span(found: Interval | Spread, form: str = ".3f") -> str:
    """The mean with its ends in brackets, each in ``form``."""
    return f"{found.mean:{form}} ({found.low:{form}} to {found.high:{form}})"


def difference(found: PairedDifference) -> tuple[Cell, Cell]:
    """Two cells: the difference with its interval, and the p-value."""
    return span(found.interval, "+.3f"), found.p_value
