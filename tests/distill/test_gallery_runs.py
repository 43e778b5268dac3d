"""Recipes of the gallery at miniature size: random models of the very architectures they name, from data to export."""

from __future__ import annotations

import io
import json
import random
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console
from sentence_transformers import CrossEncoder
from tokenizers import ByteLevelBPETokenizer, Tokenizer
from tokenizers.processors import TemplateProcessing
from transformers import (
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    LlamaConfig,
    ModernBertConfig,
    PretrainedConfig,
    PreTrainedTokenizerFast,
    Qwen2Tokenizer,
    Qwen3Config,
    XLMRobertaConfig,
)

from distill.collections.beir import write_beir
from distill.collections.collection import Collection, Document
from distill.pipeline import run_recipe
from distill.recipe.file import load_recipe

KOREAN = [
    noun + particle
    for noun in ("김치", "냉장고", "운동화", "노트북", "서울", "여행")
    for particle in ("", "를", "에서", "의", "는")
]
WORDS = [*(f"word{n}" for n in range(60)), *KOREAN]
CHAT = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "<|im_start|>assistant\n"
)
TINY: dict[str, Any] = {
    "hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 48,
    "max_position_embeddings": 514,
}  # fmt: skip
# as few queries, documents and steps as the stages take
SMALL = [
    "first_stage.depth=8", "first_stage.candidates=4", "queries.fit_limit=14", "queries.label_limit=6",
    "queries.dev_limit=2", "queries.test_limit=4", "teacher.routehead.router.folds=2",
    "teacher.routehead.router.epochs=5", "teacher.routehead.search.bootstraps=2", "encoder.trainer.max_steps=2",
    "decoder.trainer.max_steps=2", "decoder.layers=2", "evaluation.timed_queries=1", "export.pairs=4",
]  # fmt: skip


def saved(folder: Path, config: PretrainedConfig, tokenizer: Any, auto: Any = AutoModelForCausalLM) -> str:
    torch.manual_seed(0)
    auto.from_config(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


def byte_level(special: list[str], **names: Any) -> PreTrainedTokenizerFast:
    """A small tokenizer of ModernBERT's and Llama 3's kind, trained on the collection's words."""
    trained = ByteLevelBPETokenizer()
    trained.train_from_iterator([" ".join(WORDS)] * 3, vocab_size=400, special_tokens=special, show_progress=False)
    return PreTrainedTokenizerFast(tokenizer_object=Tokenizer.from_str(trained.to_str()), **names)


@pytest.fixture(scope="session")
def qwen3(tmp_path_factory):
    """Qwen3 as it comes: a chat template, a padding token of its own, heads wider than their share of the states."""
    tokenizer = Qwen2Tokenizer().train_new_from_iterator([" ".join(WORDS)] * 3, vocab_size=400)
    tokenizer.chat_template = CHAT
    config = Qwen3Config(
        **TINY, vocab_size=len(tokenizer), num_key_value_heads=2, head_dim=16, tie_word_embeddings=True,
        bos_token_id=None, eos_token_id=tokenizer.eos_token_id, pad_token_id=None,
    )  # fmt: skip
    return saved(tmp_path_factory.mktemp("models") / "qwen3", config, tokenizer)


@pytest.fixture(scope="session")
def llama(tmp_path_factory):
    """Llama 3 as it comes: no padding token at all, a begin token that the tokenizer sets."""
    special = ["<|begin_of_text|>", "<|eot_id|>", "<|im_start|>", "<|im_end|>"]
    tokenizer = byte_level(special, bos_token=special[0], eos_token=special[1], chat_template=CHAT)
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single=f"{special[0]} $A", pair=f"{special[0]} $A {special[0]} $B", special_tokens=[(special[0], 0)]
    )
    config = LlamaConfig(
        **TINY, vocab_size=len(tokenizer), num_key_value_heads=2, bos_token_id=0, eos_token_id=[1, 3],
        rope_parameters={"rope_type": "llama3", "rope_theta": 5e5, "factor": 8.0, "low_freq_factor": 1.0,
                         "high_freq_factor": 4.0, "original_max_position_embeddings": 512},
    )  # fmt: skip
    return saved(tmp_path_factory.mktemp("models") / "llama", config, tokenizer)


