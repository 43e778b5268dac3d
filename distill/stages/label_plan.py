"""What a label job would do and cost: a dry run, which judges a few lists and writes nothing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from distill.collections.collection import Collection, Run
from distill.stages.labels import candidate_lists
from labeling.estimate import ListCost, spread_sample, time_lists
from labeling.job import JobSettings
from labeling.judge import Judge
from labeling.survey import Survey, survey

SAMPLE_LISTS = 8


@dataclass(frozen=True, slots=True)
class LabelPlan:
    """A label job before it starts.

    Attributes:
        standing: the job's lists and what the folder holds of them.
        to_judge: lists that the job would judge.
        prompts: texts that the teacher would read for them; a list that needs windows counts once.
        cost: of one list; None where nothing is to be judged.
        workers: teachers that would share the work.
        disk_bytes: of the lists to be judged.
    """

    standing: Survey
    to_judge: int
    prompts: int
    cost: ListCost | None
    workers: int
    disk_bytes: float

    @property
    def seconds(self) -> float:
        """Of the whole job, if every worker is as fast as the one that was timed."""
        return 0.0 if self.cost is None else self.cost.seconds * self.to_judge / self.workers


def plan_labels(
    collection: Collection, run: Run, judge: Judge, folder: Path, settings: JobSettings, workers: int, orders: int
) -> LabelPlan:
    """Compare the job's lists with the folder, and time a sample of all of them.

    Args:
        collection: gives the texts.
        run: the candidates.
        judge: the teacher, opened here.
        folder: the label folder; it need not exist.
        settings: of the job.
        workers: teachers that would share the work.
        orders: orders in which the teacher reads each list.

    Raises:
        LabelingError: the folder holds something that is not labels.
    """
    standing = survey(candidate_lists(collection, run), judge.describe(), folder)
    to_judge = standing.to_judge + (standing.failed if settings.retry_failed else 0)
    if to_judge == 0:
        return LabelPlan(standing, 0, 0, None, workers, 0.0)
    cost = time_lists(spread_sample(list(candidate_lists(collection, run)), SAMPLE_LISTS), judge)
    return LabelPlan(
        standing, to_judge, to_judge * orders, cost, workers, cost.disk_bytes(to_judge, settings.part_lists)
    )
