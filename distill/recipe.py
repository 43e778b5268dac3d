"""The recipe: everything that one run does, in one YAML file. This module is the only reader of YAML."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, PositiveInt, ValidationError, model_validator

from distill.collections.docstrings import DocstringSettings
from distill.errors import RecipeError
from distill.first_stage import BM25Settings
from labeling.tail.settings import TailSettings
from students.decoder import DecoderSettings
from students.encoder import EncoderSettings
from teachers.fitting import RouteHeadSettings
from teachers.prompt import PromptSettings


class Section(BaseModel):
    """A part of a recipe: unknown keys are refused, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class DocstringCollection(DocstringSettings):
    """The embedded collection, made from the docstrings of installed packages."""

    kind: Literal["docstrings"]


class BeirCollection(Section):
    """A collection of yours, in BEIR layout."""

    kind: Literal["beir"]
    path: Path = Field(description="folder with corpus.jsonl, queries.jsonl and qrels/SPLIT.tsv")


class QueryRoles(Section):
    """Which queries fit the teacher, get labels, choose checkpoints and measure. No query has two roles."""

    fit_split: str = Field("train", description="split whose judged queries fit the teacher")
    fit_share: float = Field(0.5, gt=0, le=1, description="share of that split's queries; the others may get labels")
    fit_limit: PositiveInt | None = Field(None, description="most queries to fit on")
    label_from: Literal["judged", "unjudged", "both"] = Field(
        "both", description="queries to label: the rest of the fitting split, those without judgments, or both"
    )
    label_limit: PositiveInt | None = Field(None, description="most queries to label")
    tail: TailSettings | None = Field(None, description="label tail queries only; needs query frequencies")
    dev_split: str | None = Field("dev", description="split that chooses the students' checkpoints")
    dev_limit: PositiveInt | None = Field(None, description="most dev queries")
    test_split: str = Field("test", description="split that all figures are measured on")
    test_limit: PositiveInt | None = Field(None, description="most test queries")
    seed: int = Field(0, description="of the draws")


class FirstStageSection(Section):
    """Candidates for every query."""

    depth: PositiveInt = Field(50, description="documents kept for each query")
    candidates: PositiveInt = Field(20, description="of those, documents that teacher and students read")
    bm25: BM25Settings = BM25Settings()
    run: Path | None = Field(None, description="a TREC run to use instead of BM25")


class JudgeSection(Section):
    """What a teacher says of a list, beside its scores."""

    evidence: bool = Field(True, description="name the sentence of each document that the heads looked at most")
    orders: PositiveInt | None = Field(
        None,
        description="orders of the documents that the teacher reads and averages; two or more give each list a "
        "confidence; none: as many as it was fitted with",
    )
    reasons: str | None = Field(
        None, description="a causal model that writes a reason for the best documents of each list; none: no reasons"
    )
    reason_documents: PositiveInt = Field(3, description="best documents of a list that get a reason")


class ListSection(Section):
    """What students get of each label list."""

    random: NonNegativeInt = Field(2, description="documents of other queries added to each list, tied at the bottom")
    max_ranked: PositiveInt | None = Field(None, description="the best so many ranked documents; none for all")
    max_missing: NonNegativeInt | None = Field(None, description="so many missing documents, drawn; none for all")
    min_confidence: float | None = Field(
        None, ge=-1, le=1, description="lists below it are left out; known where the teacher read two orders"
    )


class LabelSection(JudgeSection, ListSection):
    """How lists are labelled, and what students get of them."""

    pre_ranker: str | None = Field(
        None,
        description="sentence-transformers bi- or cross-encoder that ranks the first stage's whole list again before "
        "the best (and the bottom) of it go to the teacher; none: the first stage's order",
    )
    bottom: NonNegativeInt = Field(
        0, description="of the candidates that the teacher reads, those from the end of the pre-ranker's list"
    )


class ExportSection(Section):
    """What is exported, and how it is checked."""

    targets: tuple[Literal["hf", "onnx", "onnx-int8"], ...] = Field(
        ("hf",),
        description="forms of the exported folders: hf is always written, to model/; onnx and onnx-int8 go to folders "
        "of their names; an int8 graph that changes rankings too much is left out, and the stage says so",
    )
    pairs: PositiveInt = Field(20, description="pairs whose scores travel with the folder and are compared")


class EvaluationSection(Section):
    """What is measured."""

    measures: tuple[str, ...] = Field(("nDCG@10", "RR@10", "AP"), min_length=1, description="as trec_eval knows them")
    timed_queries: PositiveInt = Field(10, description="test queries that each system is timed on")


class MixSection(Section):
    """What the teacher's score is mixed with, each weighed as held-out judged queries teach."""

    first_stage: bool = Field(False, description="the first stage's score")
    pre_ranker: str | None = Field(None, description="a sentence-transformers bi-encoder's score: its model reference")

    @model_validator(mode="after")
    def _names_something(self) -> Self:
        if not self.first_stage and self.pre_ranker is None:
            raise ValueError("name what to mix in: first_stage: true, pre_ranker: MODEL, or both")
        return self


class TeacherSection(Section):
    """The frozen model and how its heads are found."""

    model: str = Field(description="hub id, folder, .gguf file, or package:NAME/PATH")
    trust_remote_code: bool = Field(False, description="run Python code that comes with the model")
    dtype: Literal["auto", "bfloat16", "float32"] = Field("auto", description="auto: bf16 where the hardware has it")
    prompt: PromptSettings = PromptSettings()
    depth: PositiveInt | None = Field(None, description="layers that are read, the rest never runs; none for all")
    state_layer: NonNegativeInt | None = Field(None, description="layer of the query state; none for the middle one")
    static_heads: PositiveInt = Field(16, description="heads of the QRHead baseline")
    routehead: RouteHeadSettings = RouteHeadSettings()
    mix: MixSection | None = Field(None, description="labels come from the mixture, which is measured on its own row")


