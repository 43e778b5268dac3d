"""What a recipe does with systems that are there already: runs in files, and models that it did not train.

They stand beside the recipe's own systems, or where it has no teacher are all that is measured and compared.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distill.artifacts import file_stamps
from distill.collections.collection import Collection, DataError, Qrels, Run
from distill.collections.trec import check_run, read_run
from distill.evaluation.measures import is_mean
from distill.models import ModelReference
from distill.progress import Advance
from distill.recipe.settings import Recipe
from distill.report.comparison_files import write_comparison
from distill.stages import evaluation
from distill.stages.comparison import ComparisonRequest, dossier_of
from distill.stages.evaluation import System
from distill.stages.rankers import RankerReference

if TYPE_CHECKING:
    from distill.pipeline import RecipeRun


def systems_source(recipe: Recipe) -> dict[str, Any]:
    """What the recipe's runs and models are, by name: stamps of files, versions of weights."""
    runs = {name: [str(path), *file_stamps(path)] for name, path in recipe.runs.items()}
    references = {
        name: ModelReference.parse(RankerReference.parse(model).model) for name, model in recipe.models.items()
    }
    return {**runs, **{name: [recipe.models[name], found.version] for name, found in references.items()}}


def usable_runs(recipe: Recipe, collection: Collection, test: Sequence[str]) -> dict[str, Run]:
    """The recipe's runs as their files have them; what they rank of other queries is left out when they are measured.

    Raises:
        DataError: a file is no run, holds what the collection does not, or has none of the test queries.
    """
    found = {}
    for name, path in recipe.runs.items():
        found[name] = read_run(path)
        check_run(found[name], collection, str(path))
        if not found[name].keys() & set(test):
            there = f"it has none of the {len(test)} test queries"
            raise DataError(f"runs.{name}: {there}; do run and judgments belong together?")
    return found


def other_systems(
    recipe: Recipe, collection: Collection, lists: Run, test: Sequence[str], advance: Advance
) -> dict[str, System]:
    """The recipe's runs, and its models' scores of the lists.

    Raises:
        DataError: a run cannot be used; see `usable_runs`.
        ModelError: a model cannot be found or loaded.
    """
    systems = {name: System(ranked, None) for name, ranked in usable_runs(recipe, collection, test).items()}
    for name, model in recipe.models.items():
        told, timed = partial(advance, note=name), recipe.evaluation.timed_queries
        systems[name] = evaluation.ranker_system(collection, lists, model, timed, told)
    return systems


def evaluate(run: RecipeRun, folder: Path, advance: Advance) -> Mapping[str, Any]:
    """Measure the recipe's runs and models on the test queries."""
    recipe, collection = run.recipe, run.collection
    lists, timed = run.candidates(run.plan.test), recipe.evaluation.timed_queries
    systems = {}
    if recipe.ranks_first:
        systems["first_stage"] = evaluation.first_stage_system(collection, lists, recipe.first_stage, timed)
    systems |= other_systems(recipe, collection, lists, run.plan.test, advance)
    judged = collection.split(recipe.queries.test_split)
    qrels = {query_id: judged[query_id] for query_id in run.plan.test}
    metrics = evaluation.measure(systems, qrels, recipe.evaluation.measures, list(recipe.runs))
    evaluation.write_measurements(systems, metrics, folder)
    return {"metrics": metrics, "summary": f"{len(systems)} systems on {len(qrels)} test queries"}


def compare(run: RecipeRun, folder: Path, advance: Advance) -> Mapping[str, Any]:
    """Compare the systems as `distill compare` does, with its report and figures."""
    recipe, measured = run.recipe, run.folder / "evaluation"
    metrics = evaluation.read_measurements(measured)
    runs = {name: read_run(measured / "runs" / f"{name}.run") for name in system_names(recipe)}
    judged = run.collection.split(recipe.queries.test_split)
    qrels = {query_id: judged[query_id] for query_id in run.plan.test}
    system, reference = compared_systems(recipe)
    dossier = dossier_of(comparison_of(recipe, run.collection, qrels, runs, metrics, system, reference))
    write_comparison(dossier, folder)
    return {"verdict": dossier.verdict, "summary": dossier.verdict.rstrip(".")}


def system_names(recipe: Recipe) -> list[str]:
    """The systems of a recipe without a teacher, in order."""
    return [*(["first_stage"] if recipe.ranks_first else []), *recipe.runs, *recipe.models]


def compared_systems(recipe: Recipe) -> tuple[str, str]:
    """The system that may be shipped and the one that it is to beat: as the recipe says, else the last and first."""
    names = system_names(recipe)
    reference = recipe.evaluation.reference or next(name for name in names if name != recipe.evaluation.system)
    return recipe.evaluation.system or next(name for name in reversed(names) if name != reference), reference


def comparison_of(
    recipe: Recipe, collection: Collection, qrels: Qrels, runs: Mapping[str, Run], metrics: Mapping[str, Any],
    system: str, reference: str, teacher: Run | None = None,
) -> ComparisonRequest:  # fmt: skip
    """What `distill compare` needs to know of a recipe's measured systems.

    Args:
        recipe: what was done.
        collection: texts of queries and documents.
        qrels: judgments of the test queries.
        runs: the systems to show, by name.
        metrics: what was measured of them.
        system: the run that may be shipped.
        reference: the run that it is to beat.
        teacher: the teacher's run, to agree with.
    """
    seconds = {name: metrics["systems"][name]["seconds_per_query"] for name in runs}
    return ComparisonRequest(
        title=f"{recipe.name}: {system} against {reference}",
        runs=runs,
        qrels=qrels,
        judgments=f"{recipe.name}, {recipe.queries.test_split} split",
        system=system,
        reference=reference,
        measures=[measure for measure in metrics["measures"] if is_mean(measure)],
        first_stage="first_stage" if "first_stage" in runs else None,
        collection=collection,
        language=recipe.encoder.language if recipe.encoder else "english",
        teacher=teacher,
        milliseconds={name: 1_000 * found for name, found in seconds.items() if found is not None},
    )
