"""What a teacher's score may be mixed with: found by text, refused by name."""

import pytest
from sentence_transformers import CrossEncoder
from torch.nn import Identity

from distill.collections.beir import read_beir
from distill.collections.collection import DataError
from distill.errors import RecipeError
from distill.recipe.file import load_recipe
from distill.recipe.settings import MixSection
from distill.stages.opinions import FirstStageOpinion, open_opinions
from tests.distill.exported_folders import TEXTS


@pytest.fixture(scope="module")
def collection(beir_folder):
    return read_beir(beir_folder)


@pytest.fixture
def run(collection):
    (first, second, *_), (query_id, *_) = list(collection.documents), list(collection.queries)
    return {query_id: {first: 2.5, second: 1.5}}


def test_first_stage_scores_are_found_by_text(collection, run):
    ((query_id, scores),) = run.items()
    texts = [collection.text(doc_id) for doc_id in reversed(scores)]
    assert FirstStageOpinion(collection, run).score_pairs(collection.query(query_id), texts) == [1.5, 2.5]


def test_a_document_without_a_first_stage_score_is_named(collection, run):
    query = collection.query(next(iter(run)))
    with pytest.raises(DataError, match="the first stage has no score of 'unseen' for query"):
        FirstStageOpinion(collection, run).score_pairs(query, ["unseen"])


def test_the_description_follows_the_scores(collection, run):
    ((query_id, scores),) = run.items()
    changed = {query_id: {doc_id: score + 1 for doc_id, score in scores.items()}}
    descriptions = [FirstStageOpinion(collection, entry).describe() for entry in (run, dict(run), changed)]
    assert descriptions[0] == descriptions[1] != descriptions[2]


def test_only_what_is_asked_for_is_opened(collection, run, encoder_folder):
    assert list(open_opinions(MixSection(first_stage=True), collection, run)) == ["first_stage"]
    opened = open_opinions(MixSection(pre_ranker=str(encoder_folder)), collection, run)
    assert list(opened) == ["pre_ranker"]
    assert opened["pre_ranker"].describe()["reference"] == str(encoder_folder)


def test_a_cross_encoder_is_an_opinion_too(collection, onnx_folder):
    student = onnx_folder()
    query, *documents = TEXTS
    opinion = open_opinions(MixSection(pre_ranker=str(student)), collection, {})["pre_ranker"]
    theirs = CrossEncoder(str(student), activation_fn=Identity()).predict([(query, text) for text in documents])
    assert opinion.score_pairs(query, documents) == pytest.approx(theirs.tolist(), abs=1e-5)
    assert len(set(theirs.tolist())) > 1


def test_a_mixture_of_nothing_is_refused(recipe_file):
    with pytest.raises(RecipeError, match="teacher.mix: name what to mix in"):
        load_recipe(str(recipe_file), ["teacher.mix={}"])
