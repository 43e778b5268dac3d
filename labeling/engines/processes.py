"""Lists judged by several processes of this machine, each with its judge: one for each device.

A worker holds one batch at a time, so that a worker that dies names the list it died of.
"""

from __future__ import annotations

import logging
import os
import signal
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from typing import Any

from labeling import LabelingError
from labeling.engines import JudgeSource, Work
from labeling.engines.judging import batches, judge_batch, lost_list, open_judge
from labeling.keys import teacher_hash
from labeling.label_lists import Row

logger = logging.getLogger(__name__)

ATTEMPTS = 2
"""Workers that a list may cost before it counts as failed: the first may have died of something else."""

_SPAWN = get_context("spawn")  # a forked CUDA context is unusable


class ProcessEngine:
    """Starts the workers when lists come, and ends them with the last list.

    Args:
        source: makes each worker's judge.
        workers: processes.
        devices: values for ``CUDA_VISIBLE_DEVICES``, dealt out in turn; none on a machine without such devices, where
            the workers share the processor's cores.
        batch_lists: lists that are judged together where the judge can.
    """

    def __init__(self, source: JudgeSource, workers: int, devices: Sequence[str] = (), batch_lists: int = 1) -> None:
        self._source = source
        self._environments = [_environment(number, workers, devices) for number in range(workers)]
        self._batch_lists = batch_lists
        self._description: Mapping[str, Any] | None = None

    def describe(self) -> Mapping[str, Any]:
        """What the source says here; each worker must open a judge that says the same."""
        if self._description is None:
            self._description = self._source.describe()
        return self._description

    def judge_all(self, work: Iterator[Work], stopping: Callable[[], bool]) -> Generator[list[Row], None, None]:
        """The rows of each list as workers finish; a stopped job's workers finish what they hold.

        Raises:
            LabelingError: no worker can open its judge.
        """
        upcoming = _Upcoming(work, self._batch_lists)
        workers: list[_Worker] = []
        try:
            first = upcoming.take()
            if first is None:
                return
            upcoming.put_back(first)
            teacher = teacher_hash(self.describe())
            workers += [_Worker(self._source, teacher, environment) for environment in self._environments]
            yield from _serve_all(workers, upcoming)
        finally:
            for worker in workers:
                worker.end()


def _serve_all(workers: list[_Worker], upcoming: _Upcoming) -> Iterator[list[Row]]:
    """Hands out batches until none is left and none is out."""
    idle: list[_Worker] = []
    while True:
        while idle and (batch := upcoming.take()) is not None:
            idle.pop().give(batch)
        busy = {worker.pipe: worker for worker in workers if worker not in idle}
        if not busy:
            return
        for pipe in wait(list(busy)):
            worker = busy[pipe]  # type: ignore[index]
            batch, answer = worker.batch, worker.answer()
            if isinstance(answer, list):
                idle.append(worker)
                yield from answer
            elif isinstance(answer, LabelingError):
                workers.remove(worker)
                logger.error("a worker is given up: %s", answer)
                if not workers:
                    raise answer
            else:
                yield from upcoming.after_loss(batch, answer)
                if (waiting := upcoming.take()) is None:
                    workers.remove(worker)
                else:
                    upcoming.put_back(waiting)
                    worker.start()


class _Upcoming:
    """Batches in the order of the job, those of lost workers first and one list at a time."""

    def __init__(self, work: Iterator[Work], size: int) -> None:
        self._batches = batches(work, size)
        self._again: deque[list[Work]] = deque()
        self._losses: dict[str, int] = {}

    def take(self) -> list[Work] | None:
        """The next batch, None where there is none."""
        return self._again.popleft() if self._again else next(self._batches, None)

    def put_back(self, batch: list[Work]) -> None:
        """Makes ``batch`` the next one."""
        self._again.appendleft(batch)

    def after_loss(self, batch: list[Work], reason: str) -> Iterator[list[Row]]:
        """Takes back the lists of a worker that died; the rows of the one that has cost too many."""
        if len(batch) > 1:
            self._again.extend([entry] for entry in batch)
            return
        for key, candidates in batch:
            self._losses[key] = self._losses.get(key, 0) + 1
            if self._losses[key] < ATTEMPTS:
                self._again.append([(key, candidates)])
            else:
                yield lost_list(key, candidates, f"{reason}, {self._losses[key]} times with this list")


class _Worker:
    """One process and the batch that it holds; before its first answer it opens its judge."""

    def __init__(self, source: JudgeSource, teacher: str, environment: Mapping[str, str]) -> None:
        self._hello = (source, teacher)
        self._environment = dict(environment)
        self.batch: list[Work] = []
        self._opened = False
        self.start()

    def start(self) -> None:
        self.batch, self._opened = [], False
        self.pipe, theirs = _SPAWN.Pipe()
        self._process = _SPAWN.Process(target=_work, args=(theirs, self._environment), daemon=True)
        self._process.start()
        theirs.close()
        self._send(self._hello)

    def give(self, batch: list[Work]) -> None:
        self.batch = batch
        self._send(batch)

    def _send(self, message: Any) -> None:
        try:
            self.pipe.send(message)
        except OSError:
            # It has died in the meantime; answer() finds the pipe at its end and says so.
            logger.info("a worker has died before its next list")

    def answer(self) -> list[list[Row]] | LabelingError | str:
        """Rows of the batch, why no judge could be made, or how the process ended."""
        try:
            answer: list[list[Row]] | LabelingError = self.pipe.recv()
        except (EOFError, OSError):
            self._process.join()
            self.pipe.close()
            code = self._process.exitcode or 0
            reason = f"a worker ended with {signal.Signals(-code).name if code < 0 else f'exit code {code}'}"
            return reason if self._opened else LabelingError(f"{reason} while it opened the teacher")
        self._opened = True
        return answer

    def end(self) -> None:
        """Ends the process, whatever it is doing."""
        self._process.kill()
        self._process.join()
        self.pipe.close()


def _environment(number: int, workers: int, devices: Sequence[str]) -> dict[str, str]:
    if devices:
        return {"CUDA_VISIBLE_DEVICES": devices[number % len(devices)]}
    return {"OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) // workers))}


def _work(pipe: Connection, environment: Mapping[str, str]) -> None:
    """A worker's life: opens the judge it is sent, then answers batches until the job or its pipe ends."""
    # Ctrl-C reaches every process of a terminal, and a scheduler's SIGTERM every one of a step: the job decides alone.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    # Before the source is unpickled, because that may import libraries that read these when loaded.
    os.environ.update(environment)
    try:
        source, teacher = pipe.recv()
        try:
            judge = open_judge(source, teacher)
        except LabelingError as error:
            pipe.send(error)
            return
        pipe.send([])
        while True:
            pipe.send(judge_batch(pipe.recv(), judge))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return  # the job is gone
