"""Labels candidate lists with a fitted teacher: the label job on a collection."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from datasets import Dataset

from distill.collections.collection import Collection, Run
from distill.progress import Advance
from labeling.formats import labels_dataset
from labeling.job import JobReport, JobSettings, run_label_job
from labeling.judge import Judge
from labeling.label_lists import CandidateList


def label_candidates(
    collection: Collection, run: Run, teacher: Judge, folder: Path, on_progress: Advance, settings: JobSettings
) -> JobReport:
    """Label each query's candidates; lists that ``folder`` holds already are not judged again.

    Raises:
        LabelingError: the folder is in use or cannot be written.
    """

    def report(job: JobReport) -> None:
        on_progress(job.lists, len(run))

    return run_label_job(_lists(collection, run), teacher, folder, settings, report)


def training_lists(collection: Collection, folder: Path, random: int) -> Dataset:
    """The label lists of ``folder`` as students read them, each with ``random`` documents of other queries below."""
    documents = {doc_id: collection.text(doc_id) for doc_id in collection.documents}
    return labels_dataset(folder, documents, collection.queries, random=random)


def _lists(collection: Collection, run: Run) -> Iterable[CandidateList]:
    for query_id, scores in run.items():
        documents = [collection.text(doc_id) for doc_id in scores]
        yield CandidateList(query_id, collection.query(query_id), list(scores), documents)
