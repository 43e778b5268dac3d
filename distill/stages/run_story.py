"""What a recipe's finished run did from data to exported models, gathered to be told on one page."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distill.chain import COMPARISON
from distill.comparing import compared_systems
from distill.evaluation.disagreement import Disagreement
from distill.evaluation.dossier import Dossier
from distill.evaluation.label_agreement import agreement_verdict
from distill.recipe.settings import Recipe
from distill.report.training_curves import CURVES
from distill.stages.comparison import beside_teacher_labels, dossier_of
from distill.stages.finished_run import FinishedRun
from distill.stages.teacher import STATIC_WEIGHTS, fitted_on
from distill.steps import LISTS
from distill.student_steps import warm_name
from labeling.formats import labels_run
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
        says: how good it is in a sentence, or where nobody has judged the queries, how near it is to its teacher.
        dossier: its comparison with the first stage, the teacher and the bi-encoder beside them; None where nobody has
            judged the queries.
        beside_labels: its ranking beside the teacher's labels of held-out queries, where nobody has judged them.
        curves: picture of its training; None where there is none.
        parity: largest differences of the exported model's scores between libraries, and the pairs compared.
    """

    name: str
    says: str
    dossier: Dossier | None
    beside_labels: Disagreement | None
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
        labels: numbers of the label folder; None where there is no teacher.
        students: in the recipe's order.
        comparison: of the systems of a recipe without a teacher.
        versions: of the libraries.
    """

    finished: FinishedRun
    stages: list[StageFacts]
    fit: dict[str, Any]
    heads: dict[Head, float]
    labels: LabelSummary | None
    students: list[StudentFacts]
    comparison: Dossier | None
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
    manifests = {name: finished.manifest(name) for name in _stages(finished.recipe)}
    return RunStory(
        finished=finished,
        stages=[
            StageFacts(name, manifest.get("summary", ""), manifest["seconds"], manifest["peak_memory_mib"])
            for name, manifest in manifests.items()
            if manifest
        ],
        fit=finished.manifest("teacher").get("fit", {}) if finished.recipe.teacher else {},
        heads=_learned_weights(finished.folder / "teacher"),
        labels=summarize_labels(finished.folder / "labels" / LISTS) if finished.recipe.teacher else None,
        students=[_student(finished, name) for name in students],
        comparison=None if finished.recipe.teacher else _comparison(finished),
        versions=manifests["evaluation"]["versions"],
    )


def _stages(recipe: Recipe) -> list[str]:
    """Names of the recipe's stages; a folder may hold others, of a recipe that was carried out there before."""
    if recipe.teacher is None:
        return ["collection", "first_stage", "evaluation", COMPARISON]
    pre_ranked = ["pre_rank"] if recipe.labels.pre_ranker is not None else []
    held_out = ["held_out"] if recipe.held_out is not None else []
    trained = [
        stage
        for name, section in recipe.students().items()
        for stage in ([warm_name(name), name] if section.warm_start is not None else [name])
    ]
    exports = [f"export/{name}" for name in recipe.students()]
    return ["collection", "first_stage", "teacher", *pre_ranked, "labels", *held_out, *trained, "evaluation", *exports]


def _learned_weights(teacher: Path) -> dict[Head, float]:
    """None of an adopted teacher, whose folder may hold those of a fit before it."""
    if not (teacher / STATIC_WEIGHTS).is_file() or not fitted_on(teacher):
        return {}
    found = WeightedHeads.load(teacher / STATIC_WEIGHTS)
    return dict(zip(found.heads, found.head_weights, strict=True))


def _comparison(finished: FinishedRun) -> Dossier:
    system, reference = compared_systems(finished.recipe)
    return dossier_of(finished.comparison(system, reference, list(finished.runs)))


def _student(finished: FinishedRun, name: str) -> StudentFacts:
    curves = finished.folder / name / CURVES
    dossier = beside_labels = None
    if finished.qrels:
        beside = [system for system in (finished.teacher, "bi_encoder") if system in finished.runs]
        dossier = dossier_of(finished.comparison(name, systems=[system for system in beside if system]))
    else:
        beside_labels = beside_teacher_labels(
            name, finished.runs[name], labels_run(finished.folder / "held_out" / LISTS), finished.collection
        )
    return StudentFacts(
        name=name,
        says=dossier.verdict if dossier else agreement_verdict(name, finished.metrics),
        dossier=dossier,
        beside_labels=beside_labels,
        curves=curves if curves.is_file() else None,
        parity=finished.manifest(f"export/{name}").get("parity", {}),
    )
