"""The engines of a label job around a fitted teacher: this process, one process a device, or a Ray cluster."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from distill.collections.beir import read_beir
from distill.collections.collection import Collection, Run
from distill.collections.trec import read_run
from distill.models import cuda_devices
from distill.stages.teacher import Method, open_teacher, read_section
from labeling.engines import Engine
from labeling.engines.local import LocalEngine
from labeling.engines.processes import ProcessEngine
from labeling.judge import Judge


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """Where a label job's lists are judged; no setting here changes a label but for rounding.

    Args:
        name: this machine, or a Ray cluster.
        workers: teachers at work; None for one on each CUDA device (of the cluster), or where there is none: one in
            this process, or one on each processor of the cluster.
        address: of a running Ray cluster; None starts Ray on this machine.
        batch_lists: lists that a teacher reads together where it can.
    """

    name: Literal["local", "ray"] = "local"
    workers: int | None = None
    address: str | None = None
    batch_lists: int = 1


LOCAL = EngineSettings()


@dataclass(frozen=True, slots=True)
class TeacherSource:
    """Opens a fitted teacher where it works; on several machines the paths must mean the same on each.

    Args:
        folder: of the fitted teacher.
        method: how its heads are used, see `open_teacher`.
        collection: BEIR folder; read only by a teacher that mixes in other opinions.
        run: the whole first stage; likewise.
    """

    folder: Path
    method: Method | None
    collection: Path
    run: Path

    def describe(self) -> Mapping[str, Any]:
        """The teacher's description; no weights are loaded."""
        collection, run = self._opinions_read()
        return open_teacher(self.folder, self.method, collection, run, weights=False).describe()

    def open(self) -> Judge:
        """The teacher, its model loaded."""
        collection, run = self._opinions_read()
        return open_teacher(self.folder, self.method, collection, run)

    def _opinions_read(self) -> tuple[Collection, Run]:
        if read_section(self.folder).mix is None:
            return Collection("not read", {}, {}, {}), {}
        return read_beir(self.collection), read_run(self.run)


@contextmanager
def open_engine(settings: EngineSettings, source: TeacherSource, collection: Collection, run: Run) -> Iterator[Engine]:
    """The engine of these settings.

    Args:
        settings: which engine, how many workers.
        source: opens the teacher in other processes.
        collection: the source's, already read: for the engine that works in this process.
        run: likewise.

    Raises:
        LabelingError: Ray is not installed or there is no cluster at the address.
        TeacherError, ModelError: the teacher cannot be opened.
    """
    if settings.name == "ray":
        from labeling.engines.ray_data import connected_engine

        with connected_engine(source, settings.workers, settings.address, settings.batch_lists) as engine:
            yield engine
        return
    devices = cuda_devices()
    workers = settings.workers or max(1, len(devices))
    if workers == 1:
        yield LocalEngine(open_teacher(source.folder, source.method, collection, run), settings.batch_lists)
    else:
        yield ProcessEngine(source, workers, devices, settings.batch_lists)
