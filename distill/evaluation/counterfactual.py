"""What logged clicks say of rankings that were never shown: inverse propensities under the position-based model.

Assumed: a result is clicked if it is read and it attracts; reading depends on the position alone, attraction on query
and document alone. Estimated, over the logged pages of the queries that a given run ranks:

- IPS: clicks a page that the new ranking would have earned. A logged click counts examination(new rank) over
  examination(logged rank), and 0 where the new ranking does not show the document; where the log shows a document on
  some pages of its query only, the click stands for the others too, so it counts pages / impressions times as much.
- SNIPS: reach, the share of the shown documents' attraction that users would have read at its new rank: the mean of
  examination(new rank) over clicks, weighted by 1 / examination(logged rank) and pages / impressions. One factor on all
  weights changes nothing, and a constant added to every document's examination adds that constant.

SNIPS weights a click by 1 / examination(logged rank) and not by the whole ratio: over shown results the ratios do not
average 1 where ranks change, so that sum(ratio * click) / sum(ratio) holds a change too low, however long the log.

Documents that the log never showed for a query earn nothing here, so IPS is a lower bound where ``covered`` is below 1.

Source: Joachims, Swaminathan, Schnabel, Unbiased Learning-to-Rank with Biased Feedback, WSDM 2017 (examination as the
propensity); Swaminathan, Joachims, The Self-Normalized Estimator for Counterfactual Learning, NIPS 2015 (SNIPS); Li,
Abbasi-Yadkori, Kveton, Muthukrishnan, Vinay, Wen, Offline Evaluation of Ranking Policies with Click Models, KDD 2018
(the ratio of examinations).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from distill.collections.collection import DataError, Run
from distill.collections.trec import ranking
from distill.evaluation.click_log import ClickLog, Figures, Whole, sums_by
from distill.evaluation.propensities import Propensities
from distill.evaluation.ratios import ratio_interval
from distill.evaluation.statistics import Interval

MIN_EFFECTIVE_CLICKS = 100.0


@dataclass(frozen=True, slots=True)
class CounterfactualSettings:
    """How logged clicks are weighted, and when they are too few.

    Attributes:
        depth: results of a run on a page; None for as many positions as have a propensity.
        max_weight: a click's weight, before its new rank counts, is cut at this: less variance, but a bias downward.
            None for no cut.
        min_effective_clicks: below this effective sample size, a run gets no figures.
        resamples: sets of queries drawn for the intervals.
        seed: draws them.
    """

    depth: int | None = None
    max_weight: float | None = None
    min_effective_clicks: float = MIN_EFFECTIVE_CLICKS
    resamples: int = 2_000
    seed: int = 0

    def __post_init__(self) -> None:
        if self.depth is not None and self.depth < 1:
            raise ValueError(f"depth must be at least 1, got {self.depth}")
        if self.max_weight is not None and not self.max_weight >= 1:
            raise ValueError(f"the largest weight must be at least 1, got {self.max_weight}")


@dataclass(frozen=True, slots=True)
class RankingValue:
    """What the log says of one ranking. All intervals are over queries, with the propensities taken for true.

    Attributes:
        name: the run's.
        clicks_per_page: IPS; None where refused.
        reach: SNIPS; None where refused.
        over_logged: IPS less the clicks that the logged pages earned; None where refused.
        over_first: IPS less that of the first run; None for the first run itself, or where either is refused.
        clicks: logged clicks on documents that the ranking shows.
        effective_clicks: Kish's effective sample size of these: as many clicks of equal weight would say as much.
        covered: share of the examination that the ranking's results get which falls on documents that the log ever
            showed for the query.
        cut: share of ``clicks`` whose weight was cut at ``max_weight``.
        refusal: why there are no figures; empty where there are.
    """

    name: str
    clicks_per_page: Interval | None
    reach: Interval | None
    over_logged: Interval | None
    over_first: Interval | None
    clicks: int
    effective_clicks: float
    covered: float
    cut: float
    refusal: str = ""


@dataclass(frozen=True, slots=True)
class CounterfactualComparison:
    """Rankings valued on the same logged pages.

    Attributes:
        rankings: in the order given.
        logged_clicks_per_page: what the logged pages earned, a plain mean.
        queries: logged queries that some run ranks, which all figures are over; one that a run lacks earns it nothing.
        left_out: logged queries that no run ranks.
        pages: logged pages of ``queries``.
        clicks: logged clicks on them.
        depth: results of a run on a page.
        propensities: what is known of reading.
    """

    rankings: tuple[RankingValue, ...]
    logged_clicks_per_page: Interval
    queries: int
    left_out: int
    pages: int
    clicks: int
    depth: int
    propensities: Propensities


@dataclass(frozen=True, slots=True)
class _Logged:
    """The entries of the queries that count, and what each query's pages come to.

    Attributes:
        log: of these queries alone.
        query_ids: by query number.
        queries: query number by entry.
        weights: pages / impressions / examination of each entry's position, cut, (entries,).
        whole: whether it was not cut, (entries,).
        pages: by query number.
    """

    log: ClickLog
    query_ids: list[str]
    queries: Whole
    weights: Figures
    whole: NDArray[np.bool_]
    pages: Figures


def counterfactual(
    runs: Mapping[str, Run], log: ClickLog, propensities: Propensities, settings: CounterfactualSettings | None = None
) -> CounterfactualComparison:
    """The value of each run's ranking, by IPS and SNIPS on logged clicks; see the module for what these mean.

    Args:
        runs: by name; ids as in the log.
        log: results shown, with positions.
        propensities: for every logged position.
        settings: None for the defaults.

    Raises:
        DataError: fewer than two queries of the log are ranked by a run, the log has a position without a propensity or
            no click on these queries, or ``depth`` is larger than the positions with a propensity.
    """
    settings = settings or CounterfactualSettings()
    depth = len(propensities.examination) if settings.depth is None else settings.depth
    if depth > len(propensities.examination):
        raise DataError(f"depth {depth}; there are propensities for {len(propensities.examination)} positions")
    logged = _logged(runs, log, propensities, settings.max_weight)
    earned = sums_by(logged.queries, logged.log.clicks)
    if not earned.sum():
        raise DataError(f"the {len(earned)} logged queries that a run ranks have no click")
    examination = np.array(propensities.examination[:depth])
    values: list[RankingValue] = []
    first: Figures | None = None
    for name, run in runs.items():
        value, sums = _value(name, _ranks(run, logged, depth), logged, examination, first, settings)
        if not values and not value.refusal:
            first = sums
        values.append(value)
    return CounterfactualComparison(
        rankings=tuple(values),
        logged_clicks_per_page=ratio_interval(earned, logged.pages, settings.resamples, settings.seed),
        queries=len(earned),
        left_out=len(set(log.query_ids)) - len(earned),
        pages=int(logged.pages.sum()),
        clicks=int(earned.sum()),
        depth=depth,
        propensities=propensities,
    )


def ips_and_snips(
    clicks: Whole, weights: Figures, examined: Figures, queries: Whole, pages: Figures,
    settings: CounterfactualSettings,
) -> tuple[Interval, Interval]:  # fmt: skip
    """Clicks a page and reach of one ranking, from entries of a log.

    Args:
        clicks: logged clicks, (entries,).
        weights: pages of the query / impressions of the document / examination of the logged rank, (entries,).
        examined: examination of the new rank, 0 where the ranking does not show the document, (entries,).
        queries: place of the entry's query in ``pages``, (entries,).
        pages: logged pages, (queries,).
        settings: resamples and seed of the intervals.

    Raises:
        ValueError: there are fewer than two queries, or no clicks.
    """
    read = sums_by(queries, clicks * weights * examined, len(pages))
    attracted = sums_by(queries, clicks * weights, len(pages))
    drawn = settings.resamples, settings.seed
    return ratio_interval(read, pages, *drawn), ratio_interval(read, attracted, *drawn)


def effective_sample_size(clicks: Whole, weights: Figures) -> float:
    """Kish's (sum of weights) ** 2 / sum of weights ** 2, over clicks; 0 where no click has a weight.

    Args:
        clicks: how many clicks have each weight, (entries,).
        weights: the whole weight of a click, (entries,).

    Source: Kish, Survey Sampling, 1965, section 11.7.
    """
    squares = float((clicks * weights**2).sum())
    return float((clicks * weights).sum()) ** 2 / squares if squares else 0.0


def _logged(runs: Mapping[str, Run], log: ClickLog, propensities: Propensities, max_weight: float | None) -> _Logged:
    kept = log.only({query_id for run in runs.values() for query_id, scores in run.items() if scores})
    query_ids = list(dict.fromkeys(kept.query_ids))
    if len(query_ids) < 2:
        raise DataError(
            f"{len(query_ids)} of the log's {len(set(log.query_ids))} queries are ranked by a run, two are the least; "
            "a run's ids must be those of the log"
        )
    examination = np.array(propensities.examination)
    if kept.positions.max() > len(examination):
        raise DataError(
            f"the log shows position {kept.positions.max()}; the propensities are of positions 1 to {len(examination)}"
        )
    queries, results, pages = kept.query_numbers(), kept.result_numbers(), kept.pages()
    impressions = sums_by(results, kept.impressions)[results]
    inverse = pages[queries] / impressions / examination[kept.positions - 1]
    weights = inverse if max_weight is None else np.minimum(inverse, max_weight)
    return _Logged(kept, query_ids, queries, weights, weights == inverse, pages)


def _ranks(run: Run, logged: _Logged, depth: int) -> dict[tuple[str, str], int]:
    """Ranks from 0 of what the run shows, by query and document."""
    return {
        (query_id, doc_id): rank
        for query_id in logged.query_ids
        for rank, doc_id in enumerate(ranking(run.get(query_id, {}))[:depth])
    }


def _value(
    name: str, ranks: Mapping[tuple[str, str], int], logged: _Logged, examination: Figures, first: Figures | None,
    settings: CounterfactualSettings,
) -> tuple[RankingValue, Figures]:  # fmt: skip
    """One ranking's value, and its weighted clicks by query; ``first`` are those of the first ranking."""
    log, queries, pages = logged.log, logged.queries, logged.pages
    keys = zip(log.query_ids, log.doc_ids, strict=True)
    examined = np.append(examination, 0.0)[[ranks.get(key, -1) for key in keys]]
    weighted = log.clicks * logged.weights * examined
    sums = sums_by(queries, weighted)
    effective = effective_sample_size(log.clicks, logged.weights * examined)
    clicks = int(log.clicks[examined > 0].sum())
    facts: dict[str, Any] = {
        "name": name,
        "clicks": clicks,
        "effective_clicks": effective,
        "covered": _covered(ranks, logged, examination),
        "cut": float(log.clicks[(examined > 0) & ~logged.whole].sum() / max(1, clicks)),
    }
    if effective < settings.min_effective_clicks or not clicks:
        reason = (
            f"REFUSED: effective sample size {effective:.1f} of {clicks:,} logged clicks on its results; "
            f"{settings.min_effective_clicks:g} are needed"
        )
        refused = RankingValue(
            clicks_per_page=None, reach=None, over_logged=None, over_first=None, refusal=reason, **facts
        )
        return refused, sums

    def a_page(parts: Figures) -> Interval:
        return ratio_interval(parts, pages, settings.resamples, settings.seed)

    clicks_per_page, reach = ips_and_snips(log.clicks, logged.weights, examined, queries, pages, settings)
    value = RankingValue(
        clicks_per_page=clicks_per_page,
        reach=reach,
        over_logged=a_page(sums - sums_by(queries, log.clicks)),
        over_first=None if first is None else a_page(sums - first),
        **facts,
    )
    return value, sums


def _covered(ranks: Mapping[tuple[str, str], int], logged: _Logged, examination: Figures) -> float:
    shown = set(zip(logged.log.query_ids, logged.log.doc_ids, strict=True))
    pages = dict(zip(logged.query_ids, logged.pages.tolist(), strict=True))
    examined = {key: pages[key[0]] * float(examination[rank]) for key, rank in ranks.items()}
    total = sum(examined.values())
    return sum(value for key, value in examined.items() if key in shown) / total if total else 0.0
