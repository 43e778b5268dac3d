"""What a recipe's finished run did from data to exported models, gathered to be told on one page."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distill.evaluation.dossier import Dossier
from distill.report.training_curves import CURVES
from distill.stages.comparison import dossier_of
from distill.stages.finished_run import FinishedRun
from distill.stages.teacher import STATIC_WEIGHTS
from labeling.summary import LabelSummary, summarize_labels
from teachers.baselines import WeightedHeads
from teachers.heads import Head


@dataclass(frozen=True, slots=True)
class StageFacts:
    """One stage: its name, its own summary in a line, the seconds it took and the process's peak memory until then."""

    name: str
    summary: str
    seconds: float
    peak_memory_mib: float


@dataclass(frozen=True, slots=True)
class StudentFacts:
    """A trained student.

    Args:
        name: of the system.
        dossier: its comparison with the first stage, the teacher and the bi-encoder beside them.
        curves: picture of its training; None where there is none.
        parity: largest differences of the exported model's scores between libraries, and the pairs compared.
    """

    name: str
    dossier: Dossier
    curves: Path | None
    parity: dict[str, Any]


@dataclass(frozen=True)
class RunStory:
    """A finished run as it is told.

    Args:
        finished: the run.
        stages: in order.
        fit: what the teacher's fit says of itself.
        heads: the learned weights of its heads; empty where it was not fitted.
        labels: numbers of the label folder.
        students: in the recipe's order.
        versions: of the libraries.
    """

    finished: FinishedRun
    stages: list[StageFacts]
    fit: dict[str, Any]
    heads: dict[Head, float]
    labels: LabelSummary
    students: list[StudentFacts]
    versions: dict[str, str]

    @property
    def seconds(self) -> float:
        """Of all stages together."""
        return sum(stage.seconds for stage in self.stages)


def tell(finished: FinishedRun) -> RunStory:
    """Gather the story of a run.

    Raises:
        LabelingError: its label folder cannot be read.
    """
    students = list(finished.recipe.students())
    names = ["collection", "first_stage", "teacher", "pre_rank", "labels", *students, "evaluation"]
    manifests = {name: finished.manifest(name) for name in [*names, *(f"export/{name}" for name in students)]}
    return RunStory(
        finished=finished,
        stages=[
            StageFacts(name, manifest.get("summary", ""), manifest["seconds"], manifest["peak_memory_mib"])
            for name, manifest in manifests.items()
            if manifest
        ],
        fit=manifests["teacher"].get("fit", {}),
        heads=_learned_weights(finished.folder / "teacher"),
        labels=summarize_labels(finished.folder / "labels" / "lists"),
        students=[_student(finished, name) for name in students],
        versions=manifests["evaluation"]["versions"],
    )


def _learned_weights(teacher: Path) -> dict[Head, float]:
    file = teacher / STATIC_WEIGHTS
    if not file.is_file():
        return {}
    found = WeightedHeads.load(file)
    return dict(zip(found.heads, found.head_weights, strict=True))


def _student(finished: FinishedRun, name: str) -> StudentFacts:
    beside = [system for system in (finished.teacher, "bi_encoder") if system in finished.runs]
    curves = finished.folder / name / CURVES
    return StudentFacts(
        name=name,
        dossier=dossier_of(finished.comparison(name, systems=beside)),
        curves=curves if curves.is_file() else None,
        parity=finished.manifest(f"export/{name}").get("parity", {}),
    )
