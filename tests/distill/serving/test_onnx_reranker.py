"""An exported graph scores as transformers does one pair at a time, and says what is wrong with a folder."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from distill.errors import ModelError
from distill.serving.graph_file import holds_graph_alone
from distill.serving.onnx_reranker import OnnxReranker
from distill.serving.threads import default_threads
from students.scoring import Reranker
from tests.distill.exported_folders import KINDS, TEXTS, changed

LISTS = [
    ("the cat", [*TEXTS, "", " ", "cat " * 300, "a [SEP] b [PAD] <|endoftext|> [CLS]", "nul \x00 and \u200f mark"]),
    ("검색 🙂", ["고양이", "🙂 " * 200]),
    ("nothing to rank", []),
    ("a query that is longer than the model reads " * 20, ["the mat", "the mat " * 50]),
]


def scores_of_transformers(folder: Path, lists=LISTS) -> list[list[float]]:
    """One pair at a time, so that no batch and no padding is in it."""
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    with torch.inference_mode():
        return [
            [
                float(model(**tokenizer([query], [text], truncation=True, return_tensors="pt")).logits[0, 0])
                for text in documents
            ]
            for query, documents in lists
        ]


@pytest.mark.parametrize("kind", KINDS)
def test_scores_are_those_of_transformers(onnx_folder, kind):
    expected = scores_of_transformers(onnx_folder(kind))
    found = OnnxReranker.load(onnx_folder(kind), threads=1).score_many(LISTS)
    assert [len(row) for row in found] == [len(documents) for _, documents in LISTS]
    for row, of_transformers in zip(found, expected, strict=True):
        assert row == pytest.approx(of_transformers, abs=1e-4)
    # the scores tell documents apart, or nothing would be shown
    assert max(expected[0]) - min(expected[0]) > 0.1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("batch_tokens", [1, 10_000])
def test_the_size_of_batches_changes_no_score(onnx_folder, kind, batch_tokens):
    one = OnnxReranker.load(onnx_folder(kind), threads=1)
    other = OnnxReranker(one.folder, one.session, batch_tokens)
    for row, expected in zip(other.score_many(LISTS), one.score_many(LISTS), strict=True):
        assert row == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_tokens_are_counted_and_passages_scored_as_with_torch(onnx_folder, kind, tmp_path):
    folder = shutil.copytree(onnx_folder(kind), tmp_path / "student")
    changed(folder / "config.json", passages={"tokens": 6, "overlap": 2, "most": 4})
    ours, theirs = OnnxReranker.load(folder, threads=1), Reranker.load(folder)
    whole = OnnxReranker.load(folder, in_passages=False, threads=1)
    for query, documents in LISTS:
        assert ours.score_pairs(query, documents) == pytest.approx(theirs.score_pairs(query, documents), abs=1e-4)
        assert ours.count_tokens(query, documents) == theirs.count_tokens(query, documents)
        # cut, scored, and cut again: neither truncation is left behind for the other
        assert ours.score_pairs(query, documents) == pytest.approx(theirs.score_pairs(query, documents), abs=1e-4)
    assert whole.score_pairs(*LISTS[0]) == pytest.approx(scores_of_transformers(folder)[0], abs=1e-4)
    assert whole.count_tokens(*LISTS[0]) < ours.count_tokens(*LISTS[0])


def test_several_threads_may_score_at_once(copied):
    changed(copied / "config.json", passages={"tokens": 6})
    reranker = OnnxReranker.load(copied, threads=1)
    lists = [(query, documents) for query, documents in LISTS if documents] * 8
    alone = [reranker.score_pairs(*one) for one in lists]
    with ThreadPoolExecutor(4) as threads:
        together = list(threads.map(lambda one: reranker.score_pairs(*one), lists))
    for row, expected in zip(together, alone, strict=True):
        assert row == pytest.approx(expected, abs=1e-5)


def test_a_tokenizer_without_a_length_is_bounded_by_the_model_s_positions(copied):
    changed(copied / "tokenizer_config.json", model_max_length=1e30)
    assert OnnxReranker.load(copied, threads=1).count_tokens("cat", ["cat " * 300]) == 64


def test_left_truncation_keeps_the_end(onnx_folder, tmp_path):
    folder = shutil.copytree(onnx_folder(), tmp_path / "student")
    changed(folder / "tokenizer_config.json", truncation_side="left")
    lists = [("cat", ["mat " * 60 + "cat", "cat " + "mat " * 60])]
    found = OnnxReranker.load(folder, threads=1).score_many(lists)
    assert found[0] == pytest.approx(scores_of_transformers(folder, lists)[0], abs=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_a_long_pair_is_cut_as_transformers_does_in_few_windows(onnx_folder, kind):
    query, documents = "the cat sat on the mat 검색 " * 40, ["emoji 🙂 and café " * 60, "search", "🙂" * 400]
    reranker = OnnxReranker.load(onnx_folder(kind), threads=1)
    theirs = AutoTokenizer.from_pretrained(onnx_folder(kind))([query] * 3, documents, truncation=True)
    encodings = reranker._encode([query] * 3, documents)
    assert [encoding.ids for encoding in encodings] == theirs["input_ids"]
    assert max(len(encoding.overflowing) for encoding in encodings) < 60
    # of the whole texts there are hundreds
    assert len(theirs.encodings[0].overflowing) > 200


def test_a_folder_without_weights_is_known(onnx_folder, copied):
    assert holds_graph_alone(copied)
    assert not holds_graph_alone(onnx_folder())
    assert not holds_graph_alone(copied / "nowhere")


def remove(name):
    return lambda folder: (folder / name).unlink()


def write(name, content):
    return lambda folder: (folder / name).write_bytes(content)


def config(**entries):
    return lambda folder: changed(folder / "config.json", **entries)


def tokenizer_config(**entries):
    return lambda folder: changed(folder / "tokenizer_config.json", **entries)


def no_length(**entries):
    """Settings that leave the length to the model's positions, which are no number."""
    return lambda folder: (tokenizer_config(model_max_length=None)(folder), config(**entries)(folder))


