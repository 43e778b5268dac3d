"""A recipe's finished run, opened to be looked at: its texts, rankings and figures, without any model."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from distill import steps
from distill.artifacts import MANIFEST
from distill.collections.collection import Collection, DataError, Qrels, Run
from distill.collections.trec import read_run
from distill.comparing import comparison_of
from distill.evaluation.measures import evaluate, mean_measures
from distill.pipeline import EVALUATION, RECIPE, RecipeRun
from distill.recipe.file import load_recipe
from distill.recipe.settings import Recipe
from distill.stages.comparison import ComparisonRequest
from distill.stages.roles import QueryPlan
from distill.stages.teacher import METHODS

logger = logging.getLogger(__name__)

METRICS = "metrics.json"


class _Manifest(BaseModel):
    """What is told of every stage; a stage's own entries pass."""

    model_config = ConfigDict(strict=True)

    seconds: float
    peak_memory_mib: float
    versions: dict[str, str]
    summary: str = ""


class _Plan(BaseModel):
    """The queries' roles, and no others."""

    model_config = ConfigDict(strict=True, extra="forbid")

    fit: list[str]
    label: list[str]
    dev: list[str]
    test: list[str] = Field(min_length=1)


class _Metrics(BaseModel):
    """The figures, of each system all; what else is told passes."""

    model_config = ConfigDict(strict=True)

    measures: list[str] = Field(min_length=1)
    queries: int
    candidates: int | None
    systems: dict[str, dict[str, Any]] = Field(min_length=1)

    @model_validator(mode="after")
    def _whole(self) -> Self:
        for system, row in self.systems.items():
            for name in (*self.measures, "seconds_per_query"):
                found = row.get(name, "missing")
                if not isinstance(found, int | float | None):
                    raise ValueError(f"systems.{system}.{name} is {found!r}; a number or null is accepted")
        return self


@dataclass(frozen=True)
class FinishedRun:
    """What a recipe's run left behind.

    Args:
        folder: of the run.
        recipe: as it was resolved.
        collection: its texts and judgments.
        plan: which query did what.
        qrels: judgments of the test queries; empty where nobody has judged them.
        runs: test rankings by system, the first stage first.
        metrics: what `metrics.json` holds.
    """

    folder: Path
    recipe: Recipe
    collection: Collection
    plan: QueryPlan
    qrels: Qrels
    runs: dict[str, Run]
    metrics: dict[str, Any]

    @property
    def teacher(self) -> str | None:
        """The system that judged the labels; None where there is no teacher."""
        return next((name for name in reversed(METHODS) if name in self.runs), None)

    def manifest(self, stage: str) -> dict[str, Any]:
        """What a stage says of itself; empty where it was not carried out.

        Raises:
            DataError: it is damaged.
        """
        path = self.folder / stage / MANIFEST
        return _read(path, _Manifest) if path.exists() else {}

    def comparison(self, system: str, reference: str = "first_stage", systems: Sequence[str] = ()) -> ComparisonRequest:
        """The comparison of two of its systems, others beside them.

        Args:
            system: the run that may be shipped.
            reference: the run that it is to beat.
            systems: others to show; the two named come first and last.

        Raises:
            DataError: the run has no such system, or nobody has judged its test queries.
        """
        if not self.qrels:
            raise DataError(
                f"{self.folder}: nobody has judged its test queries; evaluation/metrics.json holds agreement with the "
                "teacher's labels, and `distill compare RUN RUN` sets two runs side by side"
            )
        names = [reference, *(name for name in systems if name not in (system, reference)), system]
        unknown = [name for name in names if name not in self.runs]
        if unknown:
            raise DataError(f"{self.folder}: no system {unknown[0]!r}; there are {', '.join(self.runs)}")
        return comparison_of(
            self.recipe, self.collection, self.qrels, {name: self.runs[name] for name in names}, self.metrics,
            system, reference, None if self.teacher is None else self.runs[self.teacher],
        )  # fmt: skip


