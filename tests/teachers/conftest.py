"""Tiny random decoders and a tokenizer with one id per word, so that a test knows which token is where."""

from __future__ import annotations

import copy

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    AutoModelForCausalLM,
    Gemma2Config,
    Gemma3TextConfig,
    GPTNeoXConfig,
    GraniteConfig,
    LlamaConfig,
    MistralConfig,
    Olmo2Config,
    Phi3Config,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen3Config,
)

WORDS = ["<unk>", "<s>", "</s>", ":", "[", "]", *(str(n) for n in range(1, 30)), *(f"w{n}" for n in range(200))]
TEMPLATE = "{% for m in messages %}<s>{{ m['content'] }}{% endfor %}{% if add_generation_prompt %}</s>{% endif %}"
_SIZE = {
    "vocab_size": 300, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 4,
    "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 512,
    "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip

CONFIGS = {
    "llama": LlamaConfig(**_SIZE),
    "qwen2": Qwen2Config(**_SIZE),
    "qwen3": Qwen3Config(**_SIZE, head_dim=8),
    # windows shorter than the prompts of the tests, so that sliding layers really lose sight of early documents
    "mistral": MistralConfig(**_SIZE, sliding_window=24),
    "gemma3": Gemma3TextConfig(**_SIZE, head_dim=8, sliding_window=24, sliding_window_pattern=2),
    # a cap low enough to bend the logits of the tests
    "gemma2": Gemma2Config(**_SIZE, head_dim=8, sliding_window=24, attn_logit_softcapping=3.0, query_pre_attn_scalar=8),
    "phi3": Phi3Config(**_SIZE),
    "olmo2": Olmo2Config(**_SIZE),
    "granite": GraniteConfig(**_SIZE, attention_multiplier=0.2),
    "gpt_neox": GPTNeoXConfig(**{**_SIZE, "num_key_value_heads": None}, rotary_pct=0.5),
}


def build(family: str | PreTrainedConfig) -> PreTrainedModel:
    """A random model whose attention is far from uniform."""
    torch.manual_seed(0)
    # a model writes into its configuration: each gets one of its own
    config = copy.deepcopy(CONFIGS[family] if isinstance(family, str) else family)
    model = AutoModelForCausalLM.from_config(config).eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if any(part in name for part in ("q_proj", "k_proj", "qkv_proj", "query_key_value")):
                weight.mul_(12)
    return model


@pytest.fixture(scope="session")
def tokenizer() -> PreTrainedTokenizerFast:
    words = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Whitespace()])
    return PreTrainedTokenizerFast(
        tokenizer_object=words, unk_token="<unk>", bos_token="<s>", eos_token="</s>", chat_template=TEMPLATE
    )
