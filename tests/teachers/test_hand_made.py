"""Masking, copy detection and head search on a model whose heads' roles are known in advance."""

import math

import pytest
import torch

from teachers.copying import CopySettings, copy_heads, copy_scores, copy_trial
from teachers.features import FeatureSettings, judged_lists
from teachers.head_scores import HeadReader
from teachers.head_search import ndcg
from teachers.head_sets import HeadSetSettings, find_head_sets
from teachers.heads import Head
from teachers.masking import masked_heads
from teachers.needles import NeedleBuilder, NeedleSettings, needle_log_probabilities
from teachers.prompt import PromptSettings
from tests.teachers.hand_made import (
    COPY,
    FIRST,
    ITSELF,
    PREVIOUS_TOKEN,
    QUERY_MATCHING,
    UNIFORM,
    UNINVOLVED,
    VOCABULARY,
    hand_made_model,
    hand_made_tokenizer,
)

NEEDLE = "needle w1 w2 w3 w4"
HAYSTACK = [f"w{20 + number} w{(7 * number) % 10 + 30} w{40 + number % 4}" for number in range(10)] * 3


@pytest.fixture(scope="module")
def model():
    return hand_made_model()


@pytest.fixture(scope="module")
def prompts():
    builder = NeedleBuilder(hand_made_tokenizer(), NeedleSettings())
    return [builder.build("w9 w8", NEEDLE, HAYSTACK, tokens, depth) for tokens in (25, 80) for depth in (0, 0.5, 1)]


def test_the_heads_have_their_roles(model, prompts):
    prompt = prompts[4]
    ids = torch.tensor([prompt.ids + prompt.answer])
    model.set_attn_implementation("eager")
    with torch.no_grad():
        maps = torch.stack(model(input_ids=ids, output_attentions=True).attentions)[:, 0]
    model.set_attn_implementation("sdpa")
    tokens = ids.shape[1]
    here = torch.arange(tokens)
    expected = torch.zeros(2, 4, tokens, tokens)
    expected[0, 0, here, (here - 1).clamp_min(0)] = 1
    same = (ids[0][:, None] == ids[0][None]).tril().float()
    expected[0, 1] = same / same.sum(1, keepdim=True)
    expected[ITSELF.layer, ITSELF.index] = torch.eye(tokens)
    for head in FIRST:
        expected[head.layer, head.index, :, 0] = 1
    for head in UNIFORM:
        expected[head.layer, head.index] = torch.ones(tokens, tokens).tril() / (here + 1)[:, None]
    others = [Head(layer, index) for layer in range(2) for index in range(4) if Head(layer, index) != COPY]
    for head in others:
        assert (maps[head.layer, head.index] - expected[head.layer, head.index]).abs().max() < 1e-4, head
    # from the header on, the copy head looks at each token of the needle in turn
    start, end = prompt.needle
    rows = range(len(prompt.ids) - 1, len(prompt.ids) + len(prompt.answer) - 1)
    looked_at = [float(maps[1, 2, row, place]) for row, place in zip(rows, range(start, end), strict=True)]
    assert min(looked_at) > 0.999


def test_the_model_gives_the_needle(model, prompts):
    for prompt in prompts:
        assert float(needle_log_probabilities(model, prompt).min()) > -1e-4


def test_masking_the_copy_head_leaves_nothing_but_chance(model, prompts):
    for prompt in prompts:
        with masked_heads(model, [COPY]):
            found = needle_log_probabilities(model, prompt)
        # the vocabulary head reads zeros alone: all words are as likely
        torch.testing.assert_close(found, torch.full_like(found, -math.log(VOCABULARY)), rtol=0, atol=1e-6)


def test_without_the_previous_token_the_copy_head_finds_the_first_word_alone(model, prompts):
    for prompt in prompts:
        with masked_heads(model, [PREVIOUS_TOKEN]):
            found = needle_log_probabilities(model, prompt)
        assert found[0] > -1e-3
        # it looks at the first token instead and is sure of that: 5 * sqrt(160 / 3.06), and a little of the others
        assert float(found[1:].max()) < -math.log(VOCABULARY)


def test_masking_heads_that_take_no_part_leaves_the_needle(model, prompts):
    for prompt in prompts:
        for heads in [*([head] for head in UNINVOLVED), list(UNINVOLVED)]:
            with masked_heads(model, heads):
                assert float(needle_log_probabilities(model, prompt).min()) > -1e-4, heads


@pytest.mark.parametrize("forced", [False, True])
def test_copy_detection_names_the_copy_head_alone(model, prompts, forced):
    settings = CopySettings(teacher_forced=forced, extra_tokens=3)
    trials = [copy_trial(model, prompt, settings) for prompt in prompts]
    scores = copy_scores(trials)
    assert copy_heads(scores, 1) == [COPY]
    expected = torch.zeros(2, 4)
    expected[COPY.layer, COPY.index] = 1
    assert torch.equal(scores, expected)
    for trial, prompt in zip(trials, prompts, strict=True):
        assert trial.answer[: len(prompt.answer)] == prompt.answer
        assert trial.recall == 1


def test_without_its_copy_head_the_model_writes_no_needle(model, prompts):
    with masked_heads(model, [COPY]):
        trial = copy_trial(model, prompts[1], CopySettings())
    assert not trial.counts
    assert not trial.copied[COPY.layer, COPY.index]


def test_head_search_names_the_head_that_matches_the_query(model):
    # the word of the query ends its document: what the copy head looks at, the token behind it, is in no document
    documents = ["w1 w2 w3 w4", "w5 w6 w7 w8", "w9 w10 w11 w12", "w13 w14 w15 w16"]
    reader = HeadReader(model, hand_made_tokenizer(), PromptSettings())
    scores = [reader.read(f"w{4 * place + 4}", documents) for place in range(4)]
    gains = [[float(place == relevant) for place in range(4)] for relevant in range(4)]
    lists = judged_lists(scores, gains, FeatureSettings(mass="masked", normalise="none"))
    quality = ndcg(lists.features, lists, 10).mean(0).unflatten(0, (2, 4))
    assert quality[QUERY_MATCHING.layer, QUERY_MATCHING.index] == pytest.approx(1)
    assert quality.flatten().sort().values[-2] < 0.9
    sets = find_head_sets(scores, gains, HeadSetSettings(count=1))
    assert sets["query_focused"] == sets["contrastive"] == [QUERY_MATCHING]
    # half of a token's attention stays with itself
    assert float(scores[0].real[QUERY_MATCHING.layer, QUERY_MATCHING.index, 0]) == pytest.approx(0.5, abs=1e-4)
    with masked_heads(model, [PREVIOUS_TOKEN, COPY]):
        masked = reader.read("w4", documents).real
    torch.testing.assert_close(masked[0], scores[0].real[0], rtol=0, atol=0)
