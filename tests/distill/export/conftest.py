"""Tiny random re-rankers exported to every target once, for tests to copy and break."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers.processors import TemplateProcessing
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    BertTokenizer,
    LlamaConfig,
    LlamaForSequenceClassification,
    Qwen2Tokenizer,
)

from distill.export.folder import ExportRequest, export_model
from distill.export.gate import GateLimits
from distill.export.pairs import BUILT_IN, RealLists
from distill.export.source import open_source

TEXTS = [text for pair in BUILT_IN for text in pair]
WORDS = [
    "kettle",
    "vinegar",
    "boil",
    "rinse",
    "hour",
    "water",
    "copper",
    "whistle",
    "order",
    "keep",
    "python",
    "list",
    "torque",
    "screw",
    "apple",
    "prune",
]
# Twelve lists of a random model, whose trained vocabulary differs from process to process, say nothing of nDCG: its
# int8 graph has to be kept, not to be good.
LOOSE = GateLimits(tau_b=0.5, overlap=0.5, ndcg_loss=0.5)


def save_encoder(folder: Path, labels: int = 1, **config: Any) -> Path:
    """One layer of BERT with large weights: its scores lie well apart."""
    tokenizer = BertTokenizer().train_new_from_iterator(TEXTS * 2, vocab_size=600)
    tokenizer.model_max_length = 40
    torch.manual_seed(0)
    model = BertForSequenceClassification(
        BertConfig(
            vocab_size=len(tokenizer), hidden_size=32, num_hidden_layers=1, num_attention_heads=4, intermediate_size=64,
            max_position_embeddings=64, num_labels=labels, initializer_range=0.3, pad_token_id=tokenizer.pad_token_id,
            **config,
        )
    )  # fmt: skip
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def save_decoder(folder: Path, pad: bool = True, **config: Any) -> Path:
    """One layer of Llama; its pair's separators stand in the tokenizer and its end token pads, where ``pad``."""
    tokenizer = Qwen2Tokenizer().train_new_from_iterator(TEXTS * 2, vocab_size=600)
    tokenizer.model_max_length = 40
    tokenizer.pad_token = tokenizer.eos_token if pad else None
    ids = tokenizer.encode(" relevant:")
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single="$A", pair="$B <between> $A <end>",
        special_tokens=[
            {"id": name, "ids": ids, "tokens": tokenizer.convert_ids_to_tokens(ids)} for name in ("<between>", "<end>")
        ],
    )  # fmt: skip
    torch.manual_seed(0)
    model = LlamaForSequenceClassification(
        LlamaConfig(
            vocab_size=len(tokenizer), hidden_size=32, num_hidden_layers=1, num_attention_heads=4,
            num_key_value_heads=2, intermediate_size=64, max_position_embeddings=64, num_labels=1, use_cache=False,
            initializer_range=0.3, pad_token_id=tokenizer.eos_token_id if pad else None,
            rope_parameters={"rope_type": "default", "rope_theta": 50000.0}, **config,
        )
    )  # fmt: skip
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def real_lists() -> RealLists:
    """Twelve queries of two words with fifteen documents each; the first two documents are relevant."""
    queries = {f"q{n}": f"{WORDS[n]} {WORDS[n + 1]}" for n in range(12)}
    documents = {
        query_id: {
            f"d{k}": " ".join(WORDS[(n * 3 + k * 5 + j * (k + 1)) % 16] for j in range(3 + k)) for k in range(15)
        }
        for n, query_id in enumerate(queries)
    }
    return RealLists(queries, documents, {query_id: {"d0": 1, "d1": 1} for query_id in queries})


@pytest.fixture(scope="session")
def student(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Gives the folder of an "encoder" or a "decoder" as transformers saves it."""
    made: dict[str, Path] = {}

    def give(kind: str) -> Path:
        if kind not in made:
            folder = tmp_path_factory.mktemp("students") / kind
            made[kind] = save_encoder(folder) if kind == "encoder" else save_decoder(folder)
        return made[kind]

    return give


@pytest.fixture(scope="session")
def exported(
    tmp_path_factory: pytest.TempPathFactory, student: Callable[[str], Path], real_lists: RealLists
) -> Callable[..., Path]:
    """Gives a kind's folder exported to a target, made once."""
    made: dict[tuple[str, str], Path] = {}

    def give(kind: str = "encoder", target: str = "hf") -> Path:
        if (kind, target) not in made:
            out = tmp_path_factory.mktemp("exported") / f"{kind}-{target}"
            graph = give(kind, "onnx") / "onnx" / "model.onnx" if target == "onnx-int8" else None
            request = ExportRequest(target, out, BUILT_IN, real_lists, LOOSE, graph=graph)
            export_model(open_source(str(student(kind)), activation="logit"), request)
            made[kind, target] = out
        return made[kind, target]

    return give


@pytest.fixture
def copied(exported: Callable[..., Path], tmp_path: Path) -> Callable[..., Path]:
    """Gives a copy of an exported folder for a test to break."""

    def give(kind: str = "encoder", target: str = "hf") -> Path:
        return Path(shutil.copytree(exported(kind, target), tmp_path / f"copy-{kind}-{target}"))

    return give


def change(path: Path, *removed: str, **entries: Any) -> None:
    """Set keys of a JSON file, and take others out."""
    content = json.loads(path.read_text()) | entries
    path.write_text(json.dumps({key: value for key, value in content.items() if key not in removed}))
