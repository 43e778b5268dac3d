"""Rules over several sections of a recipe: each says what is missing, so that no stage finds out hours later."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from distill.recipe.settings import Recipe, TeacherSection

MEASURED = (
    "first_stage", "all_heads", "static_heads", "static_weights", "routehead", "mixture", "bi_encoder", "encoder",
    "decoder",
)  # fmt: skip
"""Names of the systems that a recipe measures by itself, which others may not have."""

_FILE_NAME = re.compile(r"\w[\w.-]*")


def first_problem(recipe: Recipe) -> str | None:
    """What does not fit together, in one line; None where all does."""
    return next(_problems(recipe), None)


def _problems(recipe: Recipe) -> Iterator[str]:
    yield from _names(recipe)
    first = recipe.first_stage
    if first.run is None and first.candidates > first.depth:
        yield (
            f"first_stage.candidates ({first.candidates}) must not be above first_stage.depth ({first.depth}), the "
            "documents that BM25 finds"
        )
    if recipe.labels.bottom >= recipe.first_stage.candidates:
        yield (
            f"labels.bottom ({recipe.labels.bottom}) must be below first_stage.candidates "
            f"({recipe.first_stage.candidates})"
        )
    if recipe.teacher is None:
        yield from _without_teacher(recipe)
    else:
        yield from _with_teacher(recipe, recipe.teacher)


def _names(recipe: Recipe) -> Iterator[str]:
    """Of runs and models: they become names of files, and rows beside those of the recipe's own systems."""
    for section, names in (("runs", recipe.runs), ("models", recipe.models)):
        for name in names:
            if not _FILE_NAME.fullmatch(name):
                yield f"{section}.{name}: a name is letters, digits, points, hyphens and underscores"
            if name in MEASURED:
                yield f"{section}.{name}: a system of the recipe's own is called so; so are {_listed(MEASURED)}"
    for name in recipe.runs.keys() & recipe.models.keys():
        yield f"runs.{name} and models.{name}: two systems cannot have one name"


def _without_teacher(recipe: Recipe) -> Iterator[str]:
    for section in ("encoder", "decoder"):
        if getattr(recipe, section) is not None:
            yield f"{section}: a student is trained on a teacher's labels; give a teacher, or leave {section} out"
    if "labels" in recipe.model_fields_set:
        yield "labels: there is no teacher to give them; give a teacher, or leave labels out"
    systems = [*(["first_stage"] if recipe.ranks_first else []), *recipe.runs, *recipe.models]
    if len(systems) < 2:
        yield (
            f"without a teacher, systems are compared, and there is {_listed(systems) or 'none'}: give a teacher, or "
            "two or more among runs (TREC files by name) and models (by name, compared with the first stage)"
        )
    if recipe.held_out is not None:
        yield (
            "a comparison needs judgments, and this collection's queries have none: give a teacher whose labels stand "
            "in for them; `distill compare RUN RUN` sets two runs side by side without"
        )
    for key in ("system", "reference"):
        name = getattr(recipe.evaluation, key)
        if name is not None and name not in systems:
            yield f"evaluation.{key} ({name}): no system is called so; accepted are {_listed(systems)}"
    if recipe.evaluation.system is not None and recipe.evaluation.system == recipe.evaluation.reference:
        yield f"evaluation: {recipe.evaluation.system} cannot be compared with itself; change system or reference"


def _with_teacher(recipe: Recipe, teacher: TeacherSection) -> Iterator[str]:
    if recipe.collection.kind == "log" and teacher.taught_by == "judgments":
        yield (
            "a query log has no judgments to fit a teacher on: give teacher.published (a published head set) or "
            "teacher.ranking (a stronger ranker's run)"
        )
    for key in ("system", "reference"):
        if getattr(recipe.evaluation, key) is not None:
            yield (
                f"evaluation.{key} is for a recipe without a teacher; with one, each student is compared with the "
                "first stage"
            )
    engine = recipe.labels.engine
    if engine is not None and engine.name == "ray" and engine.gpus is None and teacher.device_map is not None:
        yield "labels.engine: a teacher with a device_map lies on several GPUs; say with gpus how many each judge gets"
    if engine is not None and engine.gpus is not None and engine.gpus > 1 and teacher.device_map is None:
        yield (
            f"labels.engine.gpus ({engine.gpus}) gives a judge several GPUs, and without teacher.device_map it uses "
            "one; give teacher.device_map: auto"
        )


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names)
