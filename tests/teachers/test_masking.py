"""Masking against a second way, the output projection's input set to zero, and against the model as it was."""

import copy
from contextlib import ExitStack, contextmanager

import pytest
import torch

from teachers.attention import IMPLEMENTATION, use_recorded_attention
from teachers.errors import TeacherError
from teachers.head_scores import HeadReader
from teachers.heads import Head
from teachers.masking import masked_heads
from teachers.prompt import PromptSettings
from tests.teachers import conftest
from tests.teachers.conftest import CONFIGS

FAMILIES = sorted(CONFIGS)
# one head of two that share a key head, two heads of one layer, one in the last layer
HEADS = [Head(0, 1), Head(2, 0), Head(2, 3), Head(3, 2)]


def build(family):
    """The tiny model with a configuration of its own: what a test sets there reaches no other."""
    return conftest.build(copy.deepcopy(CONFIGS[family]))


def some_ids(count=40, seed=5):
    return torch.randint(3, 200, (2, count), generator=torch.Generator().manual_seed(seed))


@contextmanager
def projection_inputs_zeroed(model, heads):
    """The second way: what the output projection of the attention reads is zero at the places of the heads."""
    with ExitStack() as stack:
        for head in heads:
            layer = model.get_decoder().layers[head.layer]
            attention = layer.attention if hasattr(layer, "attention") else layer.self_attn
            projection = attention.dense if hasattr(attention, "dense") else attention.o_proj
            width = projection.in_features // model.config.num_attention_heads

            def zeroed(_, inputs, at=slice(head.index * width, (head.index + 1) * width)):
                entered = inputs[0].clone()
                entered[..., at] = 0
                return (entered,)

            stack.callback(projection.register_forward_pre_hook(zeroed).remove)
        yield


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("implementation", ["sdpa", IMPLEMENTATION])
def test_masking_equals_a_projection_that_reads_zeros(family, implementation):
    if (family, implementation) == ("gemma2", "sdpa"):
        implementation = "eager"
    model, ids = build(family), some_ids()
    model.set_attn_implementation(implementation)
    with torch.no_grad():
        before = model(input_ids=ids).logits
        with projection_inputs_zeroed(model, HEADS):
            expected = model(input_ids=ids).logits
        with masked_heads(model, HEADS):
            masked = model(input_ids=ids).logits
        after = model(input_ids=ids).logits
    assert (expected - before).abs().max() > 1e-3
    torch.testing.assert_close(masked, expected, rtol=0, atol=1e-5 if family == "gemma2" else 0)
    assert torch.equal(after, before)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_model_is_left_as_it_was_also_by_an_error(family):
    model, ids = build(family), some_ids()
    model.set_attn_implementation("eager")
    weights = {name: value.clone() for name, value in model.state_dict().items()}
    config, attributes = copy.deepcopy(model.config), {name: set(vars(part)) for name, part in model.named_modules()}
    with torch.no_grad():
        before = model(input_ids=ids).logits
        with pytest.raises(RuntimeError, match="inside"), masked_heads(model, HEADS):
            raise RuntimeError("inside")
        after = model(input_ids=ids).logits
    assert torch.equal(after, before)
    assert model.config._attn_implementation == "eager"
    assert model.config.to_dict() == config.to_dict()
    assert {name: set(vars(part)) for name, part in model.named_modules()} == attributes
    assert model.state_dict().keys() == weights.keys()
    assert all(torch.equal(value, weights[name]) for name, value in model.state_dict().items())


def test_masking_every_head_leaves_only_what_the_projections_add():
    # Llama's projections have no bias: without its heads a layer's attention adds nothing
    model, ids = build("llama"), some_ids()
    with torch.no_grad():
        with masked_heads(model, [Head(layer, index) for layer in range(4) for index in range(4)]):
            masked = model(input_ids=ids).logits
        for layer in model.model.layers:
            layer.self_attn.o_proj.weight.zero_()
        expected = model(input_ids=ids).logits
    assert torch.equal(masked, expected)


def test_blocks_nest():
    model, ids = build("qwen3"), some_ids()
    with torch.no_grad():
        with masked_heads(model, HEADS):
            expected = model(input_ids=ids).logits
        with masked_heads(model, HEADS[:2]):
            outer = model(input_ids=ids).logits
            with masked_heads(model, HEADS[2:]):
                both = model(input_ids=ids).logits
            assert torch.equal(model(input_ids=ids).logits, outer)
    assert torch.equal(both, expected)
    assert not torch.equal(outer, expected)


def test_no_head_masks_nothing():
    model, ids = build("llama"), some_ids()
    with torch.no_grad():
        before = model(input_ids=ids).logits
        with masked_heads(model, []):
            assert torch.equal(model(input_ids=ids).logits, before)


@pytest.mark.parametrize("family", ["llama", "mistral"])
def test_generating_runs_without_the_heads(family):
    model, ids = build(family), some_ids()[:1]
    heads = [Head(layer, index) for layer in range(4) for index in range(3)]
    with torch.no_grad():
        with projection_inputs_zeroed(model, heads):
            expected = model.generate(ids, max_new_tokens=12, do_sample=False)
        with masked_heads(model, heads):
            masked = model.generate(ids, max_new_tokens=12, do_sample=False)
        assert not torch.equal(model.generate(ids, max_new_tokens=12, do_sample=False), expected)
    assert torch.equal(masked, expected)


@pytest.mark.parametrize("made", ["before", "inside"])
def test_head_scores_are_read_without_the_heads(made, tokenizer):
    model, heads = build("llama"), HEADS[:2]
    documents = ["w1 w2 w3 w4", "w5 w6 w7", "w8 w9 w2 w1"]
    whole = HeadReader(model, tokenizer, PromptSettings(), depth=3)
    unmasked = whole.read("w1 w7", documents).real
    with projection_inputs_zeroed(model, heads):
        expected = whole.read("w1 w7", documents).real
    with masked_heads(model, heads):
        # a reader made inside sets the model's attention itself
        reader = whole if made == "before" else HeadReader(model, tokenizer, PromptSettings(), depth=3)
        masked = reader.read("w1 w7", documents).real
    torch.testing.assert_close(masked, expected, rtol=0, atol=1e-6)
    # what a layer attends to depends on the heads of the layers before it alone
    assert torch.equal(masked[0], unmasked[0])
    assert (masked[1] - unmasked[1]).abs().max() > 1e-5
    assert torch.equal(whole.read("w1 w7", documents).real, unmasked)


@pytest.mark.parametrize("head", [Head(4, 0), Head(0, 4), Head(1, -1)])
def test_a_head_that_the_model_has_not_is_refused(head):
    model = build("llama")
    with (
        pytest.raises(TeacherError, match=rf"^head {head} is not in a model of 4 layers with 4 heads each$"),
        masked_heads(model, [Head(0, 0), head]),
    ):
        pass
    use_recorded_attention(model)
