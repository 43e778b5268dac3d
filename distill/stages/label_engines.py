"""The engines of a label job around its judge: this process, one process a device, or a Ray cluster."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from distill.collections.collection import Collection, Run
from distill.models import cuda_devices
from distill.stages.judge_sources import Source
from labeling.engines import Engine
from labeling.engines.local import LocalEngine
from labeling.engines.processes import ProcessEngine


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


@contextmanager
def open_engine(settings: EngineSettings, source: Source, collection: Collection, run: Run) -> Iterator[Engine]:
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
        yield LocalEngine(source.open_here(collection, run), settings.batch_lists)
    else:
        yield ProcessEngine(source, workers, devices, settings.batch_lists)
