"""Requests in the shapes of several servers, lines that are none, and answers as those servers give them."""

from __future__ import annotations

import json

import pytest

from distill.serving.json_lines import BadLine, RankRequest, answer, as_line, read_requests
from distill.serving.ranking import Ranking


def one(line: str | bytes) -> RankRequest | BadLine:
    (found,) = read_requests([line if isinstance(line, bytes) else line.encode()])
    return found


def test_documents_are_texts_or_objects():
    found = one('{"query": "q", "documents": ["a", {"id": "d2", "text": "b"}, {"_id": 3, "title": "T", "text": "c"}]}')
    assert found == RankRequest(1, "q", ("a", "b", "T c"), (None, "d2", 3), None, None, ())
    assert found.tie_breakers() is None


def test_the_shapes_of_servers():
    tei = one('{"query": "q", "texts": ["a"], "raw_scores": true, "truncate": true}')
    assert (tei.texts, tei.unused) == (("a",), ("raw_scores", "truncate"))
    cohere = one('{"model": "m", "query": "q", "documents": [{"text": "a"}], "top_n": 3, "return_documents": false}')
    assert (cohere.texts, cohere.top_n, cohere.unused) == (("a",), 3, ("return_documents",))


def test_blank_lines_count_as_lines():
    lines = [b"\n", b'{"query": "q", "documents": []}\n', b"  \n", b"{"]
    assert [found.line for found in read_requests(lines)] == [2, 4]


def test_half_characters_and_controls_are_data():
    found = one('{"query": "\\ud83d", "documents": ["<script>\\u0000\\u202e"], "id": "\\udc00\\u001b[2J"}')
    assert (found.query, found.texts) == ("\ufffd", ("<script>\0\u202e",))
    line = as_line(answer(found, Ranking((0,), (1.0,), False, 0, 0), None))
    assert line.isascii() and line.count("\n") == 1
    assert "\x1b" not in line
    assert json.loads(line)["id"] == "\udc00\x1b[2J"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "not JSON"),
        (b"\xff\xfe", "not UTF-8"),
        ("[1]", "a JSON list"),
        ('{"documents": []}', "query is null; a string is accepted"),
        ('{"query": 3, "documents": []}', "query is 3"),
        ('{"query": "q"}', 'no list of documents; {"query"'),
        ('{"query": "q", "documents": "a"}', "no list of documents"),
        ('{"query": "q", "documents": [], "texts": []}', "both documents and texts"),
        ('{"query": "q", "documents": ["a", {"id": "x"}]}', 'documents[1] is {"id": "x"}'),
        ('{"query": "q", "texts": [null]}', "texts[0] is null"),
        ('{"query": "q", "documents": [{"text": "a", "title": 3}]}', "documents[0].title is 3"),
        ('{"query": "q", "documents": [{"text": "a", "id": true}]}', "documents[0].id is true"),
        ('{"query": "q", "documents": [], "id": [1]}', "id is [1]"),
        ('{"query": "q", "documents": [], "top_n": 0}', "top_n is 0; a whole number from 1"),
        ('{"query": "q", "documents": [], "top_n": true}', "top_n is true"),
        ("[" * 100_000, "not JSON that can be read"),
        ('{"query": "q", "documents": [], "top_n": ' + "9" * 5000 + "}", "not JSON that can be read"),
        ('{"query": "q", "documents": [' + '"x", ' * 9 + '{"text": ["' + "y" * 900 + '"]}]}', "documents[9] is"),
    ],
)
def test_a_line_that_is_no_request_says_why(line, said):
    found = one(line)
    assert isinstance(found, BadLine)
    assert said in found.reason
    assert "\n" not in found.reason
    assert len(found.reason) < 200


def request(**changed) -> RankRequest:
    row = {"query": "q", "documents": ["a", {"id": "d1", "text": "b"}, "c"], **changed}
    return one(json.dumps(row))


RANKED = Ranking((1, 0, 2), (-1.0, 2.0), True, 1, 5)


def test_an_answer_holds_what_was_reached_and_what_was_not():
    assert answer(request(id=7), RANKED, None) == {
        "id": 7,
        "results": [
            {"index": 1, "relevance_score": 2.0, "id": "d1"},
            {"index": 0, "relevance_score": -1.0},
            {"index": 2, "relevance_score": None},
        ],
        "documents": 3, "reached": 2, "deadline": True, "cut_documents": 1, "cut_characters": 5,
    }  # fmt: skip


def test_results_are_as_many_as_the_line_or_the_command_asks_for():
    assert len(answer(request(), RANKED, 2)["results"]) == 2
    assert len(answer(request(top_n=1), RANKED, 2)["results"]) == 1
    assert len(answer(request(top_n=9), RANKED, 2)["results"]) == 3


def test_a_probability_is_shown_and_does_not_order():
    tied = Ranking((1, 0, 2), (40.0, 41.0, -2.0), False, 0, 0)
    found = answer(request(), tied, None, as_probability=True)["results"]
    assert [row["index"] for row in found] == [1, 0, 2]
    assert [row["relevance_score"] for row in found] == [1.0, 1.0, pytest.approx(0.119, abs=1e-3)]


def test_a_score_that_is_no_number_is_not_written():
    with pytest.raises(ValueError, match="JSON compliant"):
        as_line(answer(request(), Ranking((0, 1, 2), (float("nan"), 1.0, 0.0), False, 0, 0), None))
