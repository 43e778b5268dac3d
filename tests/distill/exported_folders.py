"""Re-rankers of several kinds as a student's folder and, beside it, the same folder with its graph."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import torch
from tokenizers.processors import TemplateProcessing
from torch import Tensor, nn
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BertConfig,
    BertForSequenceClassification,
    BertTokenizer,
    LlamaConfig,
    LlamaForSequenceClassification,
    Qwen2Tokenizer,
)

TEXTS = [
    "the cat sat on the mat", "검색 결과를 다시 정렬한다", "emoji 🙂 and 👩‍👩‍👧 families", "Straße café naïve",
    "def rank(query, documents): return scores", "2,024 pairs at 3.5 ms", "شكرا שלום",
]  # fmt: skip
KINDS = ["encoder", "right padded decoder", "left padded decoder"]


class LogitsOf(nn.Module):
    """The inputs by place and the logits alone, as a graph has them."""

    def __init__(self, model: nn.Module, names: list[str]) -> None:
        super().__init__()
        self.model, self.names = model, names

    def forward(self, *inputs: Tensor) -> Tensor:
        return self.model(**dict(zip(self.names, inputs, strict=True))).logits


def write_graph(folder: Path) -> None:
    """`onnx/model.onnx` for the weights in the folder.

    By torch's older exporter: it takes a third of a second, the one that `distill export` uses takes twelve.
    """
    model = AutoModelForSequenceClassification.from_pretrained(folder, attn_implementation="eager")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    example = tokenizer(["the cat"] * 2, ["sat on the mat", "mat"], padding=True, return_tensors="pt")
    names = [name for name in ("input_ids", "attention_mask", "token_type_ids") if name in example]
    (folder / "onnx").mkdir()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            LogitsOf(model, names).eval(), tuple(example[name] for name in names), folder / "onnx" / "model.onnx",
            input_names=names, output_names=["logits"], opset_version=18, dynamo=False,
            dynamic_axes={"logits": {0: "batch"}, **{name: {0: "batch", 1: "length"} for name in names}},
        )  # fmt: skip


def exported(kind: str, folder: Path) -> Path:
    """A re-ranker of one of `KINDS` at ``folder``, with weights and graph."""
    encoder(folder) if kind == "encoder" else decoder(folder, kind.split()[0])
    write_graph(folder)
    return folder


def changed(path: Path, **entries: Any) -> None:
    """Set keys of a JSON file."""
    path.write_text(json.dumps(json.loads(path.read_text()) | entries))


def encoder(folder: Path) -> None:
    tokenizer = BertTokenizer().train_new_from_iterator(TEXTS * 2, vocab_size=400)
    tokenizer.model_max_length = 40
    torch.manual_seed(0)
    save(BertForSequenceClassification(
        BertConfig(vocab_size=len(tokenizer), hidden_size=32, num_hidden_layers=2, num_attention_heads=4,
                   intermediate_size=64, max_position_embeddings=64, num_labels=1, initializer_range=0.3,
                   pad_token_id=tokenizer.pad_token_id)
    ), tokenizer, folder)  # fmt: skip


def decoder(folder: Path, side: str) -> None:
    """Its end token pads, as SmolLM2's does; the pair's separators stand in the tokenizer."""
    tokenizer = Qwen2Tokenizer().train_new_from_iterator(TEXTS * 2, vocab_size=500)
    tokenizer.model_max_length, tokenizer.padding_side = 40, side
    tokenizer.pad_token = tokenizer.eos_token
    ids = tokenizer.encode(" relevant:")
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single="$A", pair="$B $A <end>",
        special_tokens=[{"id": "<end>", "ids": ids, "tokens": tokenizer.convert_ids_to_tokens(ids)}],
    )  # fmt: skip
    torch.manual_seed(0)
    save(LlamaForSequenceClassification(
        LlamaConfig(vocab_size=len(tokenizer), hidden_size=32, num_hidden_layers=2, num_attention_heads=4,
                    num_key_value_heads=2, intermediate_size=64, max_position_embeddings=64, num_labels=1,
                    initializer_range=0.3, pad_token_id=tokenizer.pad_token_id, use_cache=False)
    ), tokenizer, folder)  # fmt: skip


def save(model: Any, tokenizer: Any, folder: Path) -> None:
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
