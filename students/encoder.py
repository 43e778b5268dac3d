"""The encoder student: a cross-encoder trained by RankNet on label lists, with or without term control."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from datasets import Dataset
from pydantic import Field, NonNegativeFloat, field_validator
from sentence_transformers import CrossEncoder
from torch import nn
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from students import StudentError
from students.dev import DevList
from students.losses import RankNetLoss, TermControlLoss
from students.term_control import TermControlLayer
from students.term_matching import TermMatcher
from students.terms import known_language
from students.training import (
    Progress,
    TrainingReport,
    TrainingRequest,
    TrainingSettings,
    UntrainedStudent,
    as_cross_encoder,
    train_student,
)

TRAINER_DEFAULTS: dict[str, Any] = {
    "learning_rate": 2e-4,
    "num_train_epochs": 3,
    "per_device_train_batch_size": 2,
    "warmup_steps": 0.1,
    "weight_decay": 0.01,
}


class EncoderSettings(TrainingSettings):
    """How the encoder student is trained.

    Term control compares words by their English stems, English stop words left out, unless `language` says otherwise.
    """

    term_control_weight: NonNegativeFloat = Field(
        0.5, description="factor (lambda) of the term control layer's RankNet; 0 trains without the layer"
    )
    language: str = Field(
        "english",
        description="stems and stop words by which term control compares words: a Snowball stemmer's language, korean "
        "(kiwipiepy where it is installed, else rules), korean_particles (rules alone), or none",
    )

    @field_validator("language")
    @classmethod
    def _language_is_known(cls, name: str) -> str:
        return known_language(name)


def train_encoder(
    start: str,
    dataset: Dataset,
    dev: Sequence[DevList],
    settings: EncoderSettings,
    out: Path,
    on_progress: Progress | None = None,
) -> TrainingReport:
    """Train an encoder on label lists and save it as a plain sequence classifier.

    A training that was interrupted goes on from its last checkpoint when called again with the same arguments.

    Args:
        start: folder or hub id of an encoder.
        dataset: label lists with the columns `query, docs, labels`.
        dev: held-out lists; the checkpoint with the best dev nDCG@10 is kept. Empty: the last one is.
        settings: see `EncoderSettings`.
        out: the student's folder; must not exist.
        on_progress: called at every log with the step, the number of steps and the logged values.

    Raises:
        StudentError: a list is malformed, or `max_tokens` is more than the start model can read.
        FileExistsError: `out` exists.
    """
    request = TrainingRequest(start, dataset, dev, settings, out, on_progress)
    return train_student(request, lambda: _build(start, settings), TRAINER_DEFAULTS)


def _build(start: str, settings: EncoderSettings) -> UntrainedStudent:
    cross_encoder = as_cross_encoder(*load_encoder(start, settings.max_tokens))
    model = cross_encoder.transformers_model
    return UntrainedStudent(_objective(cross_encoder, settings), lambda: model)


def load_encoder(start: str, max_tokens: int) -> tuple[Any, Any]:
    """The start model as a sequence classifier with one output, its head new where it has none, and its tokenizer.

    Raises:
        StudentError: `max_tokens` is more than the model has positions for.
    """
    model = AutoModelForSequenceClassification.from_pretrained(start, num_labels=1, dtype="float32")
    limit = getattr(model.config, "max_position_embeddings", None)
    if limit is not None and max_tokens > limit:
        raise StudentError(f"max_tokens is {max_tokens}, but {start} reads at most {limit} tokens")
    tokenizer = AutoTokenizer.from_pretrained(start)
    tokenizer.model_max_length = max_tokens
    return model, tokenizer


def _objective(cross_encoder: CrossEncoder, settings: EncoderSettings) -> nn.Module:
    if settings.term_control_weight == 0:
        return RankNetLoss(cross_encoder)
    config: Any = cross_encoder.config
    layer = TermControlLayer(config.hidden_size, config.num_attention_heads, config.intermediate_size)
    terms = TermMatcher(cross_encoder.tokenizer, settings.language)
    return TermControlLoss(cross_encoder, layer, settings.term_control_weight, terms)
