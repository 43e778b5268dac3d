"""Which of two rankings simulated users would prefer, had both teams' results been drafted onto one page.

A SIMULATION: sessions over judged queries with a click model in the user's place. It says how much of a difference a
real interleaving experiment could see if users were like the model, not what users prefer.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from distill.collections.collection import DataError, Qrels, Run
from distill.collections.trec import ranking
from distill.evaluation.click_models import NOTHING, ClickModel
from distill.evaluation.ratios import ratio_interval
from distill.evaluation.statistics import Interval

SIGNIFICANCE = 0.05
POWER = 0.8

Whole = NDArray[np.integer[Any]]
Flags = NDArray[np.bool_]

# Sessions whose pages stand in memory at once.
_BATCH = 20_000
_MOST_SESSIONS = 10**9
# How many sessions of an experiment have a winner, at these places of its distribution.
_QUANTILES = (np.arange(100) + 0.5) / 100


@dataclass(frozen=True, slots=True)
class InterleavingSettings:
    """How a simulated interleaving experiment is carried out.

    Attributes:
        sessions: pages shown to simulated users, their queries drawn evenly from all judged ones.
        depth: results on a page.
        seed: of all that is drawn.
        sizes: sessions of the experiments whose sensitivity is asked for.
        experiments: experiments simulated for each size.
        resamples: sets of queries drawn for the interval over queries.
    """

    sessions: int = 100_000
    depth: int = 10
    seed: int = 0
    sizes: tuple[int, ...] = (100, 1_000, 10_000)
    experiments: int = 2_000
    resamples: int = 2_000

    def __post_init__(self) -> None:
        for name in ("sessions", "depth", "experiments", "resamples"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if any(size < 1 for size in self.sizes):
            raise ValueError(f"an experiment has at least one session, got {min(self.sizes)}")


@dataclass(frozen=True, slots=True)
class Pages:
    """The first results of two runs for each judged query, as an index into the query's documents.

    Attributes:
        first: documents of run A from the top, (queries, depth); -1 behind the end of a list.
        second: the same of run B.
        grades: by document, (queries, documents + 1); the last column is `NOTHING`, where -1 points.
        answered: queries for which both runs have results.
        judged_first: share of run A's results here that are judged; the others count as grade 0.
        judged_second: the same of run B.
    """

    first: Whole
    second: Whole
    grades: Whole
    answered: int
    judged_first: float
    judged_second: float


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """How many simulated experiments of ``sessions`` sessions find the ranking that is ahead, at p < .05."""

    sessions: int
    found: float


@dataclass(frozen=True, slots=True)
class SimulatedInterleaving:
    """What the users of one click model prefer. A SIMULATION, whatever its p-value.

    Attributes:
        model: the click model's name.
        sessions: pages shown.
        wins_first: sessions in which run A's results got more clicks.
        wins_second: the same of run B.
        ties: the others.
        preference: share of run B among sessions with a winner, and the 95 % interval (Wilson's) of the simulated
            sessions; None where no session has a winner.
        preference_over_queries: the same share with an interval by the bootstrap over queries, which says what other
            queries of this kind might have shown. More sessions do not narrow it. None of a single query, too.
        p_value: two-sided binomial test of the sessions with a winner against one half.
        clicks_first: expected clicks on a page of run A alone, over all judged queries.
        clicks_second: the same of run B.
        sensitivity: for each size that was asked for.
        sessions_needed: about how many sessions find the ranking that is ahead at p < .05 in 80 % of experiments; None
            where the simulation itself shows no difference.
    """

    model: str
    sessions: int
    wins_first: int
    wins_second: int
    ties: int
    preference: Interval | None
    preference_over_queries: Interval | None
    p_value: float
    clicks_first: float
    clicks_second: float
    sensitivity: tuple[Sensitivity, ...]
    sessions_needed: int | None
    simulation: bool = True


def team_draft(first: Whole, second: Whole, first_begins: Flags) -> tuple[Whole, Flags]:
    """Pages on which two rankings' results are drafted, and which of these are the second team's picks.

    The rankings take turns in rounds of two picks, a coin says who begins a round, and each picks its best document
    that is not on the page yet. A page ends before a round that one of the two could not complete, whoever begins it:
    the published algorithm goes on until one has nothing left, and gives the shorter list the last pick too often.

    Args:
        first: documents of the first ranking from the top as whole numbers from 0, (sessions, depth); -1 behind the end
            of a list.
        second: the same of the second ranking.
        first_begins: whether the first ranking begins a round, (sessions, (depth + 1) // 2).

    Returns:
        Documents of the page, -1 behind its end, and whether the second team picked each; both (sessions, depth).

    Source: Radlinski, Kurup, Joachims, How Does Clickthrough Data Reflect Retrieval Quality?, CIKM 2008, algorithm 2.
    """
    rows = np.arange(len(first))
    page, by_second = np.full_like(first, -1), np.zeros(first.shape, dtype=bool)
    free = (first >= 0, second >= 0)
    goes_on = np.ones(len(first), dtype=bool)
    for place in range(first.shape[1]):
        best_of_first = first[rows, free[0].argmax(axis=1)]
        best_of_second = second[rows, free[1].argmax(axis=1)]
        if place % 2 == 0:
            goes_on &= (free[0] & (first != best_of_second[:, None])).any(axis=1)
            goes_on &= (free[1] & (second != best_of_first[:, None])).any(axis=1)
        seconds_turn = first_begins[:, place // 2] ^ (place % 2 == 0)
        pick = np.where(goes_on, np.where(seconds_turn, best_of_second, best_of_first), -1)
        page[:, place], by_second[:, place] = pick, seconds_turn & goes_on
        free = (free[0] & (first != pick[:, None]), free[1] & (second != pick[:, None]))
    return page, by_second


def pages(run_first: Run, run_second: Run, qrels: Qrels, depth: int) -> Pages:
    """What both runs would show for each judged query; a grade below 0 counts as 0.

    Raises:
        DataError: there are no judgments, or no judged query for which both runs have results.
    """
    if not qrels:
        raise DataError("no judged query; a simulation needs at least one")
    lists = [[ranking(run.get(query_id, {}))[:depth] for query_id in qrels] for run in (run_first, run_second)]
    answered = sum(bool(one and other) for one, other in zip(*lists, strict=True))
    if not answered:
        raise DataError(f"none of the {len(qrels)} judged queries has results in both runs")
    width = min(depth, max(len(documents) for side in lists for documents in side))
    indices = np.full((2, len(qrels), width), -1, dtype=np.int32)
    grades = np.full((len(qrels), 2 * width + 1), NOTHING, dtype=np.int32)
    for row, judged in enumerate(qrels.values()):
        places: dict[str, int] = {}
        for side in (0, 1):
            for rank, doc_id in enumerate(lists[side][row]):
                indices[side, row, rank] = places.setdefault(doc_id, len(places))
        grades[row, : len(places)] = [max(0, judged.get(doc_id, 0)) for doc_id in places]
    shares = [_judged_share(side, qrels) for side in lists]
    return Pages(indices[0], indices[1], grades, answered, *shares)


def simulate_interleaving(
    shown: Pages, model: ClickModel, settings: InterleavingSettings | None = None
) -> SimulatedInterleaving:
    """Team-draft interleaving of two runs before simulated users.

    Args:
        shown: what `pages` made of the runs.
        model: the users.
        settings: None for the defaults.

    Raises:
        ValueError: a grade is higher than the model knows.
    """
    settings = settings or InterleavingSettings()
    rng = np.random.default_rng(settings.seed)
    wins = np.zeros((2, len(shown.grades)), dtype=np.int64)
    for queries, credit in _sessions(shown, model, settings.sessions, rng):
        for side, winner in enumerate((credit < 0, credit > 0)):
            wins[side] += np.bincount(queries[winner], minlength=len(shown.grades))
    lost, won = wins.sum(axis=1).tolist()
    decided = lost + won
    p_value = float(stats.binomtest(won, decided).pvalue) if decided else 1.0
    shares = (lost / settings.sessions, won / settings.sessions)
    alone = [_expected_clicks(shown, side, model) for side in (shown.first, shown.second)]
    return SimulatedInterleaving(
        model=model.name,
        sessions=settings.sessions,
        wins_first=lost,
        wins_second=won,
        ties=settings.sessions - decided,
        preference=_session_interval(won, decided) if decided else None,
        preference_over_queries=_query_interval(wins, settings) if decided else None,
        p_value=p_value,
        clicks_first=alone[0],
        clicks_second=alone[1],
        sensitivity=tuple(
            Sensitivity(size, sensitivity(*shares, size, settings.experiments, rng)) for size in settings.sizes
        ),
        sessions_needed=sessions_needed(*shares) if p_value < SIGNIFICANCE else None,
    )


def sensitivity(lost: float, won: float, sessions: int, experiments: int, rng: np.random.Generator) -> float:
    """Share of simulated experiments in which the ranking that is ahead wins by a binomial test at p < .05.

    Sessions are independent, so an experiment is one draw of how many are lost, won and tied.

    Args:
        lost: probability that the first ranking wins a session.
        won: probability that the second one does.
        sessions: sessions of an experiment.
        experiments: experiments that are drawn.
        rng: draws them.
    """
    ahead, behind = max(lost, won), min(lost, won)
    counts = rng.multinomial(sessions, [ahead, behind, max(0.0, 1 - ahead - behind)], size=experiments)
    for_it, decided = counts[:, 0], counts[:, 0] + counts[:, 1]
    # one half of a two-sided exact binomial test; scipy's own takes one experiment at a time
    return float((2 * stats.binom.sf(for_it - 1, decided, 0.5) < SIGNIFICANCE).mean())


def sessions_needed(lost: float, won: float) -> int | None:
    """About how many sessions a binomial test needs to find the ranking that is ahead in 80 % of experiments.

    None where neither is ahead, or a thousand million do not suffice.

    Args:
        lost: probability that the first ranking wins a session.
        won: probability that the second one does.
    """
    if lost == won:
        return None
    share = max(lost, won) / (lost + won)

    def found(sessions: int) -> float:
        """Power, as a mean over how many of the sessions have a winner."""
        decided = stats.binom.ppf(_QUANTILES, sessions, lost + won)
        least = stats.binom.isf(SIGNIFICANCE / 2, decided, 0.5) + 1
        return float(stats.binom.sf(least - 1, decided, share).mean())

    enough = 8
    while found(enough) < POWER:
        enough *= 2
        if enough > _MOST_SESSIONS:
            return None
    too_few = enough // 2
    while enough - too_few > 1:
        middle = (too_few + enough) // 2
        too_few, enough = (middle, enough) if found(middle) < POWER else (too_few, middle)
    return enough


def _sessions(
    shown: Pages, model: ClickModel, sessions: int, rng: np.random.Generator
) -> Iterator[tuple[Whole, Whole]]:
    """Yield queries and the credit of each session: clicks on the second team's picks less those on the first's."""
    for begun in range(0, sessions, _BATCH):
        count = min(_BATCH, sessions - begun)
        queries = rng.integers(len(shown.grades), size=count)
        coins = rng.random((count, (shown.first.shape[1] + 1) // 2)) < 0.5
        page, by_second = team_draft(shown.first[queries], shown.second[queries], coins)
        clicked = model.clicks(shown.grades[queries[:, None], page], rng)
        yield queries, (clicked & by_second).sum(axis=1) - (clicked & ~by_second).sum(axis=1)


def _expected_clicks(shown: Pages, documents: Whole, model: ClickModel) -> float:
    grades = np.take_along_axis(shown.grades, documents, axis=1)
    return float(model.click_probabilities(grades).sum(axis=1).mean())


def _session_interval(won: int, decided: int) -> Interval:
    found = stats.binomtest(won, decided).proportion_ci(method="wilson")
    return Interval(won / decided, float(found.low), float(found.high))


def _query_interval(wins: Whole, settings: InterleavingSettings) -> Interval | None:
    """None where there is but one query; a set of queries without any winner prefers neither."""
    if wins.shape[1] < 2:
        return None
    return ratio_interval(wins[1], wins.sum(axis=0), settings.resamples, settings.seed, undefined=0.5)


def _judged_share(lists: list[list[str]], qrels: Qrels) -> float:
    judged = [doc_id in grades for documents, grades in zip(lists, qrels.values(), strict=True) for doc_id in documents]
    return sum(judged) / len(judged) if judged else 0.0
