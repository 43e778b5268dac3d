"""How likely users read each position of a page: read from a file, or estimated from a log that allows it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy import optimize
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from distill.collections.collection import DataError
from distill.evaluation.click_log import ClickLog, Figures, Whole, sums_by
from labeling.tail.log_files import read_log_file
from labeling.tail.query_log import counts

MIN_CLICKS = 100
"""Clicks that the estimate asks for at each position, on documents that were also shown at another."""

_ACCEPTED = "a number above 0 and up to 1 is accepted"


@dataclass(frozen=True, slots=True)
class Propensities:
    """How likely each position is read, from the first one.

    Attributes:
        examination: above 0 and up to 1; only their ratios matter to clicks.
        source: where they come from, in words.
        assumed: what must hold for them to be true, in words.
    """

    examination: tuple[float, ...]
    source: str
    assumed: str


def read_propensities(path: Path) -> Propensities:
    """Read propensities from a CSV, TSV, JSON lines or Parquet file with the columns ``position`` and ``propensity``.

    Raises:
        DataError: a propensity is out of range, a position comes twice, or one is left out.
        LabelingError: the file cannot be read, or a position is no whole number from 1.
    """
    found: dict[int, float] = {}
    for batch in read_log_file(path, ["position", "propensity"]):
        positions = counts(batch, batch.columns[0], "position", least=1).to_pylist()
        for line, position, value in zip(batch.lines, positions, batch.columns[1].to_pylist(), strict=True):
            if position in found:
                raise DataError(f"{batch.place(line)}: position {position} comes twice; once is accepted")
            found[position] = _propensity(value, batch.place(line))
    if sorted(found) != list(range(1, len(found) + 1)) or not found:
        missing = next(position for position in range(1, len(found) + 2) if position not in found)
        raise DataError(f"{path}: no propensity for position {missing}; each one from 1 to the last is needed")
    return Propensities(
        examination=tuple(found[position] for position in range(1, len(found) + 1)),
        source=path.name,
        assumed="the given propensities are those of the users and pages in the log",
    )


def estimate_propensities(log: ClickLog) -> Propensities:
    """Propensities from the documents that the log shows at several positions, in proportion to the best position.

    Clicks are taken as Poisson with mean impressions * examination(position) * attraction(query, document); the
    attractions are conditioned away, so that few impressions of each do no harm. Whoever calls this asserts that chance
    moved documents between positions (shuffled results, swaps): where a ranker moved them because they became better or
    worse, the estimate is wrong, and the log cannot show it.

    Raises:
        DataError: the log does not determine the propensities: too few clicks at a position on documents that were also
            shown elsewhere, or positions that no documents link.

    Source: Joachims, Swaminathan, Schnabel, WSDM 2017, section 5.3 (swaps); Agarwal, Zaitsev, Wang, Li, Najork,
    Joachims, Estimating Position Bias without Intrusive Interventions, WSDM 2019 (all documents shown at several
    positions); Hausman, Hall, Griliches, Econometrica 52, 1984 (the conditional likelihood).
    """
    depth = int(log.positions.max())
    if depth > len(log.positions):
        shown = f"{len(log.positions)} results, the last of them at position {depth}"
        raise DataError(f"propensities cannot be estimated: the log shows {shown}; each from 1 to there is needed")
    results = log.result_numbers()
    told = (np.bincount(results)[results] > 1) & (sums_by(results, log.clicks)[results] > 0)
    places, results = log.positions[told] - 1, np.unique(results[told], return_inverse=True)[1]
    impressions, clicks = log.impressions[told], log.clicks[told]
    _check_told(places, results, clicks, depth)
    by_place, by_result = sums_by(places, clicks, depth), sums_by(results, clicks)

    def loss(logs: Figures) -> tuple[float, Figures]:
        """The negative log likelihood a result, and its slope."""
        expected = impressions * np.exp(logs)[places]
        sums = sums_by(results, expected)
        value = by_result @ np.log(sums) - by_place @ logs
        slope = sums_by(places, (by_result / sums)[results] * expected, depth) - by_place
        return float(value / len(by_result)), slope / len(by_result)

    found = optimize.minimize(loss, np.zeros(depth), jac=True, method="L-BFGS-B", options={"ftol": 1e-14, "gtol": 1e-9})
    examination = np.exp(found.x - found.x.max())
    return Propensities(
        examination=tuple(examination.tolist()),
        source=f"estimated from {by_place.sum():,.0f} clicks on {len(by_result):,} results shown at several positions",
        assumed="chance moved documents between positions, as in shuffled or swapped results",
    )


def _check_told(places: Whole, results: Whole, clicks: Whole, depth: int) -> None:
    """Refuse to guess where the likelihood has no single highest point, or rests on next to nothing."""
    told = sums_by(places, clicks, depth)
    if told.min() < MIN_CLICKS:
        weakest = int(told.argmin())
        raise DataError(
            f"propensities cannot be estimated: position {weakest + 1} has {int(told[weakest])} clicks on documents "
            f"also shown at another position, {MIN_CLICKS} are needed; shuffle results, or give propensities"
        )
    # as in paired comparison (Ford 1957): every position must win clicks, over some steps, from every other
    shape = (int(results.max()) + 1, depth)
    shown = coo_array((np.ones(len(results)), (results, places)), shape=shape).tocsr()
    won = coo_array((np.minimum(clicks, 1.0), (results, places)), shape=shape).tocsr()
    groups, _ = connected_components(won.T @ shown, directed=True, connection="strong")
    if groups > 1:
        raise DataError(
            f"propensities cannot be estimated: the positions fall into {groups} groups between which no clicked "
            "documents moved; shuffle results over all positions, or give propensities"
        )


def _propensity(value: Any, place: str) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise DataError(f"{place}: propensity {value!r}; {_ACCEPTED}") from None
    if not 0 < number <= 1:
        raise DataError(f"{place}: propensity {value!r}; {_ACCEPTED}")
    return number
