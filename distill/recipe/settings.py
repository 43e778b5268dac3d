"""The recipe: everything that one run does. `distill.recipe.file` reads one from YAML."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BeforeValidator,
    Field,
    NonNegativeInt,
    PositiveInt,
    SerializerFunctionWrapHandler,
    field_validator,
    model_serializer,
    model_validator,
)

from distill.evaluation.measures import check_measures
from distill.first_stage import BM25Settings
from distill.recipe.rules import first_problem
from distill.recipe.section import Section, optional, optional_table
from distill.recipe.sources import BeirCollection, DocstringCollection, HeldOut, LogCollection, QueryRoles
from distill.recipe.students import DecoderSection, EncoderSection
from teachers.fitting import RouteHeadSettings
from teachers.prompt import PromptSettings

DeviceMap = Literal["auto", "balanced", "balanced_low_0", "sequential"] | dict[str, int | str]


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
    max_ranked: PositiveInt | None = Field(
        None, description="so many ranked documents, evenly spaced from the best to the last; none for all"
    )
    max_missing: NonNegativeInt | None = Field(None, description="so many missing documents, drawn; none for all")
    min_confidence: float | None = Field(
        None, ge=-1, le=1, description="lists below it are left out; known where the teacher read two orders"
    )


class EngineSection(Section):
    """Where lists are judged; no setting here changes a label but for rounding, so none repeats a stage."""

    name: Literal["local", "ray"] = Field("local", description="this machine, or a Ray cluster")
    address: str | None = Field(None, description="of a running Ray cluster; none: Ray is started on this machine")
    judges: PositiveInt | None = Field(
        None, description="teachers at work; none: as many as the GPUs are enough for, or without GPUs one in all"
    )
    gpus: PositiveInt | None = Field(
        None, description="GPUs of each judge; more than one needs teacher.device_map, which spreads it over them"
    )
    batch_lists: PositiveInt = Field(1, description="lists that a judge reads together where it can")

    @model_validator(mode="after")
    def _address_is_of_a_cluster(self) -> Self:
        if self.address is not None and self.name != "ray":
            raise ValueError(f"address ({self.address!r}) is of a Ray cluster, but the engine is {self.name}")
        return self


def _named_engine(value: Any) -> Any:
    return {"name": value} if isinstance(value, str) else value


NamedEngine = Annotated[
    EngineSection, BeforeValidator(_named_engine, json_schema_input_type=Literal["local", "ray"] | EngineSection)
]
"""An engine's settings, or its name alone."""


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
    engine: NamedEngine | None = optional("where lists are judged: local, ray, or a section; none: local")


class ExportSection(Section):
    """What is exported, and how it is checked."""

    targets: tuple[Literal["hf", "onnx", "onnx-int8"], ...] = Field(
        ("hf",),
        description="forms of the exported folders: hf is always written, to model/; onnx and onnx-int8 go to folders "
        "of their names; an int8 graph that changes rankings too much is left out, and the stage says so",
    )
    # an int8 graph is held to their order, and fewer have none to speak of
    pairs: int = Field(20, ge=3, description="pairs whose scores travel with the folder and are compared")


class EvaluationSection(Section):
    """What is measured."""

    measures: tuple[str, ...] = Field(("nDCG@10", "RR@10", "AP"), min_length=1, description="as trec_eval knows them")
    timed_queries: PositiveInt = Field(10, description="test queries that each system is timed on")
    system: str | None = optional("of a recipe without a teacher: what may be shipped; none: the last named")
    reference: str | None = optional("of a recipe without a teacher: what it is to beat; none: the first named")

    @field_validator("measures")
    @classmethod
    def _measures_are_known(cls, measures: tuple[str, ...]) -> tuple[str, ...]:
        check_measures(measures)
        return measures


class MixSection(Section):
    """What the teacher's score is mixed with, each weighed as held-out judged queries teach."""

    first_stage: bool = Field(False, description="the first stage's score")
    pre_ranker: str | None = Field(
        None,
        description="score of a bi- or cross-encoder, such as a student of an earlier teacher that had the same "
        "queries to fit: its model reference",
    )

    @model_validator(mode="after")
    def _names_something(self) -> Self:
        if not self.first_stage and self.pre_ranker is None:
            raise ValueError("name what to mix in: first_stage: true, pre_ranker: MODEL, or both")
        return self