@pytest.fixture(scope="session")
def modernbert(tmp_path_factory):
    """ModernBERT as it comes: a masked language model with local and global attention."""
    special = ["[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]"]
    tokenizer = byte_level(special, **{f"{word[1:-1].lower()}_token": word for word in special}, model_max_length=512)
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
    )
    tokenizer.model_input_names = ["input_ids", "attention_mask"]
    config = ModernBertConfig(
        **TINY, vocab_size=len(tokenizer), local_attention=8, cls_token_id=1, bos_token_id=1, sep_token_id=2,
        eos_token_id=2, pad_token_id=3,
    )  # fmt: skip
    return saved(tmp_path_factory.mktemp("models") / "modernbert", config, tokenizer, AutoModelForMaskedLM)


@pytest.fixture(scope="session")
def xlm_roberta(tmp_path_factory):
    """XLM-RoBERTa as it comes: positions behind the padding token's, one kind of token."""
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    names = {"bos": 0, "cls": 0, "pad": 1, "eos": 2, "sep": 2, "unk": 3, "mask": 4}
    tokenizer = byte_level(special, **{f"{name}_token": special[at] for name, at in names.items()})
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    config = XLMRobertaConfig(**TINY, vocab_size=len(tokenizer), type_vocab_size=1, pad_token_id=1)
    return saved(tmp_path_factory.mktemp("models") / "xlm_roberta", config, tokenizer, AutoModelForMaskedLM)


def collection(name: str, words: list[str], queries: int = 32) -> Collection:
    """Documents of eight words; queries of three words of one of them, with frequencies, most without judgments."""
    chance = random.Random(0)
    documents = {f"d{n}": Document(f"d{n}", "", " ".join(chance.choices(words, k=8))) for n in range(40)}
    texts = {f"q{n}": " ".join(chance.sample(documents[f"d{n}"].text.split(), 3)) for n in range(queries)}
    qrels: dict[str, dict[str, dict[str, int]]] = {"train": {}, "dev": {}, "test": {}}
    for n in range(20):
        qrels["train" if n < 14 else "dev" if n < 16 else "test"][f"q{n}"] = {f"d{n}": 1}
    return Collection(name, documents, texts, qrels, {q: {"frequency": 1 + n % 3} for n, q in enumerate(texts)})


@pytest.fixture(scope="session")
def english(tmp_path_factory):
    folder = tmp_path_factory.mktemp("collections") / "english"
    write_beir(collection("english", WORDS[:60]), folder)
    return folder


@pytest.fixture(scope="session")
def korean(tmp_path_factory):
    folder = tmp_path_factory.mktemp("collections") / "korean"
    write_beir(collection("korean", KOREAN), folder)
    return folder


def carry_out(name: str, out: Path, *overrides: str) -> dict[str, Any]:
    """Runs a packaged recipe at miniature size; what it measured."""
    shown = io.StringIO()
    run_recipe(load_recipe(name, [*SMALL, *overrides]), out, Console(file=shown, width=200))
    return dict(json.loads((out / "evaluation" / "metrics.json").read_text(encoding="utf-8")))


def assert_exported(out: Path, architectures: dict[str, str]) -> None:
    """Each student's folder is what its family's name says, and scores for a stranger as it did here."""
    for student, architecture in architectures.items():
        folder = out / "export" / student / "model"
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        assert config["architectures"] == [architecture]
        pairs = json.loads((folder / "parity.json").read_text(encoding="utf-8"))
        scores = CrossEncoder(str(folder)).predict([(pair["query"], pair["document"]) for pair in pairs])
        assert scores.tolist() == pytest.approx([pair["score"] for pair in pairs], abs=1e-4)


STUDENTS = {"encoder": "ModernBertForSequenceClassification", "decoder": "Qwen3ForSequenceClassification"}
HEADS = {"all_heads", "static_heads", "static_weights", "routehead", "mixture"}


def test_an_8b_teacher_and_its_students_on_one_gpu(tmp_path, english, qwen3, modernbert):
    out = tmp_path / "run"
    places = [f"collection.path={english}", f"teacher.model={qwen3}", f"encoder.start={modernbert}"]
    metrics = carry_out("gpu-8b", out, *places, f"decoder.start={qwen3}")
    assert set(metrics["systems"]) == {"first_stage", "bi_encoder", "encoder", "decoder", *HEADS}
    assert metrics["queries"] == 4
    assert_exported(out, STUDENTS)


