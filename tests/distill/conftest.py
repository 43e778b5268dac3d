"""A whole small house: a collection in BEIR layout, tiny random models as folders, and a recipe over them."""

from __future__ import annotations

import random
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml
from tokenizers import Tokenizer, models, pre_tokenizers
from tokenizers.processors import TemplateProcessing
from transformers import BertConfig, BertModel, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from distill import cli
from distill.collections.beir import write_beir
from distill.collections.collection import Collection, Document
from teachers.baselines import StaticWeightsSettings
from teachers.fitting import RouteHeadSettings
from teachers.head_search import SearchSettings
from teachers.router import RouterSettings
from tests.distill.exported_folders import exported

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
NUMBERS = [str(n) for n in range(1, 30)]
VOCABULARY = [*SPECIAL, ":", "[", "]", "query", "document", "relevant", *NUMBERS, *(f"word{n}" for n in range(150))]


@pytest.fixture(scope="session")
def beir_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """60 documents of ten words; 48 queries of three words of one document, in three splits and without judgments."""
    chance = random.Random(0)
    documents = {
        f"d{n}": Document(f"d{n}", "", " ".join(f"word{chance.randrange(60)}" for _ in range(10))) for n in range(60)
    }
    queries, qrels = {}, {"train": {}, "dev": {}, "test": {}}
    for n in range(48):
        target = documents[f"d{n}"]
        queries[f"q{n}"] = " ".join(chance.sample(target.text.split(), 3))
        split = "train" if n < 24 else "dev" if n < 30 else "test" if n < 40 else None
        if split:
            qrels[split][f"q{n}"] = {target.doc_id: 1}
    folder = tmp_path_factory.mktemp("collection") / "beir"
    write_beir(Collection("tiny", documents, queries, qrels), folder)
    return folder


@pytest.fixture(scope="session")
def small_routehead() -> RouteHeadSettings:
    """One choice of everything: what takes a tiny teacher's time is choosing, in every fold."""
    return RouteHeadSettings(
        search=SearchSettings(bootstraps=2),
        router=RouterSettings(folds=2, epochs=10, components=(1,), thresholds=(0.0,)),
        static=StaticWeightsSettings(pool_sizes=(16,), l1=(0.02,)),
    )


@pytest.fixture(scope="session")
def causal_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random decoder of four layers with its tokenizer."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("models") / "decoder"
    LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(VOCABULARY), hidden_size=32, num_hidden_layers=4, num_attention_heads=4,
            num_key_value_heads=2, intermediate_size=64, max_position_embeddings=512, pad_token_id=3,
            eos_token_id=3, bos_token_id=2,
        )
    ).save_pretrained(folder)  # fmt: skip
    _tokenizer(eos_token="[SEP]", pad_token="[SEP]", bos_token="[CLS]").save_pretrained(folder)
    return folder


@pytest.fixture
def pin_on_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], str]:
    """Puts a folder into the hub's cache as a revision that the main branch has left behind; there is no network."""
    revision = "c1899de289a04d12100db370d81485cdf75e47ca"
    repository = tmp_path / "hub" / "models--somebody--something"
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(repository.parent))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("transformers.utils.hub.is_offline_mode", lambda: True)

    def pin(folder: Path) -> str:
        shutil.copytree(folder, repository / "snapshots" / revision)
        (repository / "refs").mkdir()
        (repository / "refs" / "main").write_text("0" * 40)
        return f"somebody/something@{revision}"

    return pin


@pytest.fixture(scope="session")
def encoder_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random encoder of two layers with its tokenizer."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("models") / "encoder"
    BertModel(
        BertConfig(
            vocab_size=len(VOCABULARY), hidden_size=32, num_hidden_layers=2, num_attention_heads=4,
            intermediate_size=64, max_position_embeddings=64,
        )
    ).save_pretrained(folder)  # fmt: skip
    tokenizer = _tokenizer(pad_token="[PAD]", cls_token="[CLS]", sep_token="[SEP]")
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def recipe_file(
    tmp_path_factory: pytest.TempPathFactory, beir_folder: Path, causal_folder: Path, encoder_folder: Path
) -> Path:
    """A recipe that trains both students on the small house."""
    recipe = {
        "name": "tiny",
        "collection": {"kind": "beir", "path": str(beir_folder)},
        "first_stage": {"depth": 12, "candidates": 6, "bm25": {"stemmer": "none", "stop_words": "none"}},
        "teacher": {
            "model": str(causal_folder),
            "routehead": {"router": {"folds": 2, "epochs": 10}, "search": {"bootstraps": 2}},
            "mix": {"first_stage": True, "pre_ranker": str(encoder_folder)},
        },
        "encoder": {"start": str(encoder_folder), "max_tokens": 32, "trainer": {"num_train_epochs": 1}},
        "decoder": {"start": str(causal_folder), "layers": 2, "max_tokens": 48, "trainer": {"num_train_epochs": 1}},
        "evaluation": {"timed_queries": 2},
    }
    path = tmp_path_factory.mktemp("recipe") / "tiny.yaml"
    path.write_text(yaml.safe_dump(recipe))
    return path


@pytest.fixture(scope="session")
def onnx_folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Gives the folder of one of `exported_folders.KINDS`, with weights and graph, made once."""
    made: dict[str, Path] = {}

    def give(kind: str = "encoder") -> Path:
        if kind not in made:
            made[kind] = exported(kind, tmp_path_factory.mktemp("exported") / kind.replace(" ", "_"))
        return made[kind]

    return give


@pytest.fixture
def copied(onnx_folder: Callable[..., Path], tmp_path: Path) -> Path:
    """An encoder's folder that a test may break, without weights, as the int8 target leaves it."""
    folder = Path(shutil.copytree(onnx_folder(), tmp_path / "exported"))
    (folder / "model.safetensors").unlink()
    return folder


@pytest.fixture
def distill(monkeypatch, capsys):
    """Calls the command line; returns exit code, standard output and standard error."""

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["distill", *map(str, arguments)])
        try:
            cli.main()
            code = 0
        except SystemExit as stop:
            code = stop.code or 0
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


def _tokenizer(**special: str) -> PreTrainedTokenizerFast:
    words = Tokenizer(models.WordLevel({word: i for i, word in enumerate(VOCABULARY)}, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(tokenizer_object=words, unk_token="[UNK]", model_max_length=64, **special)
