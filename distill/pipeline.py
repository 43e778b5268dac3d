"""Runs a recipe: stages in order, each skipped when its folder holds what it would make."""

from __future__ import annotations

import fcntl
import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

from rich.console import Console

from distill import steps
from distill.artifacts import fingerprint, finished, read_manifest, stage_folder
from distill.chain import Stage, stages_of
from distill.collections.collection import Collection, Run
from distill.collections.trec import read_run
from distill.errors import RecipeError
from distill.progress import progress_bar
from distill.recipe.file import write_resolved
from distill.recipe.settings import Recipe
from distill.stages.candidates import top
from distill.stages.label_engines import EngineSettings
from distill.stages.roles import QueryPlan

logger = logging.getLogger(__name__)

RECIPE = "recipe.yaml"
EVALUATION = "evaluation"


class RecipeRun:
    """One recipe and the folder that its stages fill."""

    def __init__(self, recipe: Recipe, folder: Path, engine: EngineSettings | None = None) -> None:
        self.recipe = recipe
        self.folder = folder
        self.engine = engine or EngineSettings.of(recipe.labels.engine)

    @cached_property
    def collection(self) -> Collection:
        """The recipe's collection."""
        return steps.open_collection(self.recipe, self.folder / "collection")

    @cached_property
    def plan(self) -> QueryPlan:
        """Which query does what."""
        return QueryPlan.read(self.folder / "collection" / steps.PLAN)

    @cached_property
    def first_stage(self) -> Run:
        """The first stage's whole run; empty where the recipe has none."""
        if not self.recipe.ranks_first:
            return {}
        return read_run(self.folder / "first_stage" / steps.RUN)

    def candidates(self, query_ids: list[str]) -> Run:
        """What teacher and students read for these queries."""
        return top(self.first_stage, query_ids, self.recipe.first_stage.candidates)


def run_recipe(
    recipe: Recipe, folder: Path, console: Console, last: str | None = None, engine: EngineSettings | None = None
) -> RecipeRun:
    """Carry out every stage that ``folder`` does not hold yet, with progress on ``console``.

    Args:
        recipe: what to do.
        folder: of the run.
        console: shows progress.
        last: name of the stage to end with; None for all stages.
        engine: where the teacher labels; None for what the recipe says.

    Raises:
        RecipeError: ``folder`` holds something that is not a recipe's run, or another run is at work in it.
        ValueError: one of the named errors of the stages.
    """
    _claim(folder)
    run = RecipeRun(recipe, folder, engine)
    with _alone_in(folder):
        write_resolved(recipe, folder / RECIPE)
        for stage, expected in _with_fingerprints(run):
            place = folder / stage.name
            if finished(place, expected):
                console.print(f"[dim]{stage.name:<16} stands ({read_manifest(place).get('summary', 'finished')})[/dim]")
            else:
                _carry_out(run, stage, expected, console)
            if stage.name == EVALUATION:
                # a later start under another recipe may end early: what was measured is told by the recipe it came from
                write_resolved(recipe, place / RECIPE)
            if stage.name == last:
                break
    return run


def open_run(recipe: Recipe, folder: Path, before: str, engine: EngineSettings | None = None) -> RecipeRun:
    """A run whose stages before the one named ``before`` stand; nothing is written.

    ``engine`` is where the teacher labels, None for what the recipe says.

    Raises:
        RecipeError: one of them does not stand.
    """
    run = RecipeRun(recipe, folder, engine)
    for stage, expected in _with_fingerprints(run):
        if stage.name == before:
            break
        if not finished(folder / stage.name, expected):
            raise RecipeError(
                f"{folder}: the stage {stage.name} does not stand for this recipe, and {before} needs it; carry the "
                "recipe out first"
            )
    return run


def _with_fingerprints(run: RecipeRun) -> Iterator[tuple[Stage, str]]:
    """The stages in order, each with the fingerprint that it has when it stands.

    A stage that reads no test queries has one that knows nothing of their choice, and neither do its inputs' for it.
    """
    whole: dict[str, str] = {}
    untested: dict[str, str] = {}
    for stage in stages_of(run.recipe):
        settings = _plain(stage.settings)
        untested[stage.name] = fingerprint(settings, [untested[name] for name in stage.inputs])
        whole[stage.name] = untested[stage.name]
        if stage.tests:
            whole[stage.name] = fingerprint(settings, [whole[name] for name in stage.inputs], *stage.tested)
        yield stage, whole[stage.name]


def _carry_out(run: RecipeRun, stage: Stage, expected: str, console: Console) -> None:
    started = time.perf_counter()
    console.print(f"[bold]{stage.name}[/bold]")
    with (
        stage_folder(run.folder / stage.name, expected, stage.keep) as (folder, manifest),
        progress_bar(console, stage.name, stage.unit) as advance,
    ):
        manifest["settings"] = _plain(stage.settings)
        manifest["inputs"] = list(stage.inputs)
        manifest.update(stage.fill(run, folder, advance))
    summary = manifest.get("summary", "finished")
    console.print(f"  {summary}, {time.perf_counter() - started:.1f} s", highlight=False, soft_wrap=True)


def _claim(folder: Path) -> None:
    if folder.is_dir() and any(folder.iterdir()) and not (folder / RECIPE).exists():
        raise RecipeError(f"{folder}: holds files that are not a recipe's run; give an empty or new folder as --out")
    folder.mkdir(parents=True, exist_ok=True)


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Holds the folder for one run; the system releases it with the process, however that ends."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        _lock(descriptor, folder)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, folder: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise RecipeError(f"{folder}: another run is at work here; wait for its end or take another folder") from None
    except OSError as error:
        # some network file systems lock no folders; a single run is as well off without
        logger.warning("%s cannot be locked (%s): see to it that no second run works here", folder, error.strerror)


def _plain(settings: Any) -> Any:
    """Settings as JSON values: pydantic models become mappings."""
    if isinstance(settings, list):
        return [_plain(entry) for entry in settings]
    return settings.model_dump(mode="json") if hasattr(settings, "model_dump") else settings
