"""Labels candidate lists with any judge: the label job on a collection."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from distill.collections.collection import Collection, Run
from distill.progress import Advance
from labeling.engines import Engine
from labeling.job import JobReport, JobSettings, run_on_engine
from labeling.label_lists import CandidateList


def label_candidates(
    collection: Collection, run: Run, engine: Engine, folder: Path, on_progress: Advance, settings: JobSettings
) -> JobReport:
    """Label each query's candidates; lists that ``folder`` holds already are not judged again.

    Raises:
        LabelingError: the folder is in use or cannot be written, or the teacher cannot be opened.
    """
    started = time.monotonic()

    def report(job: JobReport) -> None:
        on_progress(job.lists, len(run), stood=job.resumed, note=_note(job, time.monotonic() - started))

    return run_on_engine(candidate_lists(collection, run), engine, folder, settings, report)


def _note(job: JobReport, seconds: float) -> str:
    parts = [f"{job.failed} failed"]
    if job.documents:
        parts.append(f"{job.missing / job.documents:.0%} missing")
    if job.tokens and seconds > 0:
        parts.append(f"{job.tokens:,} tokens ({job.tokens / seconds:,.0f}/s)")
    return ", ".join(parts)


def candidate_lists(collection: Collection, run: Run) -> Iterator[CandidateList]:
    """The run's lists with their texts, made as they are asked for."""
    for query_id, scores in run.items():
        documents = [collection.text(doc_id) for doc_id in scores]
        yield CandidateList(query_id, collection.query(query_id), list(scores), documents)
