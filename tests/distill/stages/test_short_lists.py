"""What is left of a label list that students get shortened."""

import pytest

from distill.collections.beir import read_beir
from distill.recipe.settings import ListSection
from distill.stages.training_lists import evenly_spaced, training_lists
from labeling.job import run_label_job
from labeling.label_lists import CandidateList

# the documents' scores in the order in which they are judged; the fourth is the best, the first the last
SCORES = [1.0, 5.0, 2.0, 9.0, 3.0]


class PlaceJudge:
    def judge(self, query, documents):
        return [{"score": score} for score in SCORES[: len(documents)]]

    def describe(self):
        return {"method": "place"}


@pytest.mark.parametrize(
    ("count", "kept"),
    [(8, [0, 3, 5, 8, 11, 14, 16, 19]), (3, [0, 10, 19]), (2, [0, 19]), (1, [0]), (20, list(range(20)))],
)
def test_places_are_evenly_spaced_from_the_first_to_the_last(count, kept):
    # 19 / 7 = 2.71: 2.7 5.4 8.1 10.9 13.6 16.3; 9.5 is rounded to the even 10
    assert evenly_spaced(range(20), count) == kept


@pytest.mark.parametrize(("most", "places"), [(None, [3, 1, 4, 2, 0]), (9, [3, 1, 4, 2, 0]), (3, [3, 4, 0]), (1, [3])])
def test_a_shortened_list_reaches_from_the_teachers_best_to_its_last(beir_folder, tmp_path, most, places):
    collection = read_beir(beir_folder)
    ids, (query_id, query) = list(collection.documents)[: len(SCORES)], next(iter(collection.queries.items()))
    texts = [collection.text(doc_id) for doc_id in ids]
    run_label_job([CandidateList(query_id, query, ids, texts)], PlaceJudge(), tmp_path / "labels")
    (row,) = training_lists(collection, [tmp_path / "labels"], ListSection(random=0, max_ranked=most))
    assert row["doc_ids"] == [ids[place] for place in places]
    assert row["docs"] == [texts[place] for place in places]
