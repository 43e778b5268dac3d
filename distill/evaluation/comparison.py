"""Two or more runs against the same judgments: every difference with its interval, its tests and its slice."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from distill.collections.collection import DataError, Qrels, Run
from distill.evaluation.measures import check_measures, evaluate, is_mean
from distill.evaluation.paired import LEVEL, Paired, holm, paired
from distill.evaluation.resampling import RESAMPLES

ALL_QUERIES = "all queries"
LEAST_QUERIES = 2
SMALL = 25
"""Fewer queries than this are too few to say much; a figure over them is marked."""

Values = Mapping[str, Mapping[str, NDArray[np.float64]]]
"""By system and measure, each query's figure in the order of the comparison's queries."""

Slices = Mapping[str, frozenset[str]]
"""Query ids by the slice's name."""


@dataclass(frozen=True, slots=True)
class Contrast:
    """How much better ``system`` is than ``reference`` by one measure over one slice of the queries.

    Args:
        difference: mean of the queries' differences; ``low`` and ``high`` are its 95 % bootstrap interval.
        p_randomisation: two-sided, of the paired randomisation test.
        p_t: two-sided, of the paired t-test.
        p_holm: adjusted by Holm's method for all contrasts of the comparison; made of the t-test's p-values, where
            there are few queries of the randomisation test's.
        effect_size: mean over standard deviation of the differences.
        detectable: the smallest difference that so many queries would show in four of five experiments.
        wins: queries on which the system is ahead; ``ties`` and ``losses`` are the others.
    """

    system: str
    reference: str
    measure: str
    slice: str
    queries: int
    system_mean: float
    reference_mean: float
    difference: float
    low: float
    high: float
    p_randomisation: float
    p_t: float
    p_holm: float
    effect_size: float
    detectable: float
    wins: int
    ties: int
    losses: int

    @property
    def certain(self) -> bool:
        """Whether the difference stands after Holm's correction, at 5 %."""
        return self.p_holm < LEVEL

    def mirrored(self) -> Contrast:
        """The same with the two systems changed over."""
        return replace(
            self, system=self.reference, reference=self.system,
            system_mean=self.reference_mean, reference_mean=self.system_mean,
            difference=-self.difference, low=-self.high, high=-self.low,
            effect_size=-self.effect_size, wins=self.losses, losses=self.wins,
        )  # fmt: skip

    @property
    def small(self) -> bool:
        """Whether the slice has too few queries to say much."""
        return self.queries < SMALL


@dataclass(frozen=True)
class Comparison:
    """Systems side by side over the same judged queries.

    Args:
        systems: names, the one that the others are to beat first.
        measures: names, the one that decides first.
        queries: ids of the judged queries, the order of all arrays.
        values: every query's figure.
        slices: query ids by slice, `ALL_QUERIES` first.
        contrasts: all pairs of systems, measures and slices.
        absent: by system, the judged queries that its run lacks; they count as 0.
    """

    systems: tuple[str, ...]
    measures: tuple[str, ...]
    queries: tuple[str, ...]
    values: Values
    slices: Slices
    contrasts: tuple[Contrast, ...]
    absent: Mapping[str, tuple[str, ...]]

    def contrast(self, system: str, reference: str, measure: str | None = None, part: str = ALL_QUERIES) -> Contrast:
        """One contrast, in either direction; the deciding measure and all queries unless told otherwise.

        Raises:
            KeyError: there is none such.
        """
        wanted = measure or self.measures[0], part
        for found in self.contrasts:
            if (found.measure, found.slice) == wanted:
                if (found.system, found.reference) == (system, reference):
                    return found
                if (found.system, found.reference) == (reference, system):
                    return found.mirrored()
        raise KeyError((system, reference, *wanted))

    def mean(self, system: str, measure: str | None = None) -> float:
        """A system's mean over all judged queries."""
        return float(self.values[system][measure or self.measures[0]].mean())