class TeacherSection(Section):
    """The frozen model and how its heads are found."""

    model: str = Field(description="hub id (@REVISION pins it), folder, .gguf file, or package:NAME/PATH")
    published: str | None = optional(
        "published head set, or a file such as a fitted static_heads.json, used as it is: no judged query is needed"
    )
    ranking: Path | None = optional("TREC run of a stronger ranker, whose first documents teach in place of judgments")
    relevant: PositiveInt | None = optional("documents of each list of `ranking` that count as relevant; none: 3")
    device_map: DeviceMap | None = optional(
        "spreads the model over several devices: auto, balanced, balanced_low_0, sequential, or a device for each "
        "module, as accelerate takes them; none: all of it on the first GPU, or the processor"
    )
    trust_remote_code: bool = Field(False, description="run Python code that comes with the model")
    dtype: Literal["auto", "bfloat16", "float32"] = Field("auto", description="auto: bf16 where the hardware has it")
    prompt: PromptSettings = PromptSettings()
    depth: PositiveInt | None = Field(None, description="layers that are read, the rest never runs; none for all")
    state_layer: NonNegativeInt | None = Field(
        None, description="layer of the query state; none for the middle one, or the last that is read"
    )
    static_heads: PositiveInt = Field(16, description="heads of the QRHead baseline")
    routehead: RouteHeadSettings = RouteHeadSettings()
    mix: MixSection | None = Field(None, description="labels come from the mixture, which is measured on its own row")

    @property
    def taught_by(self) -> Literal["judgments", "ranking", "nobody"]:
        """What its heads are fitted on."""
        if self.published is not None:
            return "nobody"
        return "judgments" if self.ranking is None else "ranking"

    @field_validator("published")
    @classmethod
    def _heads_are_known(cls, name: str | None) -> str | None:
        from teachers.published import published_heads

        if name is not None and name not in published_heads() and not Path(name).is_file():
            raise ValueError(f"neither a file nor a published head set; published are {', '.join(published_heads())}")
        return name

    @model_validator(mode="after")
    def _has_one_source_of_heads(self) -> Self:
        if self.published is not None and self.ranking is not None:
            raise ValueError(f"published ({self.published}) and ranking ({self.ranking}) both give heads; keep one")
        if self.published is not None and self.mix is not None:
            raise ValueError(
                "mix is weighed on the lists that a teacher is fitted on, and published heads are used as they are; "
                "leave mix or published out"
            )
        if self.relevant is not None and self.ranking is None:
            raise ValueError(f"relevant ({self.relevant}) counts documents of ranking, which is not given")
        return self


class Recipe(Section):
    """From a collection to measured, exported students; or without a teacher, a comparison of what there is.

    A student that is left out is not trained.
    """

    name: str = Field(description="names the run in displays and TREC files")
    collection: Annotated[DocstringCollection | BeirCollection | LogCollection, Field(discriminator="kind")]
    queries: QueryRoles = QueryRoles()
    first_stage: FirstStageSection = FirstStageSection()
    teacher: TeacherSection | None = Field(None, description="none: `runs` and `models` are compared")
    labels: LabelSection = LabelSection()
    encoder: EncoderSection | None = None
    decoder: DecoderSection | None = None
    runs: dict[str, Path] = optional_table("TREC runs by name, measured beside the rest as they are")
    models: dict[str, str] = optional_table(
        "cross- or bi-encoders by name, as model references: measured beside the rest on the first stage's candidates"
    )
    evaluation: EvaluationSection = EvaluationSection()
    export: ExportSection = ExportSection()

    @model_validator(mode="after")
    def _sections_fit_together(self) -> Self:
        problem = first_problem(self)
        if problem is not None:
            raise ValueError(problem)
        return self

    @model_serializer(mode="wrap")
    def _without_what_plays_no_part(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        content: dict[str, Any] = write(self)
        if self.teacher is None:
            # as it was given: a section that needs a teacher is refused when this is read again
            content.pop("labels", None)
        return content

    @property
    def taught(self) -> TeacherSection:
        """The teacher of a recipe that has one."""
        if self.teacher is None:
            raise ValueError("this recipe has no teacher")
        return self.teacher

    @property
    def held_out(self) -> HeldOut | None:
        """Queries whose labels stand in for judgments; None where people have judged the test queries."""
        if self.queries.held_out is None and isinstance(self.collection, LogCollection):
            return HeldOut()
        return self.queries.held_out

    @property
    def ranks_first(self) -> bool:
        """Whether anything needs a first stage's candidates: runs alone bring their own."""
        return self.teacher is not None or bool(self.models) or self.first_stage.run is not None

    @property
    def tag(self) -> str:
        """The name as TREC runs take it, without white space."""
        return "_".join(self.name.split()) or "distill"

    def students(self) -> dict[str, EncoderSection | DecoderSection]:
        """The students to train, by name."""
        sections: dict[str, EncoderSection | DecoderSection | None] = {"encoder": self.encoder, "decoder": self.decoder}
        return {name: section for name, section in sections.items() if section is not None}
