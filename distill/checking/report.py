"""Checks a recipe before it runs: everything that is wrong with it at once, its models, and what it will take."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel

from distill.checking.estimate import Memory, Step, memory, steps
from distill.checking.models import ModelFacts, Role, model_facts
from distill.checking.workload import Workload, workload
from distill.collections.beir import packed_or_plain
from distill.collections.collection import DataError
from distill.errors import RecipeError, RecipeProblem
from distill.recipe.file import read_recipe
from distill.recipe.problems import inside, models_in, validated, without_null_sections
from distill.recipe.settings import Recipe
from distill.recipe.yaml_text import Entry
from distill.stages.warm_start import first_section
from students import StudentError

# by the key's path: what each model of a recipe is asked to do
_ROLES: dict[tuple[str, ...], Role] = {
    ("teacher", "model"): "teacher",
    ("teacher", "mix", "pre_ranker"): "ranker",
    ("labels", "pre_ranker"): "ranker",
    ("labels", "reasons"): "writer",
    ("encoder", "start"): "encoder",
    ("encoder", "warm_start", "ranker"): "ranker",
    ("decoder", "start"): "decoder",
    ("decoder", "warm_start", "ranker"): "ranker",
}


@dataclass(frozen=True, slots=True)
class CheckedRecipe:
    """What a check found.

    Attributes:
        recipe: None where something is wrong with its keys.
        problems: everything that keeps it from running here.
        notes: what may surprise, and keeps nothing from running.
        models: what is known of each model.
        load: its lists and words; None where the recipe cannot be read.
        steps, memory: what it will take.
    """

    recipe: Recipe | None
    problems: list[RecipeProblem]
    notes: list[str] = field(default_factory=list)
    models: list[ModelFacts] = field(default_factory=list)
    load: Workload | None = None
    steps: list[Step] = field(default_factory=list)
    memory: list[Memory] = field(default_factory=list)


def checked_recipe(place: str, overrides: Sequence[str] = ()) -> Recipe:
    """A recipe that is about to be carried out: what would stop one of its stages stops it now.

    Args:
        place: path of a YAML file, or a packaged recipe's name.
        overrides: as `load_recipe` takes them.

    Raises:
        RecipeError: something is wrong with the recipe, a path or a model; its ``problems`` are all that were found.
    """
    recipe, problems, _ = _examined(read_recipe(place, overrides))
    if recipe is None or problems:
        raise RecipeError.of(problems)
    return recipe


def check_recipe(place: str, overrides: Sequence[str] = ()) -> CheckedRecipe:
    """Everything that can be said of a recipe without running it; no weights are loaded, no network is asked.

    Args:
        place: path of a YAML file, or a packaged recipe's name.
        overrides: as `load_recipe` takes them.
    """
    try:
        content = read_recipe(place, overrides)
    except RecipeError as error:
        return CheckedRecipe(None, list(error.problems))
    recipe, problems, models = _examined(content)
    if recipe is None:
        return CheckedRecipe(None, problems, models=models)
    if problems:
        return CheckedRecipe(recipe, problems, _notes(recipe, models), models)
    try:
        load = workload(recipe)
    except DataError as error:
        return CheckedRecipe(recipe, [RecipeProblem(str(content.place), str(error))], models=models)
    by_key = {facts.key: facts for facts in models}
    taken = steps(recipe, load, by_key), memory(recipe, by_key)
    return CheckedRecipe(recipe, [], _notes(recipe, models), models, load, *taken)


def _examined(content: Entry) -> tuple[Recipe | None, list[RecipeProblem], list[ModelFacts]]:
    """The recipe if its keys are right, everything that is wrong with it, and what is known of its models."""
    recipe, problems, readable = validated(content)
    content = without_null_sections(content, Recipe)
    models = []
    for keys, entry, role in _references(content):
        facts = model_facts(".".join(keys), entry.value, role, _section(readable, keys))
        models.append(facts)
        if facts.problem is not None:
            asked = inside(content, (*keys[:-1], facts.setting)) if facts.setting else None
            problems.append(RecipeProblem(str((asked or entry).place), f"{facts.key}: {facts.problem}"))
    problems += _missing_paths(content, Recipe, ())
    if recipe is not None:
        problems += _missing_parts(recipe, content)
        problems += _refused_trainings(recipe, content)
    return recipe, problems, models


def _references(content: Entry) -> Iterator[tuple[tuple[str, ...], Entry, Role]]:
    """Every model that a recipe names, whether or not the rest of it can be read."""
    for keys, role in _ROLES.items():
        entry = inside(content, keys)
        if entry is not None and isinstance(entry.value, str):
            yield keys, entry, role
    named = inside(content, ("models",))
    for name, entry in (named.value if named is not None and isinstance(named.value, dict) else {}).items():
        if isinstance(entry.value, str):
            yield ("models", name), entry, "ranker"


def _section(recipe: Recipe | None, keys: Sequence[str]) -> Any:
    return getattr(recipe, keys[0], None) if len(keys) == 2 else None


def _missing_paths(content: Entry, model: type[BaseModel], keys: tuple[str, ...]) -> Iterator[RecipeProblem]:
    """Files and folders that the recipe names and that are not there."""
    for key, entry in content.value.items() if isinstance(content.value, dict) else ():
        known = model.model_fields.get(key)
        if known is None:
            continue
        sections = models_in(known.annotation)
        if sections:
            chosen = _chosen(sections, entry)
            if chosen is not None:
                yield from _missing_paths(entry, chosen, (*keys, key))
        elif _holds_paths(known.annotation):
            named = entry.value.items() if isinstance(entry.value, dict) else [("", entry)]
            for name, each in named:
                if isinstance(each.value, str) and not Path(each.value).exists():
                    said = ".".join(filter(None, (*keys, key, name)))
                    yield RecipeProblem(str(each.place), f"{said}: {each.value}: no such file or folder")


def _chosen(sections: list[type[BaseModel]], entry: Entry) -> type[BaseModel] | None:
    if len(sections) == 1:
        return sections[0]
    kind = inside(entry, ("kind",))
    fitting = [each for each in sections if kind and kind.value in get_args(each.model_fields["kind"].annotation)]
    return fitting[0] if fitting else None


def _holds_paths(annotation: Any) -> bool:
    return annotation is Path or any(_holds_paths(part) for part in get_args(annotation))


def _missing_parts(recipe: Recipe, content: Entry) -> Iterator[RecipeProblem]:
    """Packages that the recipe needs, and parts of its collection."""
    engine = recipe.labels.engine
    if engine is not None and engine.name == "ray" and importlib.util.find_spec("ray") is None:
        place = _place(content, ("labels", "engine"))
        yield RecipeProblem(place, "labels.engine: ray is not installed; pip install 'distill[ray]'")
    if recipe.collection.kind != "beir" or not recipe.collection.path.is_dir():
        return
    folder, place = recipe.collection.path, _place(content, ("collection", "path"))
    for name in ("corpus.jsonl", "queries.jsonl"):
        try:
            packed_or_plain(folder, name)
        except DataError as error:
            yield RecipeProblem(place, f"collection.path: {error}")
    for key, split in _splits(recipe):
        if not (folder / "qrels" / f"{split}.tsv").is_file():
            there = ", ".join(sorted(path.stem for path in (folder / "qrels").glob("*.tsv"))) or "none"
            yield RecipeProblem(
                _place(content, ("queries", key), ("collection", "path")),
                f"queries.{key}: {folder} has no qrels/{split}.tsv; its splits are {there}",
            )


def _refused_trainings(recipe: Recipe, content: Entry) -> Iterator[RecipeProblem]:
    """Settings by which a student's training, or its warm start, could not begin here."""
    from students.trainer_checks import check_trainer

    has_dev = recipe.held_out is not None or recipe.queries.dev_split is not None
    for name, section in recipe.students().items():
        trainings: list[tuple[tuple[str, ...], Any, bool]] = [((name,), section, has_dev)]
        if section.warm_start is not None:
            trainings.append(((name, "warm_start"), first_section(section), False))
        for keys, settings, measured in trainings:
            try:
                check_trainer(settings, measured)
            except StudentError as error:
                setting = str(error).split()[0].strip(":,").split(".")
                place = _place(content, (*keys, *setting), (*keys, "trainer"), keys)
                yield RecipeProblem(place, f"{'.'.join(keys)}.{error}")


def _splits(recipe: Recipe) -> Iterator[tuple[str, str]]:
    roles = recipe.queries
    if recipe.teacher is not None and recipe.teacher.taught_by == "judgments":
        yield "fit_split", roles.fit_split
    if recipe.held_out is None:
        if roles.dev_split is not None and recipe.teacher is not None:
            yield "dev_split", roles.dev_split
        yield "test_split", roles.test_split


def _place(content: Entry, *keys: tuple[str, ...]) -> str:
    """Where the first of the keys stands that the recipe says; defaults stand nowhere."""
    found = [entry for entry in (inside(content, each) for each in keys) if entry is not None]
    return str((found[0] if found else content).place)


def _notes(recipe: Recipe, models: Sequence[ModelFacts]) -> list[str]:
    notes = [
        f"{facts.key}: {facts.reference} is not known here: whether it fits, its size and time will show when it is "
        "downloaded"
        for facts in models
        if facts.problem is None and facts.family is None
    ]
    languages = {recipe.first_stage.bm25.language, recipe.encoder.language if recipe.encoder else None}
    if "korean" in languages and importlib.util.find_spec("kiwipiepy") is None:
        notes.append("language: korean: kiwipiepy is not installed, so rules cut words; pip install 'distill[korean]'")
    return notes
