"""The label job: every list judged once, whatever happens to the process or to a single list."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt

from labeling import LabelingError
from labeling.compact import JobLists
from labeling.engines import Engine, Work
from labeling.engines.local import LocalEngine
from labeling.judge import Judge
from labeling.label_lists import CandidateList, Row, list_key
from labeling.stopping import StopRequest
from labeling.store import LabelStore, open_store

logger = logging.getLogger(__name__)


class JobSettings(BaseModel):
    """How a label job writes; no setting here changes a label."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    part_lists: PositiveInt = Field(256, description="lists in a Parquet part, at most")
    part_seconds: PositiveFloat = Field(30.0, description="seconds of work that a killed job may lose, at most")
    retry_failed: bool = Field(False, description="judge lists again that failed before")


DEFAULTS = JobSettings()


@dataclass
class JobReport:
    """What a job has done so far, and at its end what the folder holds.

    Attributes:
        lists: lists done with, of which ``resumed`` stood in the folder already, ``labelled`` are new and ``failed``
            are new and recorded with their error.
        documents: documents judged in this job, of which ``missing`` draw nothing from their query.
        tokens: tokens that the judge has read in this job, 0 where it does not say.
        judge_seconds: seconds spent inside the judge in this job, added up over workers.
        teacher_change: entries of the judge's description that differ from the last job's in this folder.
        counts: of the finished folder: lists, failed, documents, missing, truncated.
    """

    lists: int = 0
    resumed: int = 0
    labelled: int = 0
    failed: int = 0
    documents: int = 0
    missing: int = 0
    tokens: int = 0
    judge_seconds: float = 0.0
    teacher_change: list[str] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)


def run_label_job(
    lists: Iterable[CandidateList],
    judge: Judge,
    folder: Path,
    settings: JobSettings = DEFAULTS,
    on_progress: Callable[[JobReport], None] | None = None,
) -> JobReport:
    """As :func:`run_on_engine`, in this process with a judge that is open already."""
    return run_on_engine(lists, LocalEngine(judge), folder, settings, on_progress)


def run_on_engine(
    lists: Iterable[CandidateList],
    engine: Engine,
    folder: Path,
    settings: JobSettings = DEFAULTS,
    on_progress: Callable[[JobReport], None] | None = None,
) -> JobReport:
    """Labels every list that the folder does not hold yet, and declares these lists to be its content.

    Killed at any moment and run again, on this engine or another, it ends with the rows of an unbroken run; lists on
    disk are not judged again. A failing list is recorded with its error and does not stop the job. SIGINT and SIGTERM
    let the lists at hand finish.

    Args:
        lists: taken one by one, so that they need not fit in memory.
        engine: where the teacher works; its description is part of every list's key.
        folder: the label folder, see :mod:`labeling.store`.
        settings: how often to write, and whether failed lists are tried again.
        on_progress: called after each list with the report so far, always the same object.

    Raises:
        LabelingError: a query id comes twice, the folder cannot be used or written, or no judge can be made.
        KeyboardInterrupt, SystemExit: the job was asked to stop; what was judged is on disk.
    """
    report = JobReport()
    # asked first: a cluster that is connected to for the answer sets signal handlers of its own
    description = engine.describe()
    with (
        StopRequest() as stop,
        open_store(folder, description, settings.part_lists, settings.part_seconds) as store,
    ):
        report.teacher_change = store.teacher_change
        if store.teacher_change and store.finished:
            changed = ", ".join(store.teacher_change)
            logger.warning("%s: the teacher has changed (%s); lists of the one before do not count", folder, changed)
        if settings.retry_failed:
            store.forget_failed()
        listed = JobLists()
        work = _unfinished(lists, listed, store, report, stop, on_progress)
        with closing(engine.judge_all(work, stop.requested)) as finished:
            for rows in finished:
                store.add(rows)
                _count(rows, report)
                if on_progress is not None:
                    on_progress(report)
        stop.obey()
        report.counts = store.finish(listed)
        # a large folder takes a while to be counted: who asks meanwhile wants no next stage
        stop.obey()
    return report


def _unfinished(
    lists: Iterable[CandidateList],
    listed: JobLists,
    store: LabelStore,
    report: JobReport,
    stop: StopRequest,
    on_progress: Callable[[JobReport], None] | None,
) -> Iterator[Work]:
    """The lists that do not stand in the store; ends at the list after which the job was asked to stop."""
    for candidates in lists:
        if stop.requested():
            return
        key = list_key(candidates, store.teacher)
        try:
            listed.add(candidates.query_id, key)
        except KeyError:
            raise LabelingError(f"query id {candidates.query_id!r} comes twice among the lists") from None
        if key in store.finished:
            report.resumed += 1
            report.lists += 1
            if on_progress is not None:
                on_progress(report)
        else:
            yield key, candidates


def _count(rows: Sequence[Row], report: JobReport) -> None:
    report.lists += 1
    report.judge_seconds += rows[0]["seconds"]
    if rows[0]["status"] == "failed":
        report.failed += 1
        return
    report.labelled += 1
    report.documents += len(rows)
    report.missing += sum(row["group"] == "missing" for row in rows)
    report.tokens += rows[0]["tokens"] or 0
