"""Lists judged on a Ray cluster: Ray Data's actors hold the teacher, this process keys, writes and resumes.

Ray Data reads what it is given before it starts, so lists go to it in waves; a wave is long enough that opening the
teacher anew for the next one does not count, and short enough that the wave's texts fit in Ray's object store.
"""

from __future__ import annotations

import logging
import os
import pickle
import warnings
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any

import pyarrow as pa

from labeling import LabelingError
from labeling.engines import JudgeSource, Work
from labeling.engines.judging import batches, judge_batch, lost_list, open_judge
from labeling.keys import teacher_hash
from labeling.label_lists import Row

logger = logging.getLogger(__name__)

WAVE_LISTS = 4096
"""Lists of a wave for each worker: an hour of work at a second a list."""

LAST_CHANCES = 16
"""Lists of a wave that are tried a third time, each with actors of its own."""

BLOCK_LISTS = 4
"""Lists that travel together: enough that Ray's milliseconds for each task do not count."""


@dataclass(frozen=True, slots=True)
class _Cluster:
    """What an actor asks of Ray, and how many there are."""

    workers: int
    cpus: float
    gpus: float


class RayEngine:
    """The engine of a process that is connected to Ray; :func:`connected_engine` makes it.

    Args:
        source: makes each actor's judge.
        cluster: how many actors, and what each asks for.
        batch_lists: lists that are judged together where the judge can.
        wave_lists: lists of a wave for each worker.
    """

    def __init__(
        self, source: JudgeSource, cluster: _Cluster, batch_lists: int = 1, wave_lists: int = WAVE_LISTS
    ) -> None:
        self._source = source
        self._cluster = cluster
        self._batch_lists = batch_lists
        self._wave_lists = wave_lists * cluster.workers
        self._description: Mapping[str, Any] | None = None

    def describe(self) -> Mapping[str, Any]:
        """What the source says on a worker: this process may have another device, or none.

        Raises:
            LabelingError: the source cannot be asked there.
        """
        import ray

        if self._description is None:
            task = ray.remote(num_cpus=self._cluster.cpus, num_gpus=self._cluster.gpus)(_describe)
            try:
                self._description = ray.get(task.remote(self._source))
            except ray.exceptions.RayError as error:
                raise LabelingError(
                    f"a worker of the Ray cluster cannot describe the teacher: {_cause(error)}"
                ) from error
        return self._description

    def judge_all(self, work: Iterator[Work], stopping: Callable[[], bool]) -> Generator[list[Row], None, None]:
        """The rows of each list, in any order; a stopped job leaves what is out there unfinished.

        Raises:
            LabelingError: the actors cannot open their judge, or the cluster is lost.
        """
        while wave := dict(islice(work, self._wave_lists)):
            yield from self._judge_wave(wave, max(self._batch_lists, BLOCK_LISTS), self._batch_lists, stopping)
            # What is left was with an actor when it died: one list of each block is to blame, the others are not.
            if wave and not stopping():
                logger.warning("%d lists were lost with their worker and are tried again, one by one", len(wave))
                yield from self._judge_wave(wave, 1, 1, stopping)
            # Now a list may have been sent to an actor that another list had just ended; with actors of its own it
            # shows whether it was to blame. Where there are many, the fault is not in single lists.
            for key in list(wave)[:LAST_CHANCES]:
                if not stopping():
                    alone = {key: wave.pop(key)}
                    yield from self._judge_wave(alone, 1, 1, stopping)
                    wave |= alone
            if stopping():
                return
            for key, candidates in wave.items():
                yield lost_list(key, candidates, "every worker that was given this list alone ended before its answer")

    def _judge_wave(
        self, wave: dict[str, Any], block_lists: int, batch_lists: int, stopping: Callable[[], bool]
    ) -> Iterator[list[Row]]:
        """The rows of each list that an actor survives, which is taken out of ``wave``."""
        import ray
        from ray.data import ActorPoolStrategy

        items = [{"work": pickle.dumps(entry)} for entry in wave.items()]  # bytes: a text may be no valid UTF-8
        blocks = -(-len(items) // block_lists)
        with warnings.catch_warnings():
            # Ray 2.64 will take the bound on retries another way; until then there is only this one.
            warnings.simplefilter("ignore", DeprecationWarning)
            dataset = ray.data.from_items(items, override_num_blocks=blocks).map_batches(
                _Labeler,
                fn_constructor_args=(self._source, teacher_hash(self.describe()), batch_lists),
                compute=ActorPoolStrategy(
                    size=min(self._cluster.workers, blocks), max_tasks_in_flight_per_actor=1 if block_lists == 1 else 2
                ),
                batch_size=None,
                batch_format="pyarrow",
                num_cpus=self._cluster.cpus,
                num_gpus=self._cluster.gpus,
                ray_remote_args_fn=_actor_options,
            )
        # Of this dataset alone: a block that is lost with its actor is left out, and found missing at the end.
        dataset.context.max_errored_blocks = -1
        try:
            for block in dataset.iter_batches(batch_size=None, batch_format="numpy", prefetch_batches=0):
                for pickled in block["rows"]:
                    rows = pickle.loads(pickled)
                    if wave.pop(rows[0]["list_key"], None) is not None:
                        yield rows
                if stopping():
                    return
        except ray.exceptions.RayError as error:
            raise LabelingError(f"the Ray cluster cannot go on: {_cause(error)}") from error


class _Labeler:
    """What an actor does: opens its judge once, then turns blocks of lists into blocks of rows."""

    def __init__(self, source: JudgeSource, teacher: str, batch_lists: int) -> None:
        self._judge = open_judge(source, teacher)
        self._batch_lists = batch_lists

    def __call__(self, block: pa.Table) -> pa.Table:
        work = [pickle.loads(pickled) for pickled in block["work"].to_pylist()]
        rows = [rows for batch in batches(work, self._batch_lists) for rows in judge_batch(batch, self._judge)]
        return pa.table({"rows": pa.array([pickle.dumps(entry) for entry in rows], pa.large_binary())})


def _actor_options() -> dict[str, Any]:
    # Ray's default gives a list to new actors without end; the second wave is its second chance.
    return {"max_restarts": -1, "max_task_retries": 0}


def _describe(source: JudgeSource) -> dict[str, Any]:
    return dict(source.describe())


def _cause(error: BaseException) -> str:
    """The last line of a remote error, which names it; the lines before are another machine's stack."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__


@contextmanager
def connected_engine(
    source: JudgeSource, workers: int | None = None, address: str | None = None, batch_lists: int = 1, gpus: int = 1
) -> Iterator[RayEngine]:
    """The engine, while this process is connected to a cluster.

    Args:
        source: makes each actor's judge; its paths must mean the same on every machine of the cluster.
        workers: actors; None for as many as the cluster's GPUs are enough for, or one on each processor where it has
            none.
        address: of a running cluster, as ``ray.init`` takes it; None starts Ray on this machine.
        batch_lists: lists that are judged together where the judge can.
        gpus: of each actor, where the cluster has any.

    Raises:
        LabelingError: Ray is not installed, there is no cluster at the address, or no machine of it has the GPUs.
    """
    # Read by Ray when it is loaded: nothing is reported to anybody, and its own log stays in its files.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    try:
        import ray
        from ray.data import DataContext
    except ImportError as error:
        raise LabelingError(f"the engine ray needs Ray ({error}); run `pip install 'distill[ray]'`") from error
    options: dict[str, Any] = {"address": address} if address else {"address": "local", "include_dashboard": False}
    if not address and workers:
        options["num_cpus"] = max(workers, os.cpu_count() or 1)
    try:
        ray.init(log_to_driver=False, logging_level=logging.ERROR, **options)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise LabelingError(f"no Ray cluster can be used at {address or 'this machine'}: {error}") from error
    try:
        DataContext.get_current().enable_progress_bars = False
        logging.getLogger("ray.data").setLevel(logging.ERROR)
        # Each lost block comes with a stack of Ray's own; what was lost is told by the job.
        logging.getLogger("ray.data._internal.execution.streaming_executor_state").setLevel(logging.CRITICAL)
        machines = [int(node["Resources"].get("GPU", 0)) for node in ray.nodes() if node["Alive"]]
        room = actors_in(machines, gpus)
        count = workers or room or int(ray.cluster_resources().get("CPU", 1))
        yield RayEngine(source, _Cluster(count, cpus=1, gpus=gpus if room else 0), batch_lists)
    finally:
        ray.shutdown()


def actors_in(machines: Sequence[int], gpus: int) -> int:
    """Actors that a cluster has room for, each with all its GPUs on one machine; 0 where it has no GPU.

    Args:
        machines: GPUs of each.
        gpus: of each actor.

    Raises:
        LabelingError: there are GPUs, but no machine has as many: Ray would wait for one without end.
    """
    if sum(machines) and max(machines) < gpus:
        most = max(machines)
        raise LabelingError(f"each judge is to have {gpus} GPUs, and no machine of the cluster has more than {most}")
    return sum(machine // gpus for machine in machines)
