"""A recipe's sections on where documents and queries come from, and which query does what."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, NonNegativeInt, PositiveInt

from distill.collections.docstrings import DocstringSettings
from distill.recipe.section import Section, optional
from labeling.tail.settings import TailSettings


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
