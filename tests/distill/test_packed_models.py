"""GGUF files: their words are read once in a process, and again where the file has changed."""

import os

import gguf
import pytest

from distill.models import ModelReference, load_config, load_tokenizer
from tests.distill.packed_file import write_packed


@pytest.fixture
def packed(tmp_path):
    path = tmp_path / "tiny.gguf"
    write_packed(path)
    return path


def test_words_are_read_once_and_each_caller_has_its_own(packed, monkeypatch):
    read, init = [], gguf.GGUFReader.__init__
    monkeypatch.setattr(gguf.GGUFReader, "__init__", lambda *args: read.append(args) or init(*args))
    reference = ModelReference.parse(str(packed))
    first, config = load_tokenizer(reference), load_config(reference)
    once = len(read)
    first.add_tokens(["the end"])
    first.truncation_side = "left"
    config.num_hidden_layers = 1
    second = load_tokenizer(reference)
    assert (second.tokenize("the end"), second.truncation_side) == (["the", "Ġ", "e", "n", "d"], "right")
    assert load_config(reference).num_hidden_layers == 2
    assert len(read) == once > 0


def test_a_file_that_was_written_anew_is_read_anew(packed):
    assert load_config(ModelReference.parse(str(packed))).max_position_embeddings == 64
    write_packed(packed, positions=128)
    os.utime(packed, (1, 1))
    assert load_config(ModelReference.parse(str(packed))).max_position_embeddings == 128
