"""The engines of a label job around its judge: this process, one process a device, or a Ray cluster."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from distill.collections.collection import Collection, Run
from distill.models import cuda_devices
from distill.recipe.settings import EngineSection
from distill.stages.judge_sources import Source
from labeling import LabelingError
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
        gpus: CUDA devices of each teacher; None for one, or for all of this machine where it lies on several.
    """

    name: Literal["local", "ray"] = "local"
    workers: int | None = None
    address: str | None = None
    batch_lists: int = 1
    gpus: int | None = None

    @classmethod
    def of(cls, section: EngineSection | None) -> EngineSettings:
        """What a recipe's section says."""
        if section is None:
            return LOCAL
        return cls(section.name, section.judges, section.address, section.batch_lists, section.gpus)


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
        LabelingError: Ray is not installed or there is no cluster at the address, or the devices do not suffice.
        TeacherError, ModelError: the teacher cannot be opened.
    """
    if settings.name == "ray":
        from labeling.engines.ray_data import connected_engine

        if source.spread and settings.gpus is None:
            raise LabelingError("the teacher lies on several devices; say how many GPUs each judge on Ray gets (gpus)")
        each = settings.gpus or 1
        with connected_engine(source, settings.workers, settings.address, settings.batch_lists, each) as engine:
            yield engine
        return
    shares = device_shares(cuda_devices(), settings.gpus, source.spread)
    workers = settings.workers or max(1, len(shares))
    if workers == 1:
        yield LocalEngine(source.open_here(collection, run), settings.batch_lists)
    else:
        yield ProcessEngine(source, workers, shares, settings.batch_lists)


def device_shares(devices: Sequence[str], gpus: int | None, spread: bool) -> list[str]:
    """The devices of each teacher, as ``CUDA_VISIBLE_DEVICES`` names them.

    Args:
        devices: of this machine.
        gpus: of each teacher; None for one, or for all where its model lies on several.
        spread: whether it does.

    Raises:
        LabelingError: there are fewer devices than a teacher needs.
    """
    each = gpus or (max(1, len(devices)) if spread else 1)
    if devices and len(devices) < each:
        raise LabelingError(f"each judge is to have {each} GPUs, and this machine has {len(devices)}")
    return [",".join(devices[start : start + each]) for start in range(0, len(devices) - each + 1, each)]