class EncoderSection(EncoderSettings):
    """The encoder student."""

    start: str = Field(description="hub id, folder, or package:NAME/PATH of an encoder")


class DecoderSection(DecoderSettings):
    """The decoder student."""

    start: str = Field(description="hub id, folder, .gguf file, or package:NAME/PATH of a decoder")


class Recipe(Section):
    """From a collection to measured, exported students. A student that is left out is not trained."""

    name: str = Field(description="names the run in displays and TREC files")
    collection: Annotated[DocstringCollection | BeirCollection, Field(discriminator="kind")]
    queries: QueryRoles = QueryRoles()
    first_stage: FirstStageSection = FirstStageSection()
    teacher: TeacherSection
    labels: LabelSection = LabelSection()
    encoder: EncoderSection | None = None
    decoder: DecoderSection | None = None
    evaluation: EvaluationSection = EvaluationSection()
    export: ExportSection = ExportSection()

    @model_validator(mode="after")
    def _lists_have_a_top(self) -> Self:
        if self.labels.bottom >= self.first_stage.candidates:
            raise ValueError(
                f"labels.bottom ({self.labels.bottom}) must be below first_stage.candidates "
                f"({self.first_stage.candidates})"
            )
        return self

    def students(self) -> dict[str, EncoderSection | DecoderSection]:
        """The students to train, by name."""
        sections: dict[str, EncoderSection | DecoderSection | None] = {"encoder": self.encoder, "decoder": self.decoder}
        return {name: section for name, section in sections.items() if section is not None}


def load_recipe(place: str, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe from a file, or by its name from those that come with the package.

    Args:
        place: path of a YAML file, or a name such as ``quickstart``.
        overrides: settings as ``a.b=value`` with the value in YAML, over those of the file.

    Raises:
        RecipeError: no such recipe, broken YAML, an unknown key or a value that is not accepted.
    """
    path = find_recipe(place)
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path}: cannot be read: {error}") from None
    except yaml.MarkedYAMLError as error:
        line = f":{error.problem_mark.line + 1}" if error.problem_mark else ""
        raise RecipeError(f"{path}{line}: not valid YAML: {error.problem}") from None
    if not isinstance(content, dict):
        raise RecipeError(f"{path}: a recipe is a mapping of sections; got {type(content).__name__}")
    for override in overrides:
        _set(content, override)
    try:
        return Recipe.model_validate(content)
    except ValidationError as error:
        raise RecipeError(f"{path}: {_first_problem(error)}") from None


def find_recipe(place: str) -> Path:
    """The file of a recipe.

    Raises:
        RecipeError: neither a file nor the name of a packaged recipe.
    """
    path = Path(place)
    if path.is_file():
        return path
    packaged = Path(str(resources.files("recipes")))
    named = packaged / f"{path.stem}.yaml"
    # a path such as recipes/quickstart.yaml also works where the package is installed without its source tree
    if path.suffix in ("", ".yaml") and path.parent.name in ("", "recipes") and named.is_file():
        return named
    names = ", ".join(sorted(entry.stem for entry in packaged.glob("*.yaml")))
    raise RecipeError(f"{place}: no such recipe file; packaged recipes are {names}")


def write_resolved(recipe: Recipe, path: Path) -> None:
    """Write the recipe with every default filled in, so that a run's folder says what it did."""
    content = recipe.model_dump(mode="json")
    path.write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True), encoding="utf-8")


def _set(content: dict[str, Any], override: str) -> None:
    name, equals, text = override.partition("=")
    keys = name.strip().split(".")
    if not equals or not all(keys):
        raise RecipeError(f"--set {override}: a setting is written section.key=value")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        raise RecipeError(f"--set {override}: {text!r} is not a YAML value") from None
    place = content
    for key in keys[:-1]:
        place = place.setdefault(key, {})
        if not isinstance(place, dict):
            raise RecipeError(f"--set {override}: {key} holds a value, not a section")
    place[keys[-1]] = value


def _first_problem(error: ValidationError) -> str:
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"] if part not in ("docstrings", "beir"))
    if first["type"] == "extra_forbidden":
        accepted = ", ".join(_accepted_keys(first["loc"][:-1]))
        return f"{key}: unknown key; accepted here are {accepted}"
    if first["type"] == "missing":
        return f"{key}: this key is required"
    message = first["msg"].removeprefix("Value error, ")
    message = f"{key}: {message[:1].lower()}{message[1:]}" if key else message
    # a rule over several keys names their values itself; the whole section would bury it
    return message if isinstance(first["input"], dict) else f"{message}; got {first['input']!r}"


def _accepted_keys(section: Sequence[int | str]) -> list[str]:
    """Keys of the section that a validation error points to."""
    model: type[BaseModel] = Recipe
    for part in section:
        if part in ("docstrings", "beir"):
            model = DocstringCollection if part == "docstrings" else BeirCollection
            continue
        field = model.model_fields.get(str(part))
        model = next((kind for kind in _models_in(field.annotation if field else None)), model)
    return list(model.model_fields)


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    kinds = get_args(annotation) or (annotation,)
    return [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)]
