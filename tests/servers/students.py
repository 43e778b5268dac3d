"""Students for a server, made on the spot and written by our own export, and the texts that they score."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from tokenizers.processors import TemplateProcessing
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    BertTokenizer,
    LlamaConfig,
    LlamaForSequenceClassification,
    PreTrainedTokenizerFast,
)

from distill.export.folder import ExportRequest, export_model
from distill.export.servers import Target
from distill.export.source import open_source
from students.decoder import DecoderSettings, load_tokenizer
from students.encoder import load_encoder
from students.saving import save_student
from students.scoring import Reranker

LONG = " ".join(f"the {n} rivers of the capital of france" for n in range(60))
QUERIES = ["what is the capital of france?", "서울의 인구는 얼마인가", "🚀 <b>launch</b> [SEP] date"]
DOCUMENTS = [
    "paris is the capital of france and lies on the seine",
    "서울은 대한민국의 수도이며 인구는 구백만 명이다",
    "🚀🌍 lift-off at dawn, 👩‍🚀 waves",
    "<script>alert('the capital')</script> &amp; {{ query }}",
    "",
    LONG,
    "[CLS] literal [SEP] tokens [MASK] </s> <|im_end|>",
    "right\u200fto\u200eleft \u202emarks, a\ttab, two\nlines and \x01 control",
    "bananas are yellow",
]
# as many as a first stage hands over, of many lengths, so that the server has to batch and pad
HUNDRED = [f"{'bananas ' * (n % 13)}paris {n} is the {'capital ' * (n % 7)}of france {n * n}" for n in range(100)]
LARGEST_LOGIT = 6.0


def export(build: Callable[[], tuple[Any, Any]], folder: Path, target: Target = "hf") -> Path:
    """Write a student with a head that spreads its scores over [-6, 6], then export it; the exported folder."""
    model, tokenizer = build()
    head = getattr(model, "classifier", None) or model.score
    lists = [(query, DOCUMENTS) for query in QUERIES]
    largest = max(abs(score) for scores in Reranker(model, tokenizer).score_many(lists) for score in scores)
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.mul_(LARGEST_LOGIT / largest)
    save_student(model, tokenizer, folder / "student", body="A student of a test.")
    out = folder / target
    pairs = [(QUERIES[0], document) for document in DOCUMENTS]
    export_model(open_source(str(folder / "student")), ExportRequest(target, out, pairs, force=True))
    return out


def small_encoder() -> tuple[Any, Any]:
    """A random BERT with a WordPiece vocabulary of the texts' words and characters, that cuts pairs to 48 tokens."""
    torch.manual_seed(1)
    words = sorted({word for text in [*QUERIES, *DOCUMENTS, *HUNDRED] for word in text.split() if word.isalpha()})
    letters = sorted({letter for text in [*QUERIES, *DOCUMENTS, *HUNDRED] for letter in text if letter.isprintable()})
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    pieces = dict.fromkeys([*special, *letters, *(f"##{letter}" for letter in letters), *words])
    tokenizer = BertTokenizer(vocab={piece: i for i, piece in enumerate(pieces)}, model_max_length=48)
    config = BertConfig(
        vocab_size=len(pieces),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=96,
        initializer_range=0.3,
        num_labels=1,
    )
    return BertForSequenceClassification(config).eval(), tokenizer


def embedded_encoder(model_folder: Path) -> tuple[Any, Any]:
    """The embedded MiniLM with a new head."""
    torch.manual_seed(2)
    return load_encoder(str(model_folder), max_tokens=128)


def small_decoder(scratch: Path) -> tuple[Any, Any]:
    """A random Llama that reads bytes, with the pair template of our decoder students and 96 tokens."""
    torch.manual_seed(3)
    words = Tokenizer(models.BPE())
    words.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    words.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=400, special_tokens=["<|im_end|>"], initial_alphabet=alphabet)
    words.train_from_iterator([*QUERIES, *DOCUMENTS, *HUNDRED], trainer)
    words.post_processor = TemplateProcessing(single="$A", pair="$A $B", special_tokens=[])
    PreTrainedTokenizerFast(tokenizer_object=words, eos_token="<|im_end|>").save_pretrained(scratch)
    tokenizer = load_tokenizer(str(scratch), 96, DecoderSettings().template)
    config = LlamaConfig(
        vocab_size=words.get_vocab_size(),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        intermediate_size=64,
        max_position_embeddings=256,
        # not the default, which a reader that does not find the entry would take
        rope_parameters={"rope_type": "default", "rope_theta": 100.0},
        initializer_range=0.3,
        pad_token_id=tokenizer.pad_token_id,
        num_labels=1,
    )
    return LlamaForSequenceClassification(config).eval(), tokenizer
