"""A model with what runs it, in one word and with a command's options."""

from __future__ import annotations

import importlib.util

import pytest
import torch
from transformers import AutoConfig

from distill.collections.beir import read_beir
from distill.errors import ModelError
from distill.stages import rankers
from distill.stages.rankers import RankerReference, open_ranker, rerank


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("./folder", RankerReference("./folder")),
        ("onnx:./folder", RankerReference("./folder", "onnx")),
        ("torch:Qwen/Qwen3-0.6B", RankerReference("Qwen/Qwen3-0.6B", "torch")),
        ("bfloat16:./folder", RankerReference("./folder", "torch", "bfloat16")),
        ("package:name/model", RankerReference("package:name/model")),
        ("onnx:package:name/model", RankerReference("package:name/model", "onnx")),
        ("C:\\folder", RankerReference("C:\\folder")),
    ],
)
def test_references_are_read(text, expected):
    assert RankerReference.parse(text) == expected


def test_a_path_may_begin_as_a_prefix_does(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "onnx:folder").mkdir()
    assert RankerReference.parse("onnx:folder") == RankerReference("onnx:folder")


def test_auto_takes_the_graph_where_nothing_else_can_run(onnx_folder, copied, monkeypatch):
    both = str(onnx_folder())
    assert RankerReference(both).settled().backend == "torch"
    assert RankerReference(str(copied)).settled().backend == "onnx"
    assert RankerReference("org/name").settled().backend == "torch"
    assert RankerReference(str(copied), "torch").settled().backend == "torch"
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert RankerReference(both).settled().backend == "onnx"


def test_options_complete_a_reference_and_do_not_contradict_it():
    plain, half = RankerReference("./m"), RankerReference("./m", "torch", "bfloat16")
    assert plain.told("onnx", None) == RankerReference("./m", "onnx")
    assert plain.told("auto", "float16") == RankerReference("./m", "torch", "float16")
    assert half.told("auto", None) == half
    with pytest.raises(ModelError, match="is asked for with torch, and --backend says onnx"):
        half.told("onnx", None)
    with pytest.raises(ModelError, match="is asked for in bfloat16, and --dtype says float16"):
        half.told("auto", "float16")


def test_half_precision_is_near_full_precision(onnx_folder):
    full, half = (open_ranker(f"{kind}:{onnx_folder()}", "cpu") for kind in ("float32", "bfloat16"))
    assert half.model.dtype != full.model.dtype
    documents = ["the cat sat on the mat", "emoji"]
    assert half.score_pairs("the cat", documents) == pytest.approx(full.score_pairs("the cat", documents), abs=0.3)


def test_a_family_that_fails_in_half_precision_is_refused_in_it(tmp_path):
    AutoConfig.for_model("deberta", architectures=["DebertaForSequenceClassification"]).save_pretrained(tmp_path)
    for number_type in ("bfloat16", "float16"):
        with pytest.raises(ModelError, match=f"runs deberta in float32 alone; got {number_type}"):
            open_ranker(f"{number_type}:{tmp_path}", "cpu")


@pytest.mark.parametrize(
    ("fast", "fp32_only", "prefix", "expected"),
    [
        (True, "deberta", "", torch.bfloat16),
        (True, "bert", "", torch.float32),
        (False, "deberta", "", torch.float32),
        (True, "deberta", "torch:", torch.bfloat16),
        (True, "deberta", "float32:", torch.float32),
    ],
)
def test_auto_is_bf16_where_it_is_fast_and_the_model_can_be_run_in_it(
    onnx_folder, monkeypatch, fast, fp32_only, prefix, expected
):
    monkeypatch.setattr(rankers, "runs_bf16_fast", lambda: fast)
    monkeypatch.setattr("students.start_model.FP32_ONLY", {fp32_only})
    reference = RankerReference.parse(f"{prefix}{onnx_folder()}", dtype="auto")
    assert open_ranker(reference, "cpu").model.dtype == expected


def test_a_graph_has_its_own_number_type(copied, monkeypatch):
    monkeypatch.setattr(rankers, "runs_bf16_fast", lambda: True)
    for number_type in ("auto", "float32"):
        open_ranker(RankerReference(str(copied), dtype=number_type))
    with pytest.raises(ModelError, match="an ONNX graph has its own number type; bfloat16 is torch's"):
        open_ranker(RankerReference(str(copied), dtype="bfloat16"))


def test_lists_are_scored_several_at_a_time_as_each_one_alone(onnx_folder, beir_folder, monkeypatch):
    collection, folder = read_beir(beir_folder), onnx_folder()
    documents = list(collection.documents)
    run = {"q1": documents[:4], "q2": documents[2:4], "q3": documents[4:9], "q4": documents[:1]}
    lists = {query_id: dict.fromkeys(row, 0.0) for query_id, row in run.items()}
    progress = []
    # q1 and q2 have six documents and are scored together, before q3's five and q4's one
    monkeypatch.setattr(rankers, "DOCUMENTS_TOGETHER", 6)
    ranked = rerank(folder, collection, lists, lambda done, total: progress.append((done, total)))
    assert progress == [(2, 4), (4, 4)]
    alone = open_ranker(str(folder))
    for query_id, row in run.items():
        expected = alone.score_pairs(collection.query(query_id), [collection.text(doc_id) for doc_id in row])
        assert list(ranked[query_id]) == row
        assert list(ranked[query_id].values()) == pytest.approx(expected, abs=1e-5)
