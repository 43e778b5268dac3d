"""Which server can load what: read off the folders' own files."""

from __future__ import annotations

import json

import pytest

from distill.errors import ModelError
from distill.export.model_folder import ModelFolder, read_model_folder
from distill.export.servers import SERVERS, TARGETS, refuse_impossible, verdicts

BERT_PAIR = {"type": "TemplateProcessing", "pair": [
    {"SpecialToken": {"id": "[CLS]"}}, {"Sequence": {"id": "A"}}, {"SpecialToken": {"id": "[SEP]"}},
    {"Sequence": {"id": "B", "type_id": 1}}, {"SpecialToken": {"id": "[SEP]"}},
]}  # fmt: skip
ROBERTA_PAIR = {"type": "RobertaProcessing", "cls": ["<s>", 0], "sep": ["</s>", 2]}
PROMPT_PAIR = {"type": "Sequence", "processors": [{"type": "ByteLevel"}, {"type": "TemplateProcessing", "pair": [
    {"SpecialToken": {"id": "<part-0>"}}, {"Sequence": {"id": "B"}}, {"SpecialToken": {"id": "<part-2>"}},
    {"Sequence": {"id": "A"}}, {"SpecialToken": {"id": "<part-4>"}},
]}]}  # fmt: skip


def folder(tmp_path, model_type, pair, tokenizer_class):
    config = {"model_type": model_type, "type_vocab_size": 2 if model_type == "bert" else 0}
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "tokenizer.json").write_text(json.dumps({"post_processor": pair}))
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": tokenizer_class}))
    return read_model_folder(tmp_path)


def able(read: ModelFolder, target):
    return {name for name, server in SERVERS.items() if server.refusal(read, target) is None}


TORCH = {"sentence-transformers", "vllm", "infinity"}
JAVA = {"opensearch", "vespa"}


@pytest.mark.parametrize(
    ("model_type", "pair", "tokenizer", "hf", "onnx", "int8"),
    [
        ("bert", BERT_PAIR, "BertTokenizer", TORCH | {"tei", "elasticsearch"},
         TORCH | JAVA | {"tei", "elasticsearch", "onnxruntime"}, JAVA | {"tei", "onnxruntime"}),
        ("roberta", ROBERTA_PAIR, "RobertaTokenizer", TORCH | {"tei", "elasticsearch"},
         TORCH | {"tei", "elasticsearch", "opensearch", "onnxruntime"},
         {"tei", "opensearch", "onnxruntime"}),
        # a tokenizer of its own: not for Elasticsearch
        ("modernbert", BERT_PAIR, "PreTrainedTokenizerFast", TORCH | {"tei"}, TORCH | JAVA | {"tei", "onnxruntime"},
         JAVA | {"tei", "onnxruntime"}),
        # text-embeddings-inference has no classifier for it, and vLLM none at all
        ("distilbert", BERT_PAIR, "DistilBertTokenizer", {"sentence-transformers", "infinity", "elasticsearch"},
         {"sentence-transformers", "infinity", "elasticsearch", "tei", "onnxruntime"} | JAVA,
         JAVA | {"tei", "onnxruntime"}),
        ("qwen3", PROMPT_PAIR, "Qwen2Tokenizer", TORCH, TORCH | {"onnxruntime"}, {"onnxruntime"}),
    ],
    ids=["BERT", "RoBERTa", "ModernBERT", "DistilBERT", "decoder"],
)  # fmt: skip
def test_who_can_load_what(model_type, pair, tokenizer, hf, onnx, int8, tmp_path):
    read = folder(tmp_path, model_type, pair, tokenizer)
    assert [able(read, target) for target in TARGETS] == [hf, onnx, int8]


def test_reasons_name_what_stands_in_the_way(tmp_path):
    decoder = folder(tmp_path, "qwen3", PROMPT_PAIR, "Qwen2Tokenizer")
    reasons = {verdict.server: verdict.reason for verdict in verdicts(decoder, "onnx")}
    assert "a decoder (qwen3)" in reasons["text-embeddings-inference"]
    assert "not [CLS] query [SEP] document [SEP]" in reasons["Elasticsearch (eland)"]
    reordered = {**BERT_PAIR, "pair": [BERT_PAIR["pair"][i] for i in (0, 3, 2, 1, 4)]}
    encoder = folder(tmp_path, "bert", reordered, "BertTokenizer")
    assert "the pair template [CLS] document [SEP] query [SEP]" in SERVERS["vespa"].refusal(encoder, "onnx")
    plain = {**BERT_PAIR, "pair": [{"Sequence": {"id": "B"}} if "Sequence" in piece and piece["Sequence"]["id"] == "B"
                                   else piece for piece in BERT_PAIR["pair"]]}  # fmt: skip
    untyped = folder(tmp_path, "bert", plain, "BertTokenizer")
    assert "the same token type" in SERVERS["vespa"].refusal(untyped, "onnx")
    assert SERVERS["opensearch"].refusal(untyped, "onnx") is None
    xlm_r = folder(tmp_path, "xlm-roberta", ROBERTA_PAIR, "XLMRobertaTokenizer")
    assert "no sentencepiece.bpe.model" in SERVERS["elasticsearch"].refusal(xlm_r, "hf")
    (tmp_path / "sentencepiece.bpe.model").write_bytes(b"")
    assert SERVERS["elasticsearch"].refusal(xlm_r, "hf") is None
    custom = folder(tmp_path, "bert", BERT_PAIR, "MyTokenizer")
    assert "the tokenizer MyTokenizer" in SERVERS["elasticsearch"].refusal(custom, "hf")


def test_a_server_that_was_asked_for_and_cannot_is_refused(tmp_path):
    decoder = folder(tmp_path, "llama", PROMPT_PAIR, "PreTrainedTokenizerFast")
    refuse_impossible(decoder, "hf", ["vllm", "infinity"])
    with pytest.raises(ModelError, match="text-embeddings-inference cannot run it: a decoder"):
        refuse_impossible(decoder, "hf", ["vllm", "tei"])
    with pytest.raises(ModelError, match="--for solr: no such server; accepted are sentence-transformers, vllm"):
        refuse_impossible(decoder, "hf", ["solr"])


def test_pairs_are_read_off_the_post_processor(tmp_path):
    assert folder(tmp_path, "bert", BERT_PAIR, "").pair == ["[CLS]", "$A", "[SEP]", "$B", "[SEP]"]
    assert folder(tmp_path, "roberta", ROBERTA_PAIR, "").pair == ["<s>", "$A", "</s>", "</s>", "$B", "</s>"]
    assert folder(tmp_path, "qwen3", PROMPT_PAIR, "").pair == ["<part-0>", "$B", "<part-2>", "$A", "<part-4>"]
    assert folder(tmp_path, "qwen3", None, "").pair == ["$A", "$B"]
