"""Team drafts enumerated by hand, and simulations against exact sums over coins, clicks and queries."""

from itertools import product

import numpy as np
import pytest
from scipy import stats

from distill.collections.collection import DataError
from distill.evaluation.click_models import CascadeModel, click_model
from distill.evaluation.interleaving import (
    InterleavingSettings,
    pages,
    sensitivity,
    sessions_needed,
    simulate_interleaving,
    team_draft,
)

QUICK = InterleavingSettings(sessions=40_000, depth=3, sizes=(), experiments=1)
# grades 0 to 2; A ranks a, b, c, d and B ranks b, d, e, a
RUN_A = {"q1": {"a": 4.0, "b": 3.0, "c": 2.0, "d": 1.0}, "q2": {"x": 2.0, "y": 1.0}}
RUN_B = {"q1": {"b": 4.0, "d": 3.0, "e": 2.0, "a": 1.0}, "q2": {"y": 2.0, "x": 1.0}}
QRELS = {"q1": {"a": 1, "d": 2, "e": -1}, "q2": {"y": 1}}


def drafted(first, second, coins, length):
    """A page at a time as Radlinski writes it, but for its end: (document, team) from the top."""
    page, teams, coins = [], {"A": [], "B": []}, iter(coins)
    while len(page) < length:
        free = {team: [document for document in ranked if document not in page]
                for team, ranked in (("A", first), ("B", second))}  # fmt: skip
        if len(teams["A"]) == len(teams["B"]):
            a_begins = next(coins)
            if not all(free.values()) or free["A"] == free["B"][:1] or free["B"] == free["A"][:1]:
                break
        team = "A" if len(teams["A"]) < len(teams["B"]) or (len(teams["A"]) == len(teams["B"]) and a_begins) else "B"
        teams[team].append(free[team][0])
        page.append(free[team][0])
    return [(document, "A" if document in teams["A"] else "B") for document in page]


def shown(page, by_second):
    return [
        [(int(document), "B" if second else "A") for document, second in zip(*row, strict=True) if document >= 0]
        for row in zip(page, by_second, strict=True)
    ]


def test_drafts_by_hand():
    # A ranks 0 1 2 3, B ranks 1 3 4 0; coins say who begins the rounds of places 1 and 3
    first, second = np.array([[0, 1, 2, 3]] * 4), np.array([[1, 3, 4, 0]] * 4)
    coins = np.array([[True, True], [True, False], [False, True], [False, False]])
    assert shown(*team_draft(first, second, coins)) == [
        [(0, "A"), (1, "B"), (2, "A"), (3, "B")],
        [(0, "A"), (1, "B"), (3, "B"), (2, "A")],
        [(1, "B"), (0, "A"), (2, "A"), (3, "B")],
        [(1, "B"), (0, "A"), (3, "B"), (2, "A")],
    ]


def test_drafts_are_those_of_one_page_at_a_time():
    generator = np.random.default_rng(0)
    for _ in range(300):
        lengths = generator.integers(1, 7, size=2)
        ranked = [generator.permutation(8)[:length].tolist() for length in lengths]
        first, second = (np.array([documents + [-1] * (6 - len(documents))]) for documents in ranked)
        coins = generator.random((1, 3)) < 0.5
        assert shown(*team_draft(first, second, coins)) == [drafted(*ranked, coins[0], 6)]


def test_a_shorter_list_gets_no_pick_more():
    # B can complete the first round and the second, if A does not begin it: so the second is not played
    first, second = np.array([[0, 1, 2, 3]] * 2), np.array([[3, 0, -1, -1]] * 2)
    assert shown(*team_draft(first, second, np.array([[True, True], [False, True]]))) == [
        [(0, "A"), (3, "B")], [(3, "B"), (0, "A")],
    ]  # fmt: skip


def test_swapped_rankings_and_coins_give_the_same_pages_and_the_other_team():
    generator = np.random.default_rng(1)
    first, second = (np.argsort(generator.random((500, 9)), axis=1)[:, :5] for _ in range(2))
    coins = generator.random((500, 3)) < 0.5
    page, by_second = team_draft(first, second, coins)
    mirrored, by_first = team_draft(second, first, ~coins)
    assert (page == mirrored).all()
    assert ((by_second != by_first) == (page >= 0)).all()


