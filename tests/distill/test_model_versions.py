"""What identifies a model: a folder's content, wherever and whenever it was written; a revision of the hub."""

import os
import shutil

import pytest
import torch

from distill.checking.models import model_facts
from distill.errors import ModelError
from distill.export.source import local_folder
from distill.models import ModelReference, load_causal_model, load_config, load_tokenizer
from distill.stages.opinions import PreRankerOpinion

WEIGHTS = 5 * 2**20 + 7


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A folder that looks like a model's, its weights too long to be hashed whole."""
    folder = tmp_path_factory.mktemp("models") / "model"
    (folder / "1_Pooling").mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "1_Pooling" / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(bytes(range(251)) * (WEIGHTS // 251 + 1))
    return folder


@pytest.fixture
def copy(model, tmp_path):
    """The same model elsewhere, written at another time."""
    folder = tmp_path / "copy"
    shutil.copytree(model, folder)
    for path in folder.rglob("*"):
        os.utime(path, (1, 1))
    return folder


def version(folder):
    return ModelReference.parse(str(folder)).version


def test_a_copy_is_the_same_version(model, copy):
    assert version(copy) == version(model)


def test_hidden_files_of_download_tools_do_not_count(model, copy):
    (copy / ".cache" / "huggingface").mkdir(parents=True)
    (copy / ".cache" / "huggingface" / "model.safetensors.metadata").write_text("1763769600.0")
    (copy / ".gitattributes").write_text("*.safetensors filter=lfs")
    assert version(copy) == version(model)


@pytest.mark.parametrize("part", range(0, 1000, 111))
def test_no_long_stretch_of_changed_weights_is_missed(model, copy, part):
    stretch = WEIGHTS // 255
    with (copy / "model.safetensors").open("r+b") as file:
        file.seek((WEIGHTS - stretch) * part // 999)
        file.write(b"\xff" * stretch)
    assert version(copy) != version(model)


def test_weights_replaced_in_place_are_another_version(copy):
    before = version(copy)
    (copy / "config.json").write_text("[]")
    assert version(copy) != before


def test_longer_weights_are_another_version(model, copy):
    with (copy / "model.safetensors").open("ab") as file:
        file.write(b"\x00")
    assert version(copy) != version(model)


def test_a_file_in_another_place_is_another_version(model, copy):
    (copy / "1_Pooling").rename(copy / "2_Pooling")
    assert version(copy) != version(model)


@pytest.fixture
def pinned(pin_on_hub, causal_folder):
    """A decoder at a revision of the hub."""
    return pin_on_hub(causal_folder)


def test_a_revision_identifies_a_hub_model(pinned):
    reference = ModelReference.parse(pinned)
    assert (reference.location, reference.on_hub) == ("somebody/something", True)
    revision = pinned.partition("@")[2]
    assert reference.identity == {"reference": pinned, "version": revision} and len(revision) == 40
    assert ModelReference.parse("somebody/something").version == "hub"


def test_a_revision_is_what_every_loader_reads(pinned, causal_folder):
    reference = ModelReference.parse(pinned)
    folder = ModelReference.parse(str(causal_folder))
    assert load_config(reference).num_hidden_layers == 4
    assert load_tokenizer(reference).get_vocab() == load_tokenizer(folder).get_vocab()
    here = load_causal_model(folder, torch.float32, device="cpu")
    loaded = load_causal_model(reference, torch.float32, device="cpu")
    assert all(torch.equal(a, b) for a, b in zip(here.parameters(), loaded.parameters(), strict=True))
    assert reference.fetched().endswith(reference.version)
    assert local_folder(pinned).name == reference.version
    facts = model_facts("key", pinned, "writer", None)
    assert (facts.where, facts.layers, facts.problem) == ("hub, cached here", 4, None)


def test_a_revision_that_is_not_there_is_one_line(pinned):
    for missing in ("somebody/something", f"somebody/something@{'1' * 40}"):
        with pytest.raises(ModelError, match=f"model '{missing}'") as told:
            load_config(ModelReference.parse(missing))
        assert "\n" not in str(told.value)
    with pytest.raises(ModelError, match="model 'somebody/something@1111"):
        PreRankerOpinion(f"somebody/something@{'1' * 40}")


def test_a_sign_without_a_revision_is_refused():
    for opened in (ModelReference.parse, local_folder):
        with pytest.raises(ModelError, match="OWNER/NAME@REVISION"):
            opened("somebody/something@")
