"""Several prompts in one pass must read as one prompt at a time does, whatever the padding between them."""

import pytest
import torch
from transformers import Phi3Config
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from teachers.errors import TeacherError
from teachers.head_scores import HeadReader, canonical_order
from teachers.prompt import PromptSettings
from teachers.prompt_pass import PromptPass, group_by_length
from tests.teachers.conftest import CONFIGS, build
from tests.teachers.test_head_scores import DOCUMENTS, QUERY, SETTINGS, expected_masses

FAMILIES = sorted(CONFIGS)
TENSORS = ("real", "null", "masked", "all_heads", "state", "truncated")
NORMS = {"gpt_neox": "final_layer_norm"}
# prompts and queries of different lengths, the shortest prompt shorter than the sliding windows of the families
LISTS = [
    ("w1 w2 w3 w4 w5 w6", [f"w{n} w{n + 1} w{n + 2}" for n in range(10, 19)]),
    ("w7", ["w3 w4", "w5 w6"]),
    (QUERY, DOCUMENTS),
    ("w9 w8", [f"w{n} w{n + 3} w{n + 1} w{n + 7} w2" for n in range(30, 37)]),
]


@pytest.fixture
def batches(monkeypatch):
    """Sizes of the passes over documents that are run while the test runs."""
    sizes = []
    plain = PromptPass.run

    def counted(self, prompts):
        sizes.append(len(prompts))
        return plain(self, prompts)

    monkeypatch.setattr(PromptPass, "run", counted)
    return sizes


def assert_equal(one, other, atol=1e-5):
    for name in TENSORS:
        torch.testing.assert_close(getattr(one, name), getattr(other, name), rtol=0, atol=atol)
    assert one.tokens == other.tokens


@pytest.mark.parametrize("family", FAMILIES)
def test_lists_read_together_score_as_lists_read_one_by_one(family, tokenizer, batches):
    reader = HeadReader(build(family), tokenizer, SETTINGS)
    together = reader.read_many(LISTS, batch_tokens=10_000)
    assert batches == [4]
    for (query, documents), scores in zip(LISTS, together, strict=True):
        assert_equal(scores, reader.read(query, documents))


@pytest.mark.parametrize("family", FAMILIES)
def test_lists_read_together_score_as_full_eager_maps_of_single_prompts(family, tokenizer):
    for (query, documents), scores in zip(
        LISTS, HeadReader(build(family), tokenizer, SETTINGS).read_many(LISTS, 10_000), strict=True
    ):
        expected = expected_masses(family, tokenizer, query, documents)
        for name, masses in zip(("real", "null", "masked"), expected, strict=True):
            torch.testing.assert_close(getattr(scores, name), masses, rtol=0, atol=1e-5)


def test_a_model_whose_positions_depend_on_the_longest_prompt_reads_each_alone(tokenizer):
    rope = {"rope_type": "longrope", "rope_theta": 10000.0, "short_factor": [1.0] * 4, "long_factor": [4.0] * 4}
    config = CONFIGS["phi3"].to_dict() | {"original_max_position_embeddings": 60}
    model = build(Phi3Config(**config | {"rope_parameters": {**rope, "original_max_position_embeddings": 60}}))
    reader = HeadReader(model, tokenizer, SETTINGS)
    for (query, documents), scores in zip(LISTS, reader.read_many(LISTS, 10_000), strict=True):
        assert_equal(scores, reader.read(query, documents), atol=0)


def test_windows_and_orders_are_read_together_too(tokenizer, batches):
    settings = PromptSettings(**{**SETTINGS.model_dump(), "orders": 2, "window_tokens": 60})
    reader = HeadReader(build("mistral"), tokenizer, settings)
    lists = [LISTS[1], ("w7 w8", [f"w{n} w1 w2 w3" for n in range(20)])]
    together = reader.read_many(lists, batch_tokens=10_000)
    assert len(batches) == 1
    assert batches[0] > 4
    for (query, documents), scores in zip(lists, together, strict=True):
        assert_equal(scores, reader.read(query, documents))


