from dataclasses import replace

import pytest

from labeling import LabelingError
from labeling.judge import Judgment
from labeling.keys import teacher_hash
from labeling.label_lists import CandidateList, grades, group_scores, label_rows, list_key, random_documents, ranks

LIST = CandidateList("q1", "red fox", ("d1", "d2"), ("red fox runs", "old hen"))
TEACHER = teacher_hash({"name": "overlap", "settings": {"heads": 16, "type": "bf16"}})


def judgments(*scores, missing=()):
    return [Judgment(score=score, missing=place in missing) for place, score in enumerate(scores)]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (judgments(0.1, 0.9, 0.5), [3, 1, 2]),
        (judgments(0.5, 0.9, 0.5, 0.1), [2, 1, 2, 4]),
        (judgments(0.5, 0.5), [1, 1]),
        (judgments(0.1, 0.9, 0.5, 0.7, missing=(1, 3)), [2, 3, 1, 3]),  # below all others, whatever their scores
        (judgments(0.1, 0.9, missing=(0, 1)), [1, 1]),
        ([], []),
    ],
)
def test_equal_scores_share_a_rank_and_missing_ones_the_last(given, expected):
    assert ranks(given) == expected


def test_ranks_are_those_of_a_double_loop():
    given = judgments(3.0, -1.0, 2.0, 3.0, 0.0, 2.0, 7.0, missing=(2, 6))

    def better(one, other):
        return not one.missing and (other.missing or one.score > other.score)

    assert ranks(given) == [1 + sum(better(other, one) for other in given) for one in given]


def test_grades_rise_with_relevance_and_keep_ties():
    groups = ["ranked", "missing", "ranked", "ranked", "random", "missing", "ranked"]
    assert grades(groups, [2, 5, 1, 2, 9, 5, 4]) == [3.0, 1.0, 4.0, 3.0, 0.0, 1.0, 2.0]


def test_scores_keep_the_teacher_s_distances_and_put_no_missing_document_above_a_ranked_one():
    groups = ["ranked", "missing", "ranked", "missing", "random", "ranked"]
    assert group_scores(groups, [0.5, 7.0, -2.0, -1.0, None, 4.0]) == [0.5, -2.0, -2.0, -2.0, -2.0, 4.0]


def test_grades_mean_the_same_in_a_list_without_missing_documents():
    assert grades(["ranked", "ranked"], [1, 2]) == [3.0, 2.0]


def test_rows_carry_the_judgment_in_the_order_of_the_candidates():
    answers = [Judgment(score=0.2, evidence=(0, 3), truncated=4, tokens=9), Judgment(score=0.8, missing=True)]
    first, second = label_rows(LIST, answers)
    assert (first["doc_id"], first["position"], first["score"], first["rank"]) == ("d1", 0, 0.2, 1)
    assert (first["evidence_start"], first["evidence_end"], first["truncated"], first["tokens"]) == (0, 3, 4, 9)
    assert (first["group"], first["missing"]) == ("ranked", None)
    assert (second["doc_id"], second["position"], second["score"], second["rank"]) == ("d2", 1, 0.8, 2)
    assert (second["group"], second["missing"], second["evidence_start"]) == ("missing", True, None)


@pytest.mark.parametrize(
    "changed",
    [
        {"query_id": "q2"},
        {"query": "red  fox"},
        {"doc_ids": ("d1", "d3")},
        {"documents": ("red fox runs", "old hen.")},
        {"documents": ("old hen", "red fox runs")},
        {"doc_ids": ("d2", "d1"), "documents": ("old hen", "red fox runs")},
        {"doc_ids": ("d1",), "documents": ("red fox runs",)},
    ],
)
def test_whatever_the_judge_reads_is_part_of_the_key(changed):
    assert list_key(replace(LIST, **changed), TEACHER) != list_key(LIST, TEACHER)


def test_a_changed_teacher_changes_the_key_but_the_order_of_its_entries_does_not():
    reordered = teacher_hash({"settings": {"type": "bf16", "heads": 16}, "name": "overlap"})
    changed = teacher_hash({"name": "overlap", "settings": {"heads": 8, "type": "bf16"}})
    assert list_key(LIST, reordered) == list_key(LIST, TEACHER)
    assert list_key(LIST, changed) != list_key(LIST, TEACHER)


def test_the_key_does_not_depend_on_the_kind_of_sequence():
    in_lists = replace(LIST, doc_ids=["d1", "d2"], documents=["red fox runs", "old hen"])
    assert list_key(in_lists, TEACHER) == list_key(LIST, TEACHER)


def test_a_description_that_is_not_json_is_refused():
    with pytest.raises(LabelingError, match="describe.. must return JSON values only"):
        teacher_hash({"heads": {1, 2}})


@pytest.mark.parametrize(
    ("doc_ids", "documents", "message"),
    [
        (("d1",), ("a", "b"), "query 'q1': 1 document ids but 2 documents"),
        (("d1", "d1"), ("a", "b"), "'d1' comes more than once"),
        (("d1", ""), ("a", "b"), "'' is not an id"),
        (("d1", "\ud800"), ("a", "b"), "is not an id"),
    ],
)
def test_a_list_that_cannot_be_stored_is_refused(doc_ids, documents, message):
    with pytest.raises(LabelingError, match=message):
        CandidateList("q1", "a", doc_ids, documents)


POOL = [f"d{number}" for number in range(30)]


def test_random_documents_are_other_queries_candidates():
    own = set(POOL[:10])
    drawn = random_documents("q1", own, POOL, 5, seed=0)
    assert len(set(drawn)) == 5
    assert not set(drawn) & own
    assert drawn == random_documents("q1", own, POOL, 5, seed=0)
    assert drawn != random_documents("q1", own, POOL, 5, seed=1)
    assert drawn != random_documents("q2", own, POOL, 5, seed=0)


@pytest.mark.parametrize(
    ("own", "count", "expected"), [(POOL[:28], 5, 2), (POOL, 5, 0), ([], 99, 30), (POOL[:3], 0, 0)]
)
def test_random_documents_stop_where_the_pool_ends(own, count, expected):
    assert len(random_documents("q1", set(own), POOL, count, seed=0)) == expected
