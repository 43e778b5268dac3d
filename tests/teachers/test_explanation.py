"""Explanations against the scores they explain, and offsets against the texts they point into."""

import pytest
import torch

from teachers.baselines import WeightedHeads
from teachers.features import FeatureSettings
from teachers.head_scores import HeadReader
from teachers.heads import Head
from teachers.prompt import PromptBuilder, PromptSettings
from teachers.teacher import HeadTeacher, calibrated_mass
from tests.teachers.conftest import build

QUERY = "w1 w2"
DOCUMENTS = ["w10  w11\tw12", "w20 w21 w22 w23 w24 w25 w26 w27 w28", "w30", "w20 w21 w22 w23 w24 w25 w26 w27 w28"]
PROMPT = PromptSettings(introduction="w100", instruction="w101", null_query="w103", max_document_words=6)
HEADS = (Head(1, 2), Head(2, 0), Head(0, 3))


@pytest.fixture(scope="module", params=[1, 2])
def teacher(request, tokenizer):
    prompt = PROMPT.model_copy(update={"orders": request.param})
    ranker = WeightedHeads(HEADS, (0.5, 0.25, -1.0), FeatureSettings(), "by hand")
    return HeadTeacher(HeadReader(build("llama"), tokenizer, prompt, state_layer=1), ranker, {})


def test_the_tokens_of_a_document_add_up_to_its_calibrated_mass(teacher):
    explained = teacher.explain(QUERY, DOCUMENTS)
    masses = calibrated_mass(teacher.reader.read(QUERY, DOCUMENTS), teacher.ranker)
    sums = [sum(token.weight for token in tokens) for tokens in explained.documents]
    assert sums == pytest.approx(masses.tolist(), abs=1e-6)


def test_each_token_points_at_its_word(teacher):
    explained = teacher.explain(QUERY, DOCUMENTS)
    for document, tokens in zip(DOCUMENTS, explained.documents, strict=True):
        # one token a word in this tokenizer; words beyond the sixth are not read
        assert [document[token.start : token.end] for token in tokens] == document.split()[:6]


def test_heads_come_with_their_weights_the_largest_first(teacher):
    assert teacher.explain(QUERY, DOCUMENTS).heads == {Head(0, 3): -1.0, Head(1, 2): 0.5, Head(2, 0): 0.25}
    assert next(iter(teacher.explain(QUERY, DOCUMENTS).heads)) == Head(0, 3)


def test_windows_are_explained_as_one_list(tokenizer):
    ranker = WeightedHeads(HEADS, (0.5, 0.25, 0.1), FeatureSettings(), "by hand")
    prompt = PROMPT.model_copy(update={"window_tokens": 34, "window_overlap": 1})
    teacher = HeadTeacher(HeadReader(build("llama"), tokenizer, prompt, state_layer=1), ranker, {})
    documents = [f"w{n} w{n + 1} w{n + 2}" for n in range(10, 60, 5)]
    explained = teacher.explain(QUERY, documents)
    masses = calibrated_mass(teacher.reader.read(QUERY, documents), ranker)
    sums = [sum(token.weight for token in tokens) for tokens in explained.documents]
    assert sums == pytest.approx(masses.tolist(), abs=1e-6)


def test_a_negative_head_shows_nothing(teacher):
    (reading,) = teacher.reader.read_closely([(QUERY, DOCUMENTS)], tokens=True)
    expected = 0.5 * reading.tokens[0][1, 2] + 0.25 * reading.tokens[0][2, 0]
    found = torch.tensor([token.weight for token in teacher.explain(QUERY, DOCUMENTS).documents[0]])
    torch.testing.assert_close(found, expected)
    assert reading.scores.real.shape[-1] == 4


def test_offsets_survive_odd_white_space_and_emoji(tokenizer):
    text = "\n w1\u00a0\u3000 w2 \U0001f600  w3\n"
    spans = PromptBuilder(tokenizer, PROMPT).offsets(text)
    assert [text[start:end] for start, end in spans] == ["w1", "w2", "\U0001f600", "w3"]