def test_a_llama_teaches_what_qwen_does(tmp_path, english, llama, qwen3, modernbert):
    out = tmp_path / "run"
    places = [f"collection.path={english}", f"teacher.model={llama}", f"encoder.start={modernbert}"]
    metrics = carry_out("gpu-8b-llama", out, *places, f"decoder.start={qwen3}", "encoder=null")
    assert set(metrics["systems"]) == {"first_stage", "decoder", *HEADS}
    assert_exported(out, {"decoder": STUDENTS["decoder"]})


def test_korean_tail_queries_teach_a_multilingual_encoder(tmp_path, korean, qwen3, xlm_roberta):
    out = tmp_path / "run"
    places = [f"collection.path={korean}", f"teacher.model={qwen3}", f"encoder.start={xlm_roberta}"]
    # kiwipiepy takes seconds to load, and is tested where it is called
    rules = ["first_stage.bm25.language=korean_particles", "encoder.language=korean_particles"]
    metrics = carry_out("korean-tail", out, *places, *rules, "decoder=null")
    assert set(metrics["systems"]) == {"first_stage", "bi_encoder", "encoder", *HEADS}
    assert_exported(out, {"encoder": "XLMRobertaForSequenceClassification"})


def test_a_query_log_teaches_without_a_judgment(tmp_path, english, qwen3, modernbert):
    out, log, heads = tmp_path / "run", tmp_path / "log.csv", tmp_path / "heads.json"
    asked = collection("english", WORDS[:60]).queries.values()
    log.write_text("query,frequency\n" + "".join(f"{text},{1 + n % 4}\n" for n, text in enumerate(asked)))
    features = {"mass": "calibrated", "normalise": "zscore"}
    heads.write_text(json.dumps({"method": "static_heads", "heads": {"0.1": 0.5, "1.0": 0.5}, "features": features}))
    places = [f"collection.corpus={english / 'corpus.jsonl'}", f"collection.log={log}", f"encoder.start={modernbert}"]
    few = ["queries.tail.sample=14", "queries.held_out={dev: 2, test: 4}", "decoder=null"]
    # published heads are of a model of its size; a file of heads stands in for them
    carry_out("query-log", out, *places, *few, f"teacher.model={qwen3}", f"teacher.published={heads}")
    assert_exported(out, {"encoder": STUDENTS["encoder"]})


def test_two_runs_are_compared_and_nothing_is_trained(tmp_path, english):
    first = tmp_path / "first.run"
    second = tmp_path / "second.run"
    judged = [f"q{n}" for n in range(16, 20)]
    first.write_text("".join(f"{q} Q0 d{n} {n + 1} {40 - n} x\n" for q in judged for n in range(40)))
    second.write_text("".join(f"{q} Q0 d{n} {40 - n} {n} x\n" for q in judged for n in range(40)))
    out = tmp_path / "run"
    places = [f"collection.path={english}", f"runs.before={first}", f"runs.after={second}"]
    run_recipe(load_recipe("ab-only", places), out, Console(file=io.StringIO(), width=200))
    metrics = json.loads((out / "evaluation" / "metrics.json").read_text(encoding="utf-8"))
    assert set(metrics["systems"]) == {"before", "after"}
    # the only relevant document of q16 to q19 is at rank 17 to 20 of one run and 24 to 21 of the other
    expected = {
        "before": sum(1 / rank for rank in (17, 18, 19, 20)) / 4,
        "after": sum(1 / rank for rank in (21, 22, 23, 24)) / 4,
    }
    assert {name: row["AP"] for name, row in metrics["systems"].items()} == pytest.approx(expected)


def test_a_judge_over_several_devices_labels(tmp_path, english, llama, modernbert):
    out = tmp_path / "run"
    places = [f"collection.path={english}", f"teacher.model={llama}", f"encoder.start={modernbert}", "decoder=null"]
    # without GPUs accelerate's map holds the processor alone; labels on Ray are tested with the engines
    carry_out("multi-gpu-70b", out, *places, "labels.engine.name=local")
    assert json.loads((out / "labels" / "manifest.json").read_text())["counts"]["failed"] == 0
    assert_exported(out, {"encoder": STUDENTS["encoder"]})
