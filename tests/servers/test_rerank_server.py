"""infinity, a server that teams deploy, loads an exported folder unchanged and answers with our scores in our order."""

from __future__ import annotations

import math

import pytest

from tests.servers.rerank_server import InfinityServer, find_server
from tests.servers.students import DOCUMENTS, HUNDRED, QUERIES

pytestmark = pytest.mark.skipif(
    find_server() is None, reason="no server: `make test-server` installs one (Python 3.11 or 3.12, 1.6 GB)"
)

NAMES = ("small", "minilm", "decoder")
# logits, of at most 6: both compute in fp32, in batches that are padded to other lengths
TOLERANCE = 1e-4
# a logit of 6 is a probability of .9975, whose fp32 has steps of 6e-8; taken back by the slope there, 400 times as many
PROBABILITY_TOLERANCE = 2e-4


@pytest.fixture(params=NAMES)
def name(request, folders):
    if request.param not in folders:
        pytest.skip("the embedded MiniLM is not installed (recipes/embedded-models.txt)")
    return request.param


def by_place(results):
    """Scores in the order of the documents that were sent."""
    assert sorted(place for place, _ in results) == list(range(len(results)))
    return [score for _, score in sorted(results)]


def is_ranking(order, scores):
    """Whether these scores fall along the order, but for differences that rounding makes."""
    ranked = [scores[place] for place in order]
    return all(above >= below - 2 * TOLERANCE for above, below in zip(ranked, ranked[1:], strict=False))


@pytest.mark.parametrize("query", QUERIES)
def test_logits_and_ranking_are_ours(server, rerankers, name, query):
    ours = rerankers[name].score_pairs(query, DOCUMENTS)
    results = server.rerank(name, query, DOCUMENTS, raw_scores=True)
    assert by_place(results) == pytest.approx(ours, abs=TOLERANCE)
    assert is_ranking([place for place, _ in results], ours)
    # else any order would do
    assert max(ours) - min(ours) > 1


def test_a_hundred_documents_in_one_request(server, rerankers, name):
    ours = rerankers[name].score_pairs(QUERIES[0], HUNDRED)
    results = server.rerank(name, QUERIES[0], HUNDRED, raw_scores=True)
    assert by_place(results) == pytest.approx(ours, abs=TOLERANCE)
    assert is_ranking([place for place, _ in results], ours)
    assert results == sorted(results, key=lambda result: -result[1])


def test_scores_without_raw_scores_are_probabilities(server, rerankers, name):
    ours = rerankers[name].score_pairs(QUERIES[0], DOCUMENTS)
    probabilities = by_place(server.rerank(name, QUERIES[0], DOCUMENTS))
    assert all(0 < probability < 1 for probability in probabilities)
    logits = [math.log(probability / (1 - probability)) for probability in probabilities]
    assert logits == pytest.approx(ours, abs=PROBABILITY_TOLERANCE)


def test_the_server_cuts_pairs_where_the_student_was_trained_to(server, rerankers, name):
    limit = rerankers[name].tokenizer.model_max_length
    filler = "paris " * limit
    same, other = server.rerank(name, "capital", [f"{filler} of france", f"{filler} bananas are yellow"])
    assert same[1] == pytest.approx(other[1], abs=1e-6)
    assert rerankers[name].count_tokens("capital", [filler]) == limit


def test_top_n_and_documents_come_back(server, name):
    body = {"model": name, "query": QUERIES[0], "documents": DOCUMENTS, "top_n": 3, "return_documents": True}
    status, answer = server.ask("POST", "/rerank", body)
    assert status == 200
    assert [result["document"] for result in answer["results"]] == [DOCUMENTS[r["index"]] for r in answer["results"]]
    assert len(answer["results"]) == 3


def test_a_server_that_cannot_load_its_folder_says_why_and_ends(tmp_path, folders):
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "config.json").write_text("{")
    with (
        pytest.raises(RuntimeError, match="ended with"),
        InfinityServer(find_server(), {"broken": broken}, tmp_path) as server,
    ):
        server.wait_until_healthy()


def test_the_process_ends_when_a_test_fails(tmp_path, folders):
    with pytest.raises(AssertionError), InfinityServer(find_server(), folders, tmp_path) as server:
        raise AssertionError
    assert server.process.poll() is not None