def exact_outcomes(model, depth):
    """Probabilities that A wins and that B wins a session, over all queries, coins and clicks."""
    wins = np.zeros(2)
    for query_id, grades in QRELS.items():
        ranked = [sorted(run[query_id], key=run[query_id].get, reverse=True)[:depth] for run in (RUN_A, RUN_B)]
        for coins in product((True, False), repeat=2):
            page = drafted(*ranked, coins, depth)
            outcomes = {(0, True): 1.0}  # by B's lead and whether the user still reads
            for document, team in page:
                grade = max(0, grades.get(document, 0))
                after = {}
                for (lead, reading), chance in outcomes.items():
                    click = model.click[grade] if reading else 0.0
                    step = 1 if team == "B" else -1
                    for key, weight in (
                        ((lead, reading), 1 - click),
                        ((lead + step, False), click * model.stop[grade]),
                        ((lead + step, True), click * (1 - model.stop[grade])),
                    ):
                        after[key] = after.get(key, 0.0) + chance * weight
                outcomes = after
            for (lead, _), chance in outcomes.items():
                wins += np.array([lead < 0, lead > 0]) * chance / 4 / len(QRELS)
    return wins


@pytest.mark.parametrize("name", ["perfect", "navigational", "informational"])
def test_simulated_wins_come_as_often_as_exact_ones(name):
    model = click_model(name, 2)
    expected = exact_outcomes(model, QUICK.depth)
    found = simulate_interleaving(pages(RUN_A, RUN_B, QRELS, QUICK.depth), model, QUICK)
    error = np.sqrt(expected * (1 - expected) / QUICK.sessions)
    rates = np.array([found.wins_first, found.wins_second]) / QUICK.sessions
    assert (np.abs(rates - expected) < 4 * error).all()
    assert found.wins_first + found.wins_second + found.ties == found.sessions
    assert found.preference.mean == pytest.approx(found.wins_second / (found.wins_first + found.wins_second))
    assert found.simulation


def test_swapping_the_runs_mirrors_the_preference():
    model = click_model("informational", 2)
    there = simulate_interleaving(pages(RUN_A, RUN_B, QRELS, 3), model, QUICK)
    back = simulate_interleaving(pages(RUN_B, RUN_A, QRELS, 3), model, QUICK)
    error = 0.5 / np.sqrt(QUICK.sessions / 2)
    assert there.preference.mean == pytest.approx(1 - back.preference.mean, abs=5 * error)
    assert (there.clicks_first, there.clicks_second) == pytest.approx((back.clicks_second, back.clicks_first))


def test_a_ranking_is_preferred_to_itself_in_one_of_twenty_comparisons():
    generator = np.random.default_rng(2)
    run = {"q": {f"d{d}": float(score) for d, score in enumerate(generator.random(12))}}
    qrels = {"q": {"d1": 1, "d4": 1, "d9": 0}}
    same, model = pages(run, run, qrels, 10), click_model("informational", 1)
    settings = [InterleavingSettings(sessions=300, seed=seed, sizes=()) for seed in range(1_000)]
    found = [simulate_interleaving(same, model, one).p_value for one in settings]
    # an exact test keeps a little below: 1,000 comparisons tell 2.9 % from 7.1 %
    assert 0.029 <= np.mean(np.array(found) < 0.05) <= 0.071


def test_random_clicks_prefer_no_one_although_one_list_is_longer():
    run_a = {"q": {f"d{n}": float(-n) for n in range(10)}}
    run_b = {"q": {"d8": 2.0, "e": 1.0}}
    found = simulate_interleaving(
        pages(run_a, run_b, {"q": {"d0": 0}}, 10), CascadeModel("random", (0.5,), (0.0,)), InterleavingSettings(20_000)
    )
    assert found.p_value > 0.001
    assert found.sessions_needed is None or found.p_value < 0.05


def test_expected_clicks_alone_are_the_models():
    found = simulate_interleaving(pages(RUN_A, RUN_B, QRELS, 3), click_model("perfect", 2), QUICK)
    # perfect users click half of grade 1 and all of grade 2: A shows a, b, c and x, y; B shows b, d, e and y, x
    assert (found.clicks_first, found.clicks_second) == pytest.approx(((0.5 + 0.5) / 2, (1 + 0.5) / 2))


