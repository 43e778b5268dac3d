"""IPS and SNIPS against numbers by hand, and against the truth of logs that were simulated."""

import numpy as np
import pytest

from distill.collections.collection import DataError
from distill.evaluation.click_log import ClickLog
from distill.evaluation.counterfactual import (
    CounterfactualSettings,
    counterfactual,
    effective_sample_size,
    ips_and_snips,
)
from distill.evaluation.propensities import Propensities

HALVES = Propensities((1.0, 0.5, 0.25), "by hand", "nothing")
ANY = CounterfactualSettings(min_effective_clicks=0, resamples=50)
# q1 shows a, b, c on each of 8 pages; q2 shows a on 4 pages and, below it, b on 3 of them and c on 1
LOG = [
    ("q1", "a", 1, 8, 4), ("q1", "b", 2, 8, 2), ("q1", "c", 3, 8, 1),
    ("q2", "a", 1, 4, 0), ("q2", "b", 2, 3, 1), ("q2", "c", 2, 1, 1),
]  # fmt: skip
LOGGED = {"q1": {"a": 3.0, "b": 2.0, "c": 1.0}, "q2": {"a": 3.0, "b": 2.0}}
REVERSED = {"q1": {"c": 3.0, "b": 2.0, "a": 1.0}, "q2": {"c": 3.0, "b": 2.0, "z": 1.0}}


def log_of(rows):
    columns = list(zip(*rows, strict=True))
    numbers = (np.array(column, dtype=np.int64) for column in columns[2:])
    return ClickLog(list(columns[0]), list(columns[1]), *numbers, lines=len(rows))


def value(run, log=None, propensities=HALVES, settings=ANY):
    return counterfactual({"run": run}, log or log_of(LOG), propensities, settings).rankings[0]


def test_both_estimates_by_hand():
    found = counterfactual({"reversed": REVERSED}, log_of(LOG), HALVES, ANY)
    # q1: c's click at .25 counts 4, now read for certain: 4; b stays: 2 * 1; a's four count 1, now read in a quarter: 1
    # q2: c was shown on one page of four at .5: 8; b on three of four, at .5, now too: 4 / 3
    read = 4 + 2 + 1 + 8 + 4 / 3
    # what all of that attraction comes to where everything is read: b's two clicks and q2's b count twice as much
    attracted = 4 + 4 + 4 + 8 + 8 / 3
    ranking = found.rankings[0]
    assert ranking.clicks_per_page.mean == pytest.approx(read / 12)
    assert ranking.reach.mean == pytest.approx(read / attracted)
    assert found.logged_clicks_per_page.mean == pytest.approx(9 / 12)
    assert ranking.over_logged.mean == pytest.approx((read - 9) / 12)
    # squares of the clicks' weights: 4, 1 and 1, four of 1/4, 8, 4/3
    assert ranking.effective_clicks == pytest.approx(read**2 / (16 + 2 + 4 / 16 + 64 + 16 / 9))
    # the log never showed z: q1 is covered, of q2's 1.75 only 1.5
    assert ranking.covered == pytest.approx((8 * 1.75 + 4 * 1.5) / (12 * 1.75))
    assert (ranking.clicks, ranking.over_first, ranking.cut) == (9, None, 0.0)
    assert (found.queries, found.left_out, found.pages, found.clicks, found.depth) == (2, 0, 12, 9, 3)


def test_what_was_logged_is_worth_what_it_earned():
    pages = [("q1", "a", 1, 8, 4), ("q1", "b", 2, 8, 3), ("q2", "a", 1, 4, 2), ("q2", "b", 2, 4, 0)]
    found = value(LOGGED, log_of(pages))
    assert found.clicks_per_page.mean == pytest.approx(9 / 12)
    assert (found.over_logged.low, found.over_logged.high) == pytest.approx((0, 0))
    assert (found.effective_clicks, found.covered) == pytest.approx((9, 1 - 8 * 0.25 / (8 * 1.75 + 4 * 1.5)))