def open_finished(folder: Path) -> FinishedRun:
    """Open the run of a recipe in ``folder``.

    Documents or queries that have changed since are told in a warning: rankings and figures are of what there was.

    Raises:
        DataError: it holds no run, one that was not measured to its end, a damaged file, or figures that are not those
            of its rankings by the collection's judgments.
        RecipeError: its recipe cannot be read.
    """
    if not (folder / RECIPE).is_file():
        raise DataError(f"{folder}: no {RECIPE}; the folder of a `distill run` is accepted")
    if not (folder / EVALUATION / MANIFEST).exists():
        raise DataError(f"{folder}: its evaluation has not finished; `distill run` goes on with it")
    measured = folder / EVALUATION / RECIPE
    run = RecipeRun(load_recipe(str(measured if measured.is_file() else folder / RECIPE)), folder)
    plan = _read(folder / "collection" / steps.PLAN, _Plan)
    metrics = _read(folder / EVALUATION / METRICS, _Metrics)
    finished = FinishedRun(
        folder=folder,
        recipe=run.recipe,
        collection=run.collection,
        plan=QueryPlan(**plan),
        qrels=_test_judgments(run),
        runs={name: _ranking(folder, name) for name in metrics["systems"]},
        metrics=metrics,
    )
    _refuse_other_judgments(finished)
    content = finished.manifest("collection").get("content")
    if content is not None and content != run.collection.fingerprint():
        changed = "%s: has changed since the run in %s was measured, which is shown with its texts of now"
        logger.warning(changed, _texts(run.recipe, folder), folder)
    return finished


def _test_judgments(run: RecipeRun) -> Qrels:
    """Judgments of the test queries; empty where labels of a teacher stand in for them.

    Raises:
        DataError: one of the queries is no longer judged.
    """
    if run.recipe.held_out is not None:
        return {}
    split = run.recipe.queries.test_split
    judged = run.collection.split(split)
    lost = [query_id for query_id in run.plan.test if query_id not in judged]
    if lost:
        texts = _texts(run.recipe, run.folder)
        raise DataError(
            f"{texts}: split {split!r} has no judgment of query {lost[0]!r} any more ({len(lost)} such in all), by "
            f"which the run in {run.folder} was measured; put it back, or carry the recipe out again"
        )
    return {query_id: judged[query_id] for query_id in run.plan.test}


def _refuse_other_judgments(finished: FinishedRun) -> None:
    """Stop where a system's figures are not those of its ranking by the judgments of now: a page would show both."""
    measures = finished.metrics["measures"]
    for name, ranked in finished.runs.items() if finished.qrels else ():
        now, then = mean_measures(evaluate(ranked, finished.qrels, measures)), finished.metrics["systems"][name]
        for measure in measures:
            if not math.isclose(now[measure], then[measure], abs_tol=1e-9):
                raise DataError(
                    f"{finished.folder}: evaluation/metrics.json has {measure} {then[measure]:.6f} of {name}, whose "
                    f"ranking has {now[measure]:.6f} by the judgments in {_texts(finished.recipe, finished.folder)} "
                    "now; put back those that it was measured by, or carry the recipe out again"
                )


def _ranking(folder: Path, system: str) -> Run:
    path = folder / EVALUATION / "runs" / f"{system}.run"
    ranked = read_run(path)
    if not ranked:
        raise _damaged(path, "no line in it")
    return ranked


def _read(path: Path, kind: type[BaseModel]) -> dict[str, Any]:
    """What a stage wrote as JSON, whole.

    Raises:
        DataError: it is cut off, or lacks what is told of it.
    """
    try:
        content = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        raise _damaged(path, "not JSON, or cut off") from None
    if not isinstance(content, dict):
        raise _damaged(path, f"a JSON {type(content).__name__}; an object is accepted")
    try:
        kind.model_validate(content)
    except ValidationError as error:
        problem = error.errors()[0]
        place = "".join(f"{part}." for part in problem["loc"])[:-1]
        said = problem["msg"].removeprefix("Value error, ")
        raise _damaged(path, f"{place}: {said}" if place else said) from None
    return content


def _damaged(path: Path, problem: str) -> DataError:
    stage = path.parent if path.parent.name != "runs" else path.parent.parent
    return DataError(f"{path}: {problem}; without {stage / MANIFEST} `distill run` carries this stage out again")


def _texts(recipe: Recipe, folder: Path) -> Path:
    """Where the files of the collection are that a run in ``folder`` is of."""
    return steps.beir_folder(recipe, folder / "collection")