def test_without_a_click_no_one_wins():
    nobody = CascadeModel("nobody", (0.0, 0.0, 0.0), (0.0, 0.0, 0.0))
    found = simulate_interleaving(pages(RUN_A, RUN_B, QRELS, 3), nobody, InterleavingSettings(100, sizes=(10,)))
    assert (found.ties, found.preference, found.preference_over_queries, found.p_value) == (100, None, None, 1.0)
    assert (found.sensitivity[0].found, found.sessions_needed) == (0.0, None)


def test_seeds_repeat_and_differ():
    shown_pages, model = pages(RUN_A, RUN_B, QRELS, 3), click_model("informational", 2)
    once, again, other = (
        simulate_interleaving(shown_pages, model, InterleavingSettings(1_000, seed=seed)) for seed in (1, 1, 2)
    )
    assert once == again != other


def test_sensitivity_is_the_power_of_scipys_test():
    # all sessions have a winner, so that an experiment of 50 is one binomial draw
    power = sum(
        stats.binom.pmf(won, 50, 0.7)
        for won in range(51)
        if stats.binomtest(won, 50).pvalue < 0.05 and won > 25
    )  # fmt: skip
    assert sensitivity(0.3, 0.7, 50, 40_000, np.random.default_rng(0)) == pytest.approx(power, abs=0.01)


@pytest.mark.parametrize(("lost", "won"), [(0.24, 0.26), (0.3, 0.2), (0.05, 0.06), (0.01, 0.6)])
def test_so_many_sessions_find_the_better_one_four_times_in_five(lost, won):
    needed = sessions_needed(lost, won)
    assert sensitivity(lost, won, needed, 20_000, np.random.default_rng(0)) == pytest.approx(0.8, abs=0.06)
    share = max(lost, won) / (lost + won)
    if share < 0.7:  # the textbook's normal approximation of the sign test
        spread = 1.96 / 2 + 0.8416 * np.sqrt(share * (1 - share))
        assert needed * (lost + won) == pytest.approx((spread / (share - 0.5)) ** 2, rel=0.06)


def test_no_number_of_sessions_finds_what_is_not_there():
    assert sessions_needed(0.3, 0.3) is None
    assert sessions_needed(0.3, 0.3 + 1e-9) is None


def test_pages_hold_grades_and_count_what_is_judged():
    made = pages(RUN_A, {"q1": RUN_B["q1"]}, QRELS, 2)
    # q1: a, b and b, d; q2: x, y and nothing
    assert made.first.tolist() == [[0, 1], [0, 1]]
    assert made.second.tolist() == [[1, 2], [-1, -1]]
    assert made.grades.tolist() == [[1, 0, 2, -1, -1], [0, 1, -1, -1, -1]]
    assert (made.answered, made.judged_first, made.judged_second) == (1, 2 / 4, 1 / 2)
    # a grade below 0 is a document of grade 0, not an empty place
    spam = {"q": {"e": 1.0}}
    assert pages(spam, spam, {"q": {"e": -1}}, 1).grades.tolist() == [[0, -1, -1]]


def test_a_query_of_one_run_alone_is_a_tie():
    found = simulate_interleaving(pages({"q2": RUN_A["q2"], "q1": RUN_A["q1"]}, {"q2": RUN_B["q2"]}, QRELS, 3),
                                  CascadeModel("all", (1.0,) * 3, (1.0,) * 3), InterleavingSettings(1_000))  # fmt: skip
    assert 400 < found.ties < 600


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: pages(RUN_A, RUN_B, {}, 10), "no judged query"),
        (lambda: pages(RUN_A, {"q1": {}}, QRELS, 10), "none of the 2 judged queries has results in both"),
        (lambda: InterleavingSettings(sessions=0), "sessions must be at least 1"),
        (lambda: InterleavingSettings(sizes=(0,)), "at least one session, got 0"),
        (lambda: simulate_interleaving(pages(RUN_A, RUN_B, QRELS, 3), click_model("perfect", 1)), "knows 0 to 1"),
    ],
)
def test_what_cannot_be_simulated_is_refused(call, said):
    with pytest.raises((DataError, ValueError), match=said):
        call()
