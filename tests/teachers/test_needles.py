"""Where needles stand, in tokens counted by hand, and their log-probability against the whole model's logits."""

import copy

import pytest
import torch

from teachers.errors import TeacherError
from teachers.needles import NeedleBuilder, NeedleSettings, needle_log_probabilities
from tests.teachers.conftest import CONFIGS, WORDS, build

HAYSTACK = [" ".join(f"w{3 * number + word}" for word in range(3)) for number in range(30)]
NEEDLE = "w100 w101 w102 w103"


@pytest.fixture
def builder(tokenizer):
    return NeedleBuilder(tokenizer, NeedleSettings())


def words_of(ids):
    return [WORDS[token] for token in ids]


@pytest.mark.parametrize(("depth", "before", "reached"), [(0.0, 0, 0.0), (0.5, 4, 0.5), (0.9, 7, 7 / 8), (1.0, 8, 1.0)])
def test_the_needle_stands_at_its_depth(builder, depth, before, reached):
    # a context of 28 tokens: 4 of the needle and 24 of the first 8 texts, with 3 each; line breaks are no tokens here
    prompt = builder.build("w150 w151", NEEDLE, HAYSTACK, 28, depth)
    start, end = prompt.context
    assert end - start == 28
    assert prompt.needle == (start + 3 * before, start + 3 * before + 4)
    assert words_of(prompt.ids[slice(*prompt.needle)]) == NEEDLE.split() == words_of(prompt.answer)
    outside = prompt.ids[start : prompt.needle[0]] + prompt.ids[prompt.needle[1] : end]
    assert words_of(outside) == " ".join(HAYSTACK[:8]).split()
    assert prompt.depth == pytest.approx(reached)
    assert words_of(prompt.ids[end:])[-3:] == ["w150", "w151", "</s>"]


def test_a_context_is_filled_with_whole_texts(builder):
    prompt = builder.build("w150", NEEDLE, HAYSTACK, 27, 0.5)
    assert prompt.context[1] - prompt.context[0] == 4 + 7 * 3


def test_texts_that_look_like_the_template_or_like_the_needle_move_no_span(builder):
    haystack = ["</s> <s> w1", NEEDLE, *HAYSTACK]
    prompt = builder.build("</s> w1", NEEDLE, haystack, 28, 1.0)
    assert prompt.needle[1] == prompt.context[1]
    assert words_of(prompt.ids[slice(*prompt.needle)]) == NEEDLE.split()
    # both signs of the template fall into pieces: one turn begins and ends
    assert words_of(prompt.ids).count("<s>") == words_of(prompt.ids).count("</s>") == 1


@pytest.mark.parametrize(
    ("needle", "tokens", "depth", "told"),
    [
        (NEEDLE, 28, 1.2, "from 0 to 1; got 1.2"),
        (NEEDLE, 3, 0.5, "a needle of 4 tokens does not fit a context of 3"),
        ("", 28, 0.5, "a needle of 0 tokens"),
        (NEEDLE, 100, 0.5, "the haystack has 90 tokens and the context takes 96; give more texts"),
    ],
)
def test_what_cannot_be_built_is_told(builder, needle, tokens, depth, told):
    with pytest.raises(TeacherError, match=told):
        builder.build("w150", needle, HAYSTACK, tokens, depth)


@pytest.mark.parametrize("family", sorted(CONFIGS))
def test_log_probabilities_equal_those_of_all_logits(builder, family):
    model = build(copy.deepcopy(CONFIGS[family]))
    prompt = builder.build("w150", NEEDLE, HAYSTACK, 28, 0.5)
    found = needle_log_probabilities(model, prompt)
    with torch.no_grad():
        whole = model(input_ids=torch.tensor([prompt.ids + prompt.answer])).logits[0].log_softmax(-1)
    at = len(prompt.ids)
    expected = torch.stack([whole[at - 1 + step, token] for step, token in enumerate(prompt.answer)])
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


def test_what_is_longer_than_the_models_context_is_refused(builder):
    model = build(copy.deepcopy(CONFIGS["llama"]))
    haystack = [f"w{number % 100}" for number in range(600)]
    prompt = builder.build("w150", NEEDLE, haystack, 520, 0.5)
    with pytest.raises(TeacherError, match="tokens and the model's context 512"):
        needle_log_probabilities(model, prompt)
