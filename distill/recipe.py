"""The recipe: everything that one run does. `distill.recipe_file` reads one from YAML."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    NonNegativeInt,
    PositiveInt,
    SerializerFunctionWrapHandler,
    field_validator,
    model_serializer,
    model_validator,
)

from distill.collections.docstrings import DocstringSettings
from distill.first_stage import BM25Settings
from distill.recipe_rules import first_problem
from labeling.tail.settings import TailSettings
from students.decoder import DecoderSettings
from students.encoder import EncoderSettings
from students.training_settings import known_arguments
from teachers.fitting import RouteHeadSettings
from teachers.prompt import PromptSettings

DeviceMap = Literal["auto", "balanced", "balanced_low_0", "sequential"] | dict[str, int | str]


class Section(BaseModel):
    """A part of a recipe: unknown keys are refused, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def optional_table(description: str) -> Any:
    """As `optional`, of a key that holds names."""
    return Field(default_factory=dict, exclude_if=lambda value: not value, description=description)


def optional(description: str, **limits: Any) -> Any:
    """A key that is left out of what is written where it is not set: a stage that it came to later keeps its
    fingerprint."""
    return Field(None, exclude_if=lambda value: value is None, description=description, **limits)


class DocstringCollection(DocstringSettings):
    """The embedded collection, made from the docstrings of installed packages."""

    kind: Literal["docstrings"]


class BeirCollection(Section):
    """A collection of yours, in BEIR layout."""

    kind: Literal["beir"]
    path: Path = Field(description="folder with corpus.jsonl, queries.jsonl and qrels/SPLIT.tsv")


class LogColumns(Section):
    """Names of a query log's columns."""

    query: str = Field(description="what was asked")
    frequency: str | None = Field(None, description="how often; without it each line counts once")
    clicks: str | None = None
    impressions: str | None = None


class LogCollection(Section):
    """Documents of yours and a query log, without judgments: see `distill data tail` for how a log is read."""

    kind: Literal["log"]
    corpus: Path = Field(description="documents: corpus.jsonl (or .gz) in BEIR's form, or a folder that holds it")
    log: Path = Field(description="query log: .csv, .tsv, .jsonl (each also .gz) or .parquet")
    columns: LogColumns


COLLECTIONS: dict[str, type[BaseModel]] = {
    "docstrings": DocstringCollection,
    "beir": BeirCollection,
    "log": LogCollection,
}
"""The kinds of collection, by the word that `collection.kind` names them with."""


class HeldOut(Section):
    """Queries without judgments that no student is trained on: the teacher's labels stand in for judgments there."""

    dev: NonNegativeInt = Field(60, description="queries to choose checkpoints by; 0: the last checkpoint is kept")
    test: PositiveInt = Field(100, description="queries to measure agreement with the teacher on")


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
    held_out: HeldOut | None = optional(
        "takes dev and test queries from those without judgments, in place of dev_split and test_split; a collection "
        "of kind log always does"
    )
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
    pairs: PositiveInt = Field(20, description="pairs whose scores travel with the folder and are compared")


class EvaluationSection(Section):
    """What is measured."""

    measures: tuple[str, ...] = Field(("nDCG@10", "RR@10", "AP"), min_length=1, description="as trec_eval knows them")
    timed_queries: PositiveInt = Field(10, description="test queries that each system is timed on")
    system: str | None = optional("of a recipe without a teacher: what may be shipped; none: the last named")
    reference: str | None = optional("of a recipe without a teacher: what it is to beat; none: the first named")


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
    state_layer: NonNegativeInt | None = Field(None, description="layer of the query state; none for the middle one")
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


class WarmStart(Section):
    """What a student learns before the teacher's labels: a light ranker's scores, which cost no pass of a large model.

    A new ranking head knows nothing, and a teacher's lists are few; these are as many as there are queries.
    """

    ranker: str = Field(
        description="cross- or bi-encoder, as a model reference; the bi-encoder that the student starts from will do"
    )
    queries: PositiveInt = Field(
        2_000, description="most queries: all that neither choose checkpoints nor measure, whatever else they do"
    )
    documents: int = Field(16, ge=2, description="of the first stage's list of each, evenly spaced")
    random: NonNegativeInt = Field(4, description="documents of the whole collection beside them, scored as well")
    trainer: dict[str, Any] = Field(
        default_factory=dict,
        description="arguments of CrossEncoderTrainingArguments, over the student's own defaults and one epoch",
    )

    @field_validator("trainer")
    @classmethod
    def _is_known(cls, value: dict[str, Any]) -> dict[str, Any]:
        return known_arguments(value)


WARM_START = "a first training on a light ranker's scores, before the teacher's labels; none: the labels alone"


class EncoderSection(EncoderSettings):
    """The encoder student."""

    start: str = Field(description="hub id (@REVISION pins it), folder, or package:NAME/PATH of an encoder")
    warm_start: WarmStart | None = optional(WARM_START)


class DecoderSection(DecoderSettings):
    """The decoder student."""

    start: str = Field(description="hub id (@REVISION pins it), folder, .gguf file, or package:NAME/PATH of a decoder")
    warm_start: WarmStart | None = optional(WARM_START)

    @model_validator(mode="after")
    def _keeps_its_words(self) -> Self:
        if self.warm_start is not None and (self.label_weight or self.reason_weight):
            raise ValueError(
                "warm_start leaves a re-ranker, without the language model's head that label_weight and reason_weight "
                "learn by; leave out warm_start, or set both to 0"
            )
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

    def students(self) -> dict[str, EncoderSection | DecoderSection]:
        """The students to train, by name."""
        sections: dict[str, EncoderSection | DecoderSection | None] = {"encoder": self.encoder, "decoder": self.decoder}
        return {name: section for name, section in sections.items() if section is not None}