def test_a_pass_stays_within_its_tokens(tokenizer, batches):
    reader = HeadReader(build("llama"), tokenizer, SETTINGS)
    lengths = [len(reader.prompts.build(query, canonical_order(query, texts)).prefix) for query, texts in LISTS]
    reader.read_many(LISTS, batch_tokens=2 * sorted(lengths)[-1])
    assert sum(batches) == 4
    assert len(batches) in (2, 3)


def test_groups_hold_similar_lengths_within_the_budget():
    # sorted: 2 3 5 | 8 9 | 20: three of 5 are 15, three of 9 would be 27, and 20 is above 18 already
    assert group_by_length([9, 3, 20, 5, 2, 8], 18) == [[4, 1, 3], [5, 0], [2]]
    assert group_by_length([9, 3, 20], None) == [[1], [0], [2]]
    assert group_by_length([], 18) == []


@pytest.mark.parametrize("lists", [LISTS[:1], LISTS])
def test_documents_are_read_without_a_mask(lists, tokenizer, monkeypatch):
    masks = []

    def watched(module, query, key, value, attention_mask, **kwargs):
        if query.shape[2] == key.shape[2]:
            masks.append(attention_mask)
        return sdpa_attention_forward(module, query, key, value, attention_mask, **kwargs)

    monkeypatch.setattr("teachers.attention.sdpa_attention_forward", watched)
    HeadReader(build("llama"), tokenizer, SETTINGS).read_many(lists, 10_000)
    # a mask would cost memory that grows with the square of the prompt, and the kernels that know what causal means
    assert masks == [None] * len(masks) != []


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(("state_layer", "last_calls"), [(1, 0), (2, 1)])
def test_the_last_layer_is_run_only_as_far_as_it_is_read(family, state_layer, last_calls, tokenizer):
    model = build(family)
    calls = []
    for number, layer in enumerate(model.get_decoder().layers):
        layer.mlp.register_forward_pre_hook(lambda module, inputs, number=number: calls.append(number))
    model.get_decoder().get_submodule(NORMS.get(family, "norm")).register_forward_hook(lambda *_: calls.append("norm"))
    scores = HeadReader(model, tokenizer, SETTINGS, depth=3, state_layer=state_layer).read(QUERY, DOCUMENTS)
    # documents, then queries; the state layer's output is needed for the queries alone
    assert [calls.count(number) for number in (0, 1, 2, 3, "norm")] == [2, 2, last_calls, 0, last_calls]
    whole = HeadReader(build(family), tokenizer, SETTINGS, state_layer=state_layer).read(QUERY, DOCUMENTS)
    for name in ("real", "null", "masked"):
        torch.testing.assert_close(getattr(scores, name), getattr(whole, name)[:3], rtol=0, atol=1e-6)
    torch.testing.assert_close(scores.state, whole.state, rtol=0, atol=1e-6)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("family", ["llama", "mistral"])
def test_bf16_on_cuda_reads_as_fp32_on_a_processor_but_for_rounding(family, tokenizer):
    reader = HeadReader(build(family).to("cuda", torch.bfloat16), tokenizer, SETTINGS)
    expected = HeadReader(build(family), tokenizer, SETTINGS).read_many(LISTS)
    for budget in (None, 10_000):
        for one, other in zip(reader.read_many(LISTS, budget), expected, strict=True):
            assert one.real.device.type == one.state.device.type == "cpu"
            torch.testing.assert_close(one.real, other.real, rtol=0, atol=0.05)
            torch.testing.assert_close(one.null, other.null, rtol=0, atol=0.05)


def test_an_empty_list_among_others_is_refused_before_any_is_read(tokenizer, batches):
    with pytest.raises(TeacherError, match="empty candidate list"):
        HeadReader(build("llama"), tokenizer, SETTINGS).read_many([*LISTS, (QUERY, [])])
    assert batches == []
