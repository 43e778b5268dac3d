"""Our figures against trec_eval's: called directly, through its own program where there is one, and written anew."""

import random
import shutil
import subprocess
from math import log2
from pathlib import Path

import numpy as np
import pytest
import pytrec_eval

from distill.collections.beir import read_beir
from distill.collections.trec import write_qrels, write_run
from distill.evaluation.measures import evaluate, mean_measures
from distill.first_stage import bm25_run

CUTS = (1, 3, 5, 10, 100)
# our names, and trec_eval's
SAME = {
    "AP": "map", "nDCG": "ndcg", "RR": "recip_rank", "11pt_avg": "11pt_avg",
    **{f"{ours}@{k}": f"{theirs}_{k}" for k in CUTS for ours, theirs in (
        ("nDCG", "ndcg_cut"), ("AP", "map_cut"), ("R", "recall"), ("P", "P"), ("Success", "success"),
        )},
    **{name: name for name in (
        "Rprec", "bpref", "infAP", "set_P", "set_recall", "set_F", "set_map", "set_relative_P", "G", "binG", "Rndcg",
        "ndcg_rel", "utility", "gm_map", "gm_bpref", "num_q", "num_ret", "num_rel", "num_rel_ret",
        "num_nonrel_judged_ret", "ndcg_cut_7", "map_cut_7", "recall_7", "P_7", "success_7", "relative_P_7",
        "relative_P_5", "iprec_at_recall_0.00", "iprec_at_recall_0.35", "iprec_at_recall_1.00", "Rprec_mult_0.20",
        "Rprec_mult_2.00",
        )},
}  # fmt: skip
# those that pytrec_eval cannot tell: texts
NO_NUMBER = {"runid", "relstring"}


def generated(seed, queries=40, documents=30):
    """A run and judgments that share most queries; scores tie, also where only float32 says so."""
    chance = random.Random(seed)
    names = [*(f"d{n}" for n in range(documents - 6)), "D1", "é", "한", "zz", "\U0001f600", "Z-9"]
    levels = [0.0, 1.0, 1.0 + 1e-9, 2.5, -3.0, 1e-40]
    run, qrels = {}, {}
    for n in range(queries):
        listed = chance.sample(names, chance.randint(1, documents))
        run[f"q{n}"] = {doc_id: chance.choice(levels) for doc_id in listed}
        judged = chance.sample(names, chance.randint(1, 12))
        qrels[f"q{n}"] = {doc_id: chance.choice([0, 0, 1, 2, 3, -1]) for doc_id in judged}
    for n in range(3):
        del run[f"q{n}"]
        del qrels[f"q{n + 5}"]
    return run, qrels


def test_every_measure_of_trec_eval_that_is_a_number_is_held_against_it():
    stems = {name.rstrip("0123456789.").rstrip("_") for name in SAME.values()}
    assert stems == pytrec_eval.supported_measures - NO_NUMBER


@pytest.mark.parametrize("seed", range(3))
def test_every_query_has_the_figure_that_trec_eval_gives_it(seed):
    run, qrels = generated(seed)
    ours = evaluate(run, qrels, list(SAME))
    assert ours.keys() == qrels.keys()
    for mine, name in SAME.items():
        theirs = pytrec_eval.RelevanceEvaluator(qrels, {name}).evaluate(run)
        assert theirs.keys() == qrels.keys() & run.keys()
        for query_id, row in theirs.items():
            assert ours[query_id][mine] == pytest.approx(row[name], abs=1e-9), (mine, query_id)


def test_sums_and_geometric_means_are_those_of_trec_eval():
    run, qrels = generated(7)
    qrels = {query_id: judged for query_id, judged in qrels.items() if query_id in run}
    names = ["map", "gm_map", "gm_bpref", "num_q", "num_ret", "num_rel", "num_rel_ret"]
    rows = pytrec_eval.RelevanceEvaluator(qrels, set(names)).evaluate(run)
    theirs = {n: pytrec_eval.compute_aggregated_measure(n, [row[n] for row in rows.values()]) for n in names}
    assert mean_measures(evaluate(run, qrels, names)) == pytest.approx(theirs)


