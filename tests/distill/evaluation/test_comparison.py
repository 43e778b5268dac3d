"""A comparison of runs: figures are trec_eval's, contrasts are those of one pair tested alone."""

import numpy as np
import pytest

from distill.collections.collection import DataError
from distill.evaluation.comparison import ALL_QUERIES, compare
from distill.evaluation.measures import evaluate
from distill.evaluation.paired import holm, paired
from distill.evaluation.verdict import verdict

MEASURES = ("nDCG@10", "RR@10")


@pytest.fixture(scope="module")
def judged():
    chance = np.random.default_rng(0)
    return {f"q{i:02}": {f"d{j}": int(chance.random() < 0.3) for j in range(8)} for i in range(40)}


@pytest.fixture(scope="module")
def runs(judged):
    """A poor run, a good one, and one between that lacks two queries."""

    def run(noise, seed):
        chance = np.random.default_rng(seed)
        return {q: {d: grade + noise * chance.normal() for d, grade in docs.items()} for q, docs in judged.items()}

    between = run(1.0, 2)
    del between["q00"], between["q39"]
    return {"poor": run(4.0, 1), "between": between, "good": run(0.2, 3)}


@pytest.fixture(scope="module")
def compared(runs, judged):
    return compare(runs, judged, MEASURES, {"odd": frozenset(f"q{i:02}" for i in range(1, 40, 2)), "one": {"q01"}})


def test_each_contrast_is_that_of_the_pair_alone(compared, runs, judged):
    own, other = (
        np.array([row["RR@10"] for row in evaluate(runs[name], judged, MEASURES).values()])
        for name in ("good", "between")
    )
    found, alone = compared.contrast("good", "between", "RR@10"), paired((own - other)[:, None])
    assert (found.system_mean, found.reference_mean) == pytest.approx((own.mean(), other.mean()))
    assert (found.difference, found.low, found.high) == pytest.approx((alone.mean[0], alone.low[0], alone.high[0]))
    assert (found.p_randomisation, found.p_t) == pytest.approx((alone.p_randomisation[0], alone.p_t[0]))
    assert (found.wins, found.ties, found.losses) == (
        sum(a > b for a, b in zip(own, other, strict=True)),
        sum(a == b for a, b in zip(own, other, strict=True)),
        sum(a < b for a, b in zip(own, other, strict=True)),
    )


def test_a_slice_is_the_comparison_of_its_queries_alone(compared, runs, judged):
    odd = {query_id: docs for query_id, docs in judged.items() if int(query_id[1:]) % 2}
    alone = compare(runs, odd, MEASURES).contrast("good", "poor")
    found = compared.contrast("good", "poor", part="odd")
    assert found.queries == 20 and found.small
    assert (found.difference, found.low, found.p_t) == pytest.approx((alone.difference, alone.low, alone.p_t))


def test_holm_counts_all_pairs_measures_and_slices(compared):
    # three pairs, two measures, all queries and one slice: that of a single query is none
    assert len(compared.contrasts) == 3 * 2 * 2
    assert list(compared.slices) == [ALL_QUERIES, "odd"]
    assert [c.p_holm for c in compared.contrasts] == pytest.approx(holm([c.p_t for c in compared.contrasts]))


def test_a_contrast_turned_round_is_its_mirror_image(compared):
    there, back = compared.contrast("good", "poor"), compared.contrast("poor", "good")
    assert (back.difference, back.low, back.high) == (-there.difference, -there.high, -there.low)
    assert (back.wins, back.losses, back.system_mean) == (there.losses, there.wins, there.reference_mean)
    with pytest.raises(KeyError):
        compared.contrast("good", "best")


def test_queries_that_a_run_lacks_are_named_and_count_as_zero(compared):
    assert compared.absent == {"poor": (), "between": ("q00", "q39"), "good": ()}
    assert compared.values["between"]["nDCG@10"][[0, -1]].tolist() == [0.0, 0.0]
    assert compared.mean("between") == pytest.approx(compared.values["between"]["nDCG@10"].mean())


def test_the_verdict_says_which_way_and_how_sure(compared, runs, judged):
    assert verdict(compared, "good", "poor").startswith("good is better than poor: nDCG@10 ")
    assert verdict(compared, "poor", "good").startswith("poor is worse than good: nDCG@10 ")
    assert "after Holm's correction for 12 comparisons" in verdict(compared, "good", "poor")
    same = compare({"a": runs["good"], "b": runs["good"]}, judged, MEASURES)
    assert verdict(same, "b", "a").startswith("No difference is shown between b and a: ")
    assert verdict(same, "b", "a", from_teacher=True).startswith("By a teacher's labels, not people's judgments, no ")


def test_few_queries_are_said_to_prove_little(runs, judged):
    few = {query_id: judged[query_id] for query_id in list(judged)[:20]}
    assert verdict(compare(runs, few, MEASURES), "good", "poor").endswith("fewer than 25 queries prove little.")


def test_what_cannot_be_compared_is_refused(runs, judged):
    with pytest.raises(DataError, match="1 run; a comparison needs at least two"):
        compare({"a": runs["good"]}, judged, MEASURES)
    with pytest.raises(DataError, match="1 judged queries"):
        compare(runs, {"q01": judged["q01"]}, MEASURES)
    with pytest.raises(DataError, match=r"'nDCG@10' is named twice"):
        compare(runs, judged, ["nDCG@10", "nDCG@10"])
    with pytest.raises(DataError, match="slice 'all queries' is there already"):
        compare(runs, judged, MEASURES, {ALL_QUERIES: frozenset()})
