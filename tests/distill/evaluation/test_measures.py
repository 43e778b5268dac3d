"""Measures, held against numbers worked out by hand."""

from math import exp, log, log2

import pytest

from distill.collections.collection import DataError
from distill.evaluation.measures import (
    candidate_recall,
    check_measures,
    evaluate,
    is_mean,
    mean_measures,
    with_judged_share,
)

QRELS = {"q1": {"a": 1, "b": 2, "z": 1}, "q2": {"a": 1}, "q3": {"b": 0}}
# q1 is ranked c, b, a; q2 finds nothing; q3 has no relevant document; q9 is not judged.
RUN = {"q1": {"a": 1.0, "b": 2.0, "c": 3.0}, "q2": {"c": 1.0}, "q3": {"b": 1.0}, "q9": {"a": 1.0}}


@pytest.mark.parametrize(
    ("measure", "expected"),
    [
        # gains 2 at rank 2 and 1 at rank 3, over the ideal 2, 1, 1
        ("nDCG@10", (2 / log2(3) + 1 / log2(4)) / (2 + 1 / log2(3) + 1 / log2(4))),
        ("nDCG@2", (2 / log2(3)) / (2 + 1 / log2(3))),
        ("RR@10", 1 / 2),
        ("RR@1", 0.0),
        ("RR", 1 / 2),
        ("AP", (1 / 2 + 2 / 3) / 3),
        ("AP@2", (1 / 2) / 3),
        ("R@2", 1 / 3),
        ("R@50", 2 / 3),
        ("P@2", 1 / 2),
        ("Success@1", 0.0),
        ("Success@2", 1.0),
        ("ndcg_cut_2", (2 / log2(3)) / (2 + 1 / log2(3))),
        ("map", (1 / 2 + 2 / 3) / 3),
        ("recall_2", 1 / 3),
        ("set_recall", 2 / 3),
        # the best precision from half of the relevant documents on: 2 of 3
        ("iprec_at_recall_0.5", 2 / 3),
        ("iprec_at_recall_1", 0.0),
        # 2 of the 3 that could be
        ("relative_P_3", 2 / 3),
        # c has no judgment, a and b have; the list has three documents
        ("judged@1", 0.0),
        ("judged@2", 1 / 2),
        ("Judged@3", 2 / 3),
        ("judged@10", 2 / 3),
    ],
)
def test_measures_by_hand(measure, expected):
    rows = evaluate(RUN, QRELS, [measure])
    assert rows["q1"] == {measure: pytest.approx(expected)}
    assert rows["q2"] == {measure: 0.0}
    # b is judged, if not relevant
    assert rows["q3"] == {measure: 1.0 if measure.lower().startswith("judged") else 0.0}


def test_case_of_our_own_names_does_not_matter():
    rows = evaluate(RUN, QRELS, ["ndcg@10", "nDCG@10"])
    assert rows["q1"]["ndcg@10"] == rows["q1"]["nDCG@10"]


def test_all_judged_queries_count_and_no_others():
    rows = evaluate({"q1": RUN["q1"], "q2": {}, "q9": {"a": 1.0}}, QRELS, ["AP", "RR@10"])
    assert list(rows) == ["q1", "q2", "q3"]
    assert rows["q2"] == rows["q3"] == {"AP": 0.0, "RR@10": 0.0}
    assert mean_measures(rows) == {"AP": pytest.approx(rows["q1"]["AP"] / 3), "RR@10": pytest.approx(0.5 / 3)}


def test_ties_go_by_document_id_descending_also_at_a_cut():
    # a, b and c are tied: c, b, a is trec_eval's order
    rows = evaluate({"q": {"a": 1.0, "b": 1.0, "c": 1.0}}, {"q": {"a": 1}}, ["RR", "RR@2", "RR@3"])
    assert rows["q"] == pytest.approx({"RR": 1 / 3, "RR@2": 0.0, "RR@3": 1 / 3})


def test_a_judgment_of_any_grade_is_one_and_ties_are_cut_as_trec_eval_orders_them():
    # all tied, so the order is c, b, a
    rows = evaluate({"q": {"a": 1.0, "b": 1.0, "c": 1.0}}, {"q": {"a": 1, "b": 0, "c": -2}}, ["judged@2"])
    assert rows["q"] == {"judged@2": 1.0}
    rows = evaluate({"q": {"a": 1.0, "b": 1.0, "c": 1.0}}, {"q": {"a": 1}}, ["judged@2", "judged@3"])
    assert rows["q"] == pytest.approx({"judged@2": 0.0, "judged@3": 1 / 3})


