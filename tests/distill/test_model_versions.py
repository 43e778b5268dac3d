"""What identifies a model in a local folder: its content, wherever and whenever it was written."""

import os
import shutil

import pytest

from distill.models import ModelReference

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
