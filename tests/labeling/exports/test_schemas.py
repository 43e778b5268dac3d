"""The formats of FlagEmbedding, tevatron and RankLLM by their documented schemas, strictly: no key more or less.

The documents: FlagEmbedding's fine-tuning README ("pos_scores is a list of scores corresponding to the query and pos"),
tevatron's README on custom datasets, and the dataclasses of RankLLM's data module. `test_readers.py` has their own code
read the files, where there is an index to take it from.
"""

import pytest
from pydantic import BaseModel, ConfigDict, Field, model_validator

from labeling.exports.export import export_labels
from labeling.exports.selection import ExportSettings


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class FlagEmbeddingLine(Strict):
    query: str
    pos: list[str] = Field(min_length=1)
    neg: list[str] = Field(min_length=1)
    pos_scores: list[float]
    neg_scores: list[float]
    prompt: str

    @model_validator(mode="after")
    def one_score_a_text(self):
        assert (len(self.pos_scores), len(self.neg_scores)) == (len(self.pos), len(self.neg))
        return self


class Passage(Strict):
    docid: str
    title: str
    text: str


class TevatronLine(Strict):
    query_id: str
    query: str
    positive_passages: list[Passage] = Field(min_length=1)
    negative_passages: list[Passage] = Field(min_length=1)


class RankLlmQuery(Strict):
    text: str
    qid: str


class Candidate(Strict):
    docid: str
    score: float
    doc: dict[str, str]


class RankLlmLine(Strict):
    query: RankLlmQuery
    candidates: list[Candidate]


@pytest.mark.parametrize(
    ("form", "line", "lists"),
    [("flagembedding", FlagEmbeddingLine, 2), ("tevatron", TevatronLine, 3), ("rank_llm", RankLlmLine, 3)],
)
def test_each_line_is_of_the_documented_schema(folder, texts, tmp_path, form, line, lists):
    out = tmp_path / "out.jsonl"
    export_labels(folder, form, out, texts, ExportSettings(prompt="rank", random=1))
    read = [line.model_validate_json(text) for text in out.read_text().splitlines()]
    assert len(read) == lists