def several_outputs(folder):
    labels = {str(number): f"LABEL_{number}" for number in range(3)}
    changed(folder / "config.json", id2label=labels)


def no_padding(folder):
    changed(folder / "config.json", pad_token_id=None)
    changed(folder / "tokenizer_config.json", pad_token=None)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (shutil.rmtree, "no such folder"),
        (remove("onnx/model.onnx"), "no ONNX graph here .*; write one with `distill export MODEL --target onnx"),
        (write("onnx/model.onnx", b""), "ONNX Runtime cannot open this graph .*`distill export MODEL --target onnx"),
        (write("onnx/model.onnx", b"\x00garbage"), "ONNX Runtime cannot open this graph"),
        (remove("tokenizer.json"), r"tokenizer\.json: missing; export the folder again"),
        (write("tokenizer.json", b"{}"), r"tokenizer\.json: not a tokenizer \(.*\); export the folder again"),
        (remove("config.json"), r"config\.json: missing; export"),
        (write("config.json", b"\xff"), r"config\.json: cannot be read"),
        (write("config.json", b"[]"), r"config\.json: not a JSON object"),
        (several_outputs, "one output, this model has 3"),
        (no_padding, "has a padding token"),
        (config(passages={"tokens": 0}), r"passages\.tokens: Input should be"),
        (write("config.json", b"[" * 50_000), r"config\.json: cannot be read"),
        (config(id2label=["a"]), r'config\.json: id2label \["a"\]; one name by its number is accepted'),
        (tokenizer_config(model_max_length="128"), r'tokenizer_config\.json: model_max_length "128"; a number from 1'),
        (tokenizer_config(model_max_length=-1), r"tokenizer_config\.json: model_max_length -1; a number from 1 is"),
        (tokenizer_config(model_max_length=float("nan")), r"tokenizer_config\.json: model_max_length NaN; a number"),
        (tokenizer_config(model_max_length=True), r"tokenizer_config\.json: model_max_length true; a number from 1 is"),
        (no_length(max_position_embeddings="64"), r'/config\.json: max_position_embeddings "64"; a number from 1 is'),
        (no_length(max_position_embeddings=-1), r"/config\.json: max_position_embeddings -1; a number from 1 is"),
        (tokenizer_config(truncation_side=None), r"tokenizer_config\.json: truncation_side null; left and right are"),
        (tokenizer_config(truncation_side="up"), r'tokenizer_config\.json: truncation_side "up"; left and right are'),
        (
            tokenizer_config(pad_token_type_id=[1]),
            r"tokenizer_config\.json: pad_token_type_id \[1\]; a whole number",
        ),
    ],
)
def test_a_folder_that_cannot_be_served_says_what_to_do(copied, spoil, said):
    spoil(copied)
    with pytest.raises(ModelError, match=said) as caught:
        OnnxReranker.load(copied)
    assert "\n" not in str(caught.value)


def test_labels_without_names_are_those_that_transformers_would_name(copied, onnx_folder):
    changed(copied / "config.json", id2label=None)
    (row,) = OnnxReranker.load(copied, threads=1).score_many(LISTS[1:2])
    assert row == pytest.approx(scores_of_transformers(onnx_folder(), LISTS[1:2])[0], abs=1e-4)


def test_a_graph_that_is_no_re_ranker_s_is_refused(copied):
    import onnx
    from onnx import TensorProto, helper

    def write_graph(output, shape, name="input_ids"):
        nodes = [helper.make_node("Cast", [name], [output], to=TensorProto.FLOAT)]
        given = [helper.make_tensor_value_info(name, TensorProto.INT64, shape)]
        gives = [helper.make_tensor_value_info(output, TensorProto.FLOAT, shape)]
        model = helper.make_model(
            helper.make_graph(nodes, "g", given, gives), opset_imports=[helper.make_opsetid("", 18)], ir_version=10
        )
        onnx.save(model, copied / "onnx" / "model.onnx")

    for graph, said in (
        (("scores", ["batch", 1]), "outputs scores; a re-ranker's is called logits"),
        (("logits", ["batch", 2]), r"logits has shape \['batch', 2\]; a re-ranker's is \[batch, 1\]"),
        (("logits", ["batch", 1], "pixels"), "inputs pixels; accepted are attention_mask, input_ids, token_type_ids"),
    ):
        write_graph(*graph)
        with pytest.raises(ModelError, match=said):
            OnnxReranker.load(copied)


def test_token_types_go_only_where_the_graph_asks_for_them(onnx_folder):
    asked = {kind: {node.name for node in OnnxReranker.load(onnx_folder(kind)).session.get_inputs()} for kind in KINDS}
    assert "token_type_ids" in asked["encoder"]
    assert "token_type_ids" not in asked["left padded decoder"]


@pytest.mark.parametrize(("told", "threads"), [("1", 1), ("3,2", 3)])
def test_threads_are_those_of_the_environment(monkeypatch, told, threads):
    monkeypatch.setenv("OMP_NUM_THREADS", told)
    assert default_threads() == threads


@pytest.mark.parametrize("told", ["", "many", "0"])
def test_without_a_number_there_are_as_many_threads_as_processors(monkeypatch, told):
    import os

    monkeypatch.setenv("OMP_NUM_THREADS", told)
    assert default_threads() == len(os.sched_getaffinity(0))