def test_a_query_whose_documents_are_all_far_below_zero_scores_nothing():
    """TREC's Web Track judges junk -2; trec_eval itself crashes where a query has nothing else."""
    qrels = {"q1": {"d1": 1}, "q2": {"d2": -2, "d3": -5}}
    rows = evaluate({"q1": {"d1": 1.0}, "q2": {"d2": 1.0}}, qrels, ["nDCG@10", "AP", "bpref"])
    assert rows["q2"] == {"nDCG@10": 0.0, "AP": 0.0, "bpref": 0.0}
    assert rows["q1"] == pytest.approx({"nDCG@10": 1.0, "AP": 1.0, "bpref": 1.0})


def test_the_judged_share_stands_behind_each_cut_ndcg():
    measures = ["nDCG@10", "AP", "nDCG", "ndcg_cut_5", "judged@5"]
    assert with_judged_share(measures) == ["nDCG@10", "judged@10", "AP", "nDCG", "ndcg_cut_5", "judged@5"]


def test_what_trec_eval_sums_or_multiplies_is_no_mean():
    # two queries: AP of 1/4 and none at all, which counts as the least average precision
    qrels = {"q1": {"d": 1}, "q2": {"d": 1, "e": 2, "f": 0}, "q3": {"a": 0}}
    run = {"q1": {"d": 1.0, "a": 4.0, "b": 3.0, "c": 2.0}, "q3": {"a": 1.0}}
    means = mean_measures(evaluate(run, qrels, ["map", "gm_map", "num_q", "num_rel", "num_ret", "num_rel_ret"]))
    assert means == pytest.approx(
        {
            "map": (1 / 4) / 3, "gm_map": exp((log(1 / 4) + 2 * log(1e-5)) / 3), "num_q": 3, "num_rel": 3,
            "num_ret": 5, "num_rel_ret": 1,
        }
    )  # fmt: skip
    assert [name for name in means if is_mean(name)] == ["map"]


def test_a_query_without_documents_is_one_that_the_run_lacks():
    names = ["11pt_avg", "iprec_at_recall_0.00", "judged@5", "nDCG@5", "RR@5"]
    assert evaluate({"q1": {}}, {"q1": {"a": 1}}, names) == evaluate({}, {"q1": {"a": 1}}, names)
    assert set(evaluate({"q1": {}}, {"q1": {"a": 1}}, names)["q1"].values()) == {0.0}


def test_an_id_that_trec_eval_would_cut_short_is_refused():
    with pytest.raises(DataError, match=r"the run: query 'q1': an id with a NUL"):
        evaluate({"q1": {"a": 1.0, "b\0c": 2.0}}, QRELS, ["AP"])
    with pytest.raises(DataError, match="the judgments: query 'q1': an id with a NUL"):
        evaluate({}, {"q1": {"b\0c": 1}}, ["AP"])


def test_candidate_recall_counts_relevant_candidates_at_any_depth():
    deep = {"q1": {f"x{i}": float(i) for i in range(2000)} | {"z": -1.0}}
    # q1 holds one of three, q2 none of one, q3 has none to find
    assert candidate_recall(deep, QRELS) == pytest.approx((1 / 3) / 3)


@pytest.mark.parametrize(
    "measure", ["nDCG@0", "ndcg_cut_0", "ndcg_cut_-1", "ndcg_cut", "nDGC@10", "R", "P", "AP@ten", "runid",
                "relstring", "", "judged", "judged@0", "nDCG@1000000000", "iprec_at_recall", "iprec_at_recall_1.1",
                "iprec_at_recall_0.123", "Rprec_mult_0", "P_9999999999", "set_F_2", "prefs_simp"]
)  # fmt: skip
def test_an_unknown_measure_is_refused_with_what_is_accepted(measure):
    with pytest.raises(DataError, match=r"accepted are nDCG@k"):
        evaluate(RUN, QRELS, [measure])


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("nDCG@10", "ndcg@10"), ("nDCG@10", "ndcg_cut_10"), ("AP", "map"), ("AP@5", "map_cut_5"), ("RR", "recip_rank"),
        ("RR@10", "rr@10"), ("R@50", "recall_50"), ("judged@5", "Judged@5"),
        ("iprec_at_recall_0.5", "iprec_at_recall_0.50"),
    ],
)  # fmt: skip
def test_two_spellings_of_one_measure_are_the_same_measure(first, second):
    rows = evaluate(RUN, QRELS, [first, second])
    assert [row[first] for row in rows.values()] == [row[second] for row in rows.values()]
    with pytest.raises(DataError, match=rf"measure '{second}' is named twice, first as '{first}'$"):
        check_measures(["P@1", first, "P@2", second])
    check_measures(["P@1", first, "P@2"])


def test_without_judgments_there_is_no_figure():
    with pytest.raises(DataError, match="no judged query"):
        evaluate(RUN, {}, ["AP"])
    with pytest.raises(DataError, match="no query to take a mean over"):
        mean_measures({})