def test_a_cut_weight_is_cut_in_both():
    found = value(REVERSED, settings=CounterfactualSettings(max_weight=2, min_effective_clicks=0, resamples=50))
    # q1's c counts 2 instead of 4, q2's c 2 instead of 8 and b 2 instead of 8 / 3: three of nine clicks
    assert found.clicks_per_page.mean == pytest.approx((2 + 2 + 1 + 2 + 1) / 12)
    assert found.reach.mean == pytest.approx((2 + 2 + 1 + 2 + 1) / (2 + 4 + 4 + 2 + 2))
    assert found.cut == pytest.approx(3 / 9)


def test_depth_cuts_what_is_shown():
    found = value(REVERSED, settings=CounterfactualSettings(depth=1, min_effective_clicks=0, resamples=50))
    assert found.clicks_per_page.mean == pytest.approx((4 + 8) / 12)
    assert (found.clicks, found.covered) == (2, 1.0)


def test_only_queries_that_a_run_ranks_count_and_a_run_that_lacks_one_earns_nothing():
    log = log_of([*LOG, ("q3", "a", 9, 100, 50)])
    found = counterfactual({"both": LOGGED, "one": {"q1": LOGGED["q1"], "q2": {}}}, log, HALVES, ANY)
    assert (found.queries, found.left_out, found.pages) == (2, 1, 12)
    assert found.rankings[1].clicks_per_page.mean == pytest.approx(7 / 12)
    # q2's b: 4 / 3 for both runs' one query more
    assert found.rankings[1].over_first.mean == pytest.approx(-(4 / 3) / 12)


def test_kish_by_hand():
    # (1 + 1 + 2) ** 2 / (1 + 1 + 4); equal weights are worth their number
    assert effective_sample_size(np.array([2, 1]), np.array([1.0, 2.0])) == pytest.approx(16 / 6)
    assert effective_sample_size(np.array([7, 0]), np.array([0.3, 9.0])) == pytest.approx(7)
    assert effective_sample_size(np.array([0]), np.array([1.0])) == 0


def simulated(generator, pages, shuffle):
    """A log of position-based users over 12 queries of 6 documents, 4 shown; and what a new ranking would earn."""
    truth = np.array([1.0, 0.5, 0.3, 0.2])
    attraction = generator.random((12, 6))
    run = {f"q{q}": {f"d{d}": float(generator.random()) for d in range(6)} for q in range(12)}
    rows, pages_of, earned, attracted = {}, np.bincount(generator.integers(12, size=pages), minlength=12), 0.0, 0.0
    for q, count in enumerate(pages_of.tolist()):
        for _ in range(count):
            order = generator.permutation(6) if shuffle else np.arange(6)
            for place, d in enumerate(order[:4].tolist()):
                entry = rows.setdefault((f"q{q}", f"d{d}", place + 1), [0, 0])
                entry[0] += 1
                entry[1] += generator.random() < truth[place] * attraction[q, d]
        new = sorted(range(6), key=lambda d: -run[f"q{q}"][f"d{d}"])[:4]
        logged = range(6) if shuffle else range(4)
        earned += count * sum(truth[place] * attraction[q, d] for place, d in enumerate(new) if d in logged)
        attracted += count * sum(attraction[q, d] for d in logged)
    log = log_of([(*key, *entry) for key, entry in sorted(rows.items())])
    return run, log, Propensities(tuple(truth.tolist()), "", ""), earned / pages, earned / attracted


@pytest.mark.parametrize("shuffle", [True, False])
def test_estimates_are_right_on_average(shuffle):
    generator = np.random.default_rng(0)
    errors = []
    for _ in range(60):
        run, log, propensities, clicks, reach = simulated(generator, 120, shuffle)
        found = value(run, log, propensities, CounterfactualSettings(min_effective_clicks=0, resamples=2))
        errors.append((found.clicks_per_page.mean / clicks - 1, found.reach.mean / reach - 1))
    bias, error = np.mean(errors, axis=0), np.std(errors, axis=0) / np.sqrt(len(errors))
    assert (np.abs(bias) < 3 * error).all()
    assert (error < 0.03).all()