def compare(
    runs: Mapping[str, Run],
    qrels: Qrels,
    measures: Sequence[str],
    slices: Slices | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Comparison:
    """Compare every two runs by every measure, over all judged queries and over each slice.

    Args:
        runs: by name; of each pair the later one is the system, the earlier one its reference.
        qrels: judgments; each of its queries counts for every run, with 0 where a run lacks it.
        measures: names as `evaluate` takes them, the deciding one first.
        slices: more parts of the queries to compare over; ids that are not judged are left out, and so are slices with
            fewer than two judged queries.
        resamples: of the randomisation test and the bootstrap.
        seed: of both.

    Raises:
        DataError: fewer than two runs or judged queries, an unknown measure, one named twice, or one that is no mean
            over queries.
    """
    if len(runs) < 2:
        raise DataError(f"{len(runs)} run; a comparison needs at least two")
    if len(qrels) < LEAST_QUERIES:
        raise DataError(f"{len(qrels)} judged queries; a comparison needs at least {LEAST_QUERIES}")
    check_measures(measures)
    if others := [measure for measure in measures if not is_mean(measure)]:
        raise DataError(
            f"measure {others[0]} is no mean over queries, so runs cannot be compared by it; nDCG@10 is one"
        )
    queries = tuple(qrels)
    values = {name: _columns(evaluate(run, qrels, measures), measures) for name, run in runs.items()}
    parts = {ALL_QUERIES: frozenset(queries), **_judged(slices or {}, queries)}
    tests = [_test(values, part, _places(queries, members), resamples, seed) for part, members in parts.items()]
    adjusted = iter(holm([p for test in tests for p in test.found.p_value.tolist()]))
    return Comparison(
        systems=tuple(runs),
        measures=tuple(measures),
        queries=queries,
        values=values,
        slices=parts,
        contrasts=tuple(contrast for test in tests for contrast in _contrasts(test, adjusted)),
        absent={name: tuple(query for query in queries if not run.get(query)) for name, run in runs.items()},
    )


@dataclass(frozen=True)
class _Test:
    """All contrasts over one slice: who they are about, both sides' figures (queries, contrasts), what was found."""

    part: str
    about: list[tuple[str, str, str]]
    systems: NDArray[np.float64]
    references: NDArray[np.float64]
    found: Paired


def _test(values: Values, part: str, places: NDArray[np.intp], resamples: int, seed: int) -> _Test:
    measures = next(iter(values.values()))
    about = [(later, earlier, measure) for earlier, later in combinations(values, 2) for measure in measures]
    systems = np.stack([values[system][measure][places] for system, _, measure in about], axis=1)
    references = np.stack([values[reference][measure][places] for _, reference, measure in about], axis=1)
    return _Test(part, about, systems, references, paired(systems - references, resamples, seed))


def _contrasts(test: _Test, adjusted: Iterator[float]) -> Iterator[Contrast]:
    """The slice's contrasts; takes as many of the adjusted p-values."""
    found = test.found
    for place, (system, reference, measure) in enumerate(test.about):
        own, other = test.systems[:, place], test.references[:, place]
        yield Contrast(
            system, reference, measure, test.part, len(own),
            system_mean=float(own.mean()),
            reference_mean=float(other.mean()),
            difference=float(found.mean[place]),
            low=float(found.low[place]),
            high=float(found.high[place]),
            p_randomisation=float(found.p_randomisation[place]),
            p_t=float(found.p_t[place]),
            p_holm=next(adjusted),
            effect_size=float(found.effect_size[place]),
            detectable=float(found.detectable[place]),
            wins=int((own > other).sum()),
            ties=int((own == other).sum()),
            losses=int((own < other).sum()),
        )  # fmt: skip


def _places(queries: Sequence[str], members: frozenset[str]) -> NDArray[np.intp]:
    return np.flatnonzero([query in members for query in queries])


def _judged(slices: Slices, queries: Sequence[str]) -> dict[str, frozenset[str]]:
    """The slices' judged queries, where there are two or more."""
    if ALL_QUERIES in slices:
        raise DataError(f"slice {ALL_QUERIES!r} is there already; name it otherwise")
    judged = {name: frozenset(members).intersection(queries) for name, members in slices.items()}
    return {name: members for name, members in judged.items() if len(members) >= 2}


def _columns(rows: Mapping[str, Mapping[str, float]], measures: Sequence[str]) -> dict[str, NDArray[np.float64]]:
    return {measure: np.array([row[measure] for row in rows.values()]) for measure in measures}
