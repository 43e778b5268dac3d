"""What a label folder already holds of a job that has not started: looked at, not touched."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labeling import DamagedFile
from labeling.keys import teacher_hash
from labeling.label_lists import CandidateList, list_key
from labeling.manifest import MANIFEST, changed_entries, load_manifest
from labeling.parts import COLUMNS, part_paths, read_table
from labeling.store import refuse_other_content

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Survey:
    """Lists of a job by what would happen to them.

    Attributes:
        lists: lists of the job.
        documents: their documents.
        finished: lists that stand labelled in the folder.
        failed: lists that stand in it as failed.
        teacher_change: entries of the description that differ from the last job's; empty in a new folder.
    """

    lists: int
    documents: int
    finished: int
    failed: int
    teacher_change: list[str]

    @property
    def to_judge(self) -> int:
        """Lists that the job would judge if failed ones are left alone."""
        return self.lists - self.finished - self.failed


def survey(lists: Iterable[CandidateList], description: Mapping[str, Any], folder: Path) -> Survey:
    """What ``folder``, which need not exist, holds of these lists under the teacher of this description.

    A damaged part counts for nothing, as the job would set it aside and label its lists again.

    Raises:
        LabelingError: the folder holds something that is not labels, or the system does not let us read it.
    """
    refuse_other_content(folder)
    status = _status(folder)
    change: list[str] = []
    if (folder / MANIFEST).exists():
        manifest = load_manifest(folder)
        change = changed_entries(manifest["teachers"].get(manifest["teacher"]), description)
    teacher = teacher_hash(description)
    counts = {"ok": 0, "failed": 0, None: 0}
    documents = 0
    for candidates in lists:
        documents += len(candidates.documents)
        counts[status.get(list_key(candidates, teacher))] += 1
    return Survey(sum(counts.values()), documents, counts["ok"], counts["failed"], change)


def _status(folder: Path) -> dict[str, str]:
    """Whether each list that stands in the parts is ok or failed, by key; every page is read, as by the job."""
    status: dict[str, str] = {}
    for path in part_paths(folder):
        try:
            table = read_table(path, COLUMNS.names)
        except DamagedFile as error:
            logger.warning("%s; the job would set it aside and label its lists again", error)
            continue
        status.update(zip(table["list_key"].to_pylist(), table["status"].to_pylist(), strict=True))
    return status