def by_hand(scores, judged, measure, cut):
    """A measure out of its definition: documents in the order of trec_eval, one by one."""
    order = sorted(scores, key=lambda d: (np.float32(scores[d]), d.encode()), reverse=True)[:cut]
    relevant = [judged.get(doc_id, 0) > 0 for doc_id in order]
    total = sum(grade > 0 for grade in judged.values())
    if measure == "judged":
        return sum(doc_id in judged for doc_id in order) / len(order)
    if measure == "P":
        return sum(relevant) / cut
    if measure == "R":
        return sum(relevant) / total if total else 0.0
    if measure == "RR":
        return next((1 / rank for rank, found in enumerate(relevant, start=1) if found), 0.0)
    if measure == "AP":
        found = [sum(relevant[:rank]) / rank for rank in range(1, len(order) + 1) if relevant[rank - 1]]
        return sum(found) / total if total else 0.0
    gain = sum(max(judged.get(doc_id, 0), 0) / log2(rank + 1) for rank, doc_id in enumerate(order, start=1))
    best = sorted((max(grade, 0) for grade in judged.values()), reverse=True)[:cut]
    ideal = sum(grade / log2(rank + 1) for rank, grade in enumerate(best, start=1))
    return gain / ideal if ideal else 0.0


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("measure", ["nDCG", "RR", "AP", "P", "R", "judged"])
def test_figures_are_those_of_a_second_implementation(measure, cut):
    run, qrels = generated(11)
    ours = evaluate(run, qrels, [f"{measure}@{cut}"])
    for query_id, judged in qrels.items():
        expected = by_hand(run[query_id], judged, measure, cut) if query_id in run else 0.0
        assert ours[query_id][f"{measure}@{cut}"] == pytest.approx(expected, abs=1e-9), query_id


def test_the_means_are_those_of_the_program(tmp_path):
    program = shutil.which("trec_eval")
    if program is None:
        pytest.skip("trec_eval's own program is not installed here")
    run, qrels = generated(13)
    compare_with_program(program, run, qrels, tmp_path)


@pytest.mark.parametrize("name", ["wikiqa", "cranfield"])
def test_on_a_judged_collection_the_figures_are_trec_eval_s(name, tmp_path):
    folder = Path(__file__).parents[4] / "shared" / "data" / name
    if not folder.is_dir():
        pytest.skip("the judged collections for development are not beside this repository")
    collection = read_beir(folder)
    qrels = collection.split("test")
    # rounded scores, for ties
    run = {
        query_id: {doc_id: round(score, 1) for doc_id, score in scores.items()}
        for query_id, scores in bm25_run(collection, qrels, depth=50).items()
    }
    del run[next(iter(run))]
    means = mean_measures(evaluate(run, qrels, list(SAME)))
    for mine, theirs in SAME.items():
        if not theirs.startswith(("gm_", "num_")):
            rows = pytrec_eval.RelevanceEvaluator(qrels, {theirs}).evaluate(run)
            assert means[mine] == pytest.approx(sum(row[theirs] for row in rows.values()) / len(qrels), abs=1e-6), mine
    for measure in ("nDCG", "RR", "AP", "P", "R", "judged"):
        expected = [by_hand(run[q], judged, measure, 10) if q in run else 0.0 for q, judged in qrels.items()]
        found = mean_measures(evaluate(run, qrels, [f"{measure}@10"]))[f"{measure}@10"]
        assert found == pytest.approx(sum(expected) / len(expected), abs=1e-6), measure
    program = shutil.which("trec_eval")
    if program is not None:
        compare_with_program(program, run, qrels, tmp_path)


def compare_with_program(program, run, qrels, folder):
    """Means over all judged queries, to the four digits that trec_eval prints."""
    write_run(run, folder / "a.run")
    write_qrels(qrels, folder / "qrels")
    printed = subprocess.run(
        [program, "-c", "-m", "all_trec", str(folder / "qrels"), str(folder / "a.run")],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    theirs = {line.split()[0]: line.split()[-1] for line in printed.splitlines()}
    shared = {mine: name for mine, name in SAME.items() if name in theirs}
    assert len(shared) > 20
    means = mean_measures(evaluate(run, qrels, list(shared)))
    for mine, name in shared.items():
        assert means[mine] == pytest.approx(float(theirs[name]), abs=6e-5), mine