def test_intervals_hold_the_truth_of_most_logs():
    generator = np.random.default_rng(1)
    held = 0
    for _ in range(60):
        run, log, propensities, clicks, _ = simulated(generator, 600, shuffle=True)
        found = value(run, log, propensities, CounterfactualSettings(resamples=200)).clicks_per_page
        held += found.low <= clicks <= found.high
    # queries are fixed here and drawn in the interval, so it is wider than these logs need
    assert held >= 54


def test_a_constant_on_every_examination_shifts_snips_by_it_and_a_factor_on_weights_leaves_it():
    generator = np.random.default_rng(2)
    clicks, queries = generator.integers(0, 5, 300), generator.integers(0, 20, 300)
    weights, examined, pages = 1 / generator.uniform(0.1, 1, 300), generator.random(300), np.full(20, 50.0)
    settings = CounterfactualSettings(resamples=100)

    def snips(weights, examined):
        return ips_and_snips(clicks, weights, examined, queries, pages, settings)[1]

    plain, shifted, scaled = snips(weights, examined), snips(weights, examined + 0.25), snips(3 * weights, examined)
    for part in ("low", "mean", "high"):
        assert getattr(shifted, part) == pytest.approx(getattr(plain, part) + 0.25, abs=1e-12)
        assert getattr(scaled, part) == pytest.approx(getattr(plain, part), abs=1e-12)


def test_a_factor_on_all_propensities_leaves_ips():
    smaller = Propensities((0.5, 0.25, 0.125), "by hand", "nothing")
    there, back = value(REVERSED), value(REVERSED, propensities=smaller)
    assert there.clicks_per_page == back.clicks_per_page


def test_too_few_effective_clicks_are_refused_and_say_so():
    found = counterfactual({"a": LOGGED, "b": REVERSED}, log_of(LOG), HALVES, CounterfactualSettings())
    for ranking in found.rankings:
        figures = (ranking.clicks_per_page, ranking.reach, ranking.over_logged, ranking.over_first)
        assert figures == (None,) * 4
        assert ranking.refusal.startswith("REFUSED: effective sample size ")
        assert ranking.refusal.endswith(" logged clicks on its results; 100 are needed")
        assert "\n" not in ranking.refusal


def test_a_ranking_without_a_logged_click_is_refused_at_any_threshold():
    found = value({"q1": {"z": 1.0}, "q2": {"z": 1.0}})
    assert found.refusal.startswith("REFUSED: effective sample size 0.0 of 0 logged clicks")
    assert found.covered == 0


def test_the_difference_to_a_refused_first_run_is_not_given():
    found = counterfactual({"none": {"q1": {"z": 1.0}}, "reversed": REVERSED}, log_of(LOG), HALVES, ANY)
    assert found.rankings[0].refusal
    assert found.rankings[1].over_first is None
    assert found.rankings[1].clicks_per_page is not None


def clickless():
    return log_of([(*row[:4], 0) for row in LOG])


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: value({"q1": {"a": 1.0}}), "1 of the log's 2 queries are ranked by a run"),
        (lambda: value({"other": {"a": 1.0}}), "0 of the log's 2 queries .* ids must be those of the log"),
        (lambda: value(LOGGED, clickless()), "the 2 logged queries that a run ranks have no click"),
        (lambda: value(LOGGED, propensities=Propensities((1.0, 0.5), "", "")), "shows position 3; .* positions 1 to 2"),
        (lambda: value(LOGGED, settings=CounterfactualSettings(depth=4)), "depth 4; there are propensities for 3"),
        (lambda: CounterfactualSettings(depth=0), "depth must be at least 1"),
        (lambda: CounterfactualSettings(max_weight=0.5), "largest weight must be at least 1, got 0.5"),
    ],
)
def test_what_has_no_answer_is_refused(call, said):
    with pytest.raises((DataError, ValueError), match=said):
        call()
