"""The label job: every list judged once, whatever happens to the process or to a single list."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt

from labeling import LabelingError
from labeling.judge import Judge, Judgment, read_judgments
from labeling.keys import text_hash
from labeling.label_lists import CandidateList, Row, label_rows, list_key
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
        lists: lists seen, of which ``resumed`` stood in the folder already, ``labelled`` are new and ``failed`` are new
            and recorded with their error.
        documents: documents judged in this job.
        judge_seconds: seconds spent inside the judge in this job.
        teacher_change: entries of the judge's description that differ from the last job's in this folder.
        counts: of the finished folder: lists, failed, documents, missing, truncated.
    """

    lists: int = 0
    resumed: int = 0
    labelled: int = 0
    failed: int = 0
    documents: int = 0
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
    """Labels every list that the folder does not hold yet, and declares these lists to be its content.

    Killed at any moment and run again, it ends with the rows of an unbroken run; lists on disk are not judged again.
    A failing list is recorded with its error and does not stop the job. SIGINT and SIGTERM let the list at hand finish.

    Args:
        lists: taken one by one, so that they need not fit in memory.
        judge: the teacher; its description is part of every list's key.
        folder: the label folder, see :mod:`labeling.store`.
        settings: how often to write, and whether failed lists are tried again.
        on_progress: called after each list with the report so far, always the same object.

    Raises:
        LabelingError: a query id comes twice, or the folder cannot be used or written.
        KeyboardInterrupt, SystemExit: the job was asked to stop; what was judged is on disk.
    """
    report = JobReport()
    keys: dict[str, str] = {}
    with (
        StopRequest() as stop,
        open_store(folder, judge.describe(), settings.part_lists, settings.part_seconds) as store,
    ):
        report.teacher_change = store.teacher_change
        if store.teacher_change and store.finished:
            changed = ", ".join(store.teacher_change)
            logger.warning("%s: the teacher has changed (%s), so every list is labelled again", folder, changed)
        if settings.retry_failed:
            store.forget_failed()
        for candidates in lists:
            stop.obey()
            if candidates.query_id in keys:
                raise LabelingError(f"query id {candidates.query_id!r} comes twice among the lists")
            keys[candidates.query_id] = key = list_key(candidates, store.teacher)
            _do_list(candidates, key, judge, store, report)
            if on_progress is not None:
                on_progress(report)
        stop.obey()
        report.counts = store.finish(keys)
    return report


def _do_list(candidates: CandidateList, key: str, judge: Judge, store: LabelStore, report: JobReport) -> None:
    report.lists += 1
    if key in store.finished:
        report.resumed += 1
        return
    started = time.perf_counter()
    try:
        judgments = _judge(candidates, judge)
        rows = label_rows(candidates, judgments)
    except Exception as error:
        # The one place that catches everything: no list may stop the job. The log names no text, the store has all.
        logger.warning("query %s failed: %s", candidates.query_id, type(error).__name__)
        rows = [_failure(error)]
        report.failed += 1
    else:
        report.labelled += 1
        report.documents += len(rows)
    seconds = time.perf_counter() - started
    report.judge_seconds += seconds
    same: Row = {
        "query_id": candidates.query_id,
        "query_hash": text_hash(candidates.query),
        "list_key": key,
        "seconds": seconds,
        "created": datetime.now(UTC),
    }
    store.add([row | same for row in rows])


def _judge(candidates: CandidateList, judge: Judge) -> list[Judgment]:
    if not candidates.documents:
        raise LabelingError("the list has no documents")
    answers = judge.judge(candidates.query, candidates.documents)
    return read_judgments(answers, candidates.doc_ids, candidates.documents)


def _failure(error: Exception) -> Row:
    message = f"{type(error).__name__}: {error}".encode("utf-8", "replace").decode("utf-8")
    return {"status": "failed", "error": message}
