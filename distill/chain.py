"""Which stages a recipe has, in which order, and what each is made from: so that a stage is repeated when it must be.

With a teacher: collection, first stage, teacher, labels, students, evaluation, export. Where nobody has judged the test
queries, the teacher also labels queries that are held out of training. Without a teacher: systems that are there
already are measured and compared.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distill import comparing, exporting, steps, student_steps
from distill.progress import Advance
from distill.recipe.settings import Recipe

if TYPE_CHECKING:
    from distill.pipeline import RecipeRun

COMPARISON = "comparison"


@dataclass(frozen=True, slots=True)
class Stage:
    """One step of a recipe.

    Args:
        name: of the stage and of its folder.
        settings: JSON values that shape the result.
        inputs: stages whose results it reads.
        fill: writes the result into the folder it is given and returns facts for the manifest.
        unit: what its progress counts.
        keep: whether files made under other settings are worth starting from, see `stage_folder`.
        tests: whether test queries are among what it reads; the others stand when only those change.
        tested: settings that choose test queries and nothing else.
    """

    name: str
    settings: Any
    inputs: tuple[str, ...]
    fill: Callable[[RecipeRun, Path, Advance], Mapping[str, Any]]
    unit: str = "steps"
    keep: bool = False
    tests: bool = False
    tested: tuple[Any, ...] = ()


def stages_of(recipe: Recipe) -> list[Stage]:
    """The recipe's stages in order."""
    limit = recipe.queries.test_limit
    roles = recipe.queries.model_copy(update={"test_limit": None})
    made_of = [recipe.collection, roles, steps.collection_source(recipe), *steps.other_roles(recipe)]
    tested = () if limit is None else (limit,)
    stages = [Stage("collection", made_of, (), steps.make_collection, tests=True, tested=tested)]
    ranked: tuple[str, ...] = ("collection",)
    if recipe.ranks_first:
        settings = [recipe.first_stage, steps.run_source(recipe)]
        stages.append(Stage("first_stage", settings, ("collection",), steps.rank_first, tests=True))
        ranked = ("collection", "first_stage")
    return [*stages, *(_compared(recipe, ranked) if recipe.teacher is None else _taught(recipe, ranked))]


def _taught(recipe: Recipe, ranked: tuple[str, ...]) -> list[Stage]:
    """From the teacher to exported students."""
    depth, held_out = recipe.first_stage.candidates, recipe.held_out
    # where a model's layers lie and where lists are judged changes no label but for rounding: it repeats no stage
    settings = recipe.taught.model_dump(mode="json", exclude={"device_map"})
    teacher = [settings, *map(steps.model_version, steps.teacher_models(recipe)), depth, *steps.heads_source(recipe)]
    stages = [Stage("teacher", teacher, ranked, steps.make_teacher, "lists", keep=True)]
    labelled: tuple[str, ...] = (*ranked, "teacher")
    judged = [depth, *steps.label_settings(recipe)]
    if recipe.labels.pre_ranker is not None:
        version = steps.model_version(recipe.labels.pre_ranker)
        stages.append(Stage("pre_rank", [recipe.labels.pre_ranker, version], ranked, steps.pre_rank, "lists"))
        labelled = (*labelled, "pre_rank")
    stages.append(Stage("labels", judged, labelled, steps.label, "lists", keep=True))
    learned, measured = (*ranked, "labels"), (*ranked, "teacher", *recipe.students())
    if held_out is not None:
        stages.append(Stage("held_out", judged, (*ranked, "teacher"), steps.label_held_out, "lists", keep=True))
        learned, measured = (*learned, "held_out"), (*measured, "held_out")
    stages.extend(_students(recipe, ranked, learned))
    stages.append(Stage("evaluation", _measured(recipe), measured, steps.evaluate, "lists", keep=True, tests=True))
    for name in recipe.students():
        work = exporting.exporter(name)
        stages.append(Stage(f"export/{name}", [recipe.export], (*ranked, name), work, "lists", tests=True))
    return stages


def _students(recipe: Recipe, ranked: tuple[str, ...], learned: tuple[str, ...]) -> list[Stage]:
    """Each student's training, behind its first one if it has a warm start."""
    listed = recipe.labels.model_dump(mode="json", exclude={"engine"})
    stages = []
    for name, section in recipe.students().items():
        settings = [section, steps.model_version(section.start), listed, recipe.first_stage.candidates]
        inputs = learned
        if section.warm_start is not None:
            first = student_steps.warm_settings(section, section.warm_start)
            work = student_steps.warm_starter(name, section.warm_start)
            stages.append(Stage(student_steps.warm_name(name), first, ranked, work))
            inputs = (*learned, student_steps.warm_name(name))
        stages.append(Stage(name, settings, inputs, student_steps.trainer(name)))
    return stages


def _compared(recipe: Recipe, ranked: tuple[str, ...]) -> list[Stage]:
    """What there is, measured and compared."""
    chosen = [comparing.system_names(recipe), *comparing.compared_systems(recipe)]
    return [
        Stage("evaluation", _measured(recipe), ranked, comparing.evaluate, "lists", tests=True),
        Stage(COMPARISON, chosen, ("collection", "evaluation"), comparing.compare, tests=True),
    ]


def _measured(recipe: Recipe) -> list[Any]:
    settings = recipe.evaluation.model_dump(mode="json", exclude={"system", "reference"})
    others = comparing.systems_source(recipe)
    return [settings, recipe.first_stage.candidates, *([others] if others else [])]
