"""What is recorded must equal the attention maps that transformers' own eager attention returns."""

import pytest
import torch
from transformers import AutoModelForCausalLM, DynamicCache, GPT2Config, GptOssConfig

from teachers.attention import AttentionRecorder, use_recorded_attention
from teachers.errors import TeacherError
from tests.teachers.conftest import CONFIGS, build

FAMILIES = sorted(CONFIGS)


def eager_maps(model, ids):
    model.set_attn_implementation("eager")
    with torch.no_grad():
        return torch.stack(model(input_ids=ids, output_attentions=True).attentions, dim=1)


@pytest.mark.parametrize("family", FAMILIES)
def test_recorded_attention_equals_the_eager_maps(family):
    model = build(family)
    ids = torch.randint(3, 200, (2, 60), generator=torch.Generator().manual_seed(1))
    maps = eager_maps(model, ids)
    use_recorded_attention(model)
    recorder = AttentionRecorder([(50, 58), (40, 45)], (5, 48))
    with torch.no_grad():
        model.get_decoder()(input_ids=ids, attention_recorder=recorder)
    expected = torch.stack([maps[0, :, :, 50:58, 5:48].mean(2), maps[1, :, :, 40:45, 5:48].mean(2)])
    torch.testing.assert_close(recorder.stacked(), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_recorded_attention_behind_a_cached_prefix_equals_the_eager_maps(family):
    model = build(family)
    ids = torch.randint(3, 200, (1, 60), generator=torch.Generator().manual_seed(2))
    maps = eager_maps(model, ids)
    use_recorded_attention(model)
    recorder, cache = AttentionRecorder([(2, 9)], (5, 48)), DynamicCache()
    with torch.no_grad():
        model.get_decoder()(input_ids=ids[:, :48], past_key_values=cache, use_cache=True)
        model.get_decoder()(input_ids=ids[:, 48:], past_key_values=cache, attention_recorder=recorder)
    torch.testing.assert_close(recorder.stacked()[0], maps[0, :, :, 50:57, 5:48].mean(2), rtol=0, atol=1e-5)


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("family", FAMILIES)
def test_padding_is_masked(family, side):
    model = build(family)
    use_recorded_attention(model)
    ids = torch.randint(3, 200, (1, 40), generator=torch.Generator().manual_seed(3))
    padding = torch.zeros(1, 7, dtype=torch.long)
    padded = torch.cat([padding, ids] if side == "left" else [ids, padding], 1)
    offset = 7 if side == "left" else 0
    mask = torch.zeros_like(padded)
    mask[:, offset : offset + 40] = 1
    alone, beside = (
        AttentionRecorder([(30, 38)], (2, 25)),
        AttentionRecorder([(30 + offset, 38 + offset)], (2 + offset, 25 + offset)),
    )
    positions = (mask.cumsum(1) - 1).clamp_min(0)
    with torch.no_grad():
        model.get_decoder()(input_ids=ids, attention_recorder=alone)
        model.get_decoder()(input_ids=padded, attention_mask=mask, position_ids=positions, attention_recorder=beside)
    torch.testing.assert_close(beside.stacked(), alone.stacked(), rtol=0, atol=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_outputs_are_those_of_the_stock_attention(family):
    model = build(family)
    ids = torch.randint(3, 200, (1, 300), generator=torch.Generator().manual_seed(4))
    stock = "eager" if family == "gemma2" else "sdpa"
    with torch.no_grad():
        model.set_attn_implementation(stock)
        expected = model(input_ids=ids).logits
        use_recorded_attention(model)
        recorder = AttentionRecorder([(20, 30)], (0, 20))
        actual = model(input_ids=ids, attention_recorder=recorder).logits
    assert recorder.layer_count == 4
    torch.testing.assert_close(actual, expected, rtol=0, atol=1e-5 if stock == "eager" else 0)


def test_a_model_that_keeps_its_layers_elsewhere_is_refused_by_name():
    model = AutoModelForCausalLM.from_config(GPT2Config(vocab_size=300, n_embd=32, n_layer=2, n_head=4))
    with pytest.raises(TeacherError, match="^gpt2 keeps no `layers` in its decoder"):
        use_recorded_attention(model)


def test_a_model_with_attention_sinks_is_refused_by_name():
    config = GptOssConfig(
        vocab_size=300, hidden_size=32, intermediate_size=32, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, head_dim=8, num_local_experts=2, num_experts_per_tok=1,
    )  # fmt: skip
    model = AutoModelForCausalLM.from_config(config)
    with pytest.raises(TeacherError, match="(?i)gpt_?oss"):
        use_recorded_attention(model)
        model.get_decoder()(input_ids=torch.tensor([[3, 4, 5]]))
