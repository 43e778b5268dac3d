"""The encoder student: a cross-encoder trained on label lists, with or without term control."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from datasets import Dataset
from pydantic import Field, NonNegativeFloat, field_validator
from sentence_transformers import CrossEncoder

from students import StudentError
from students.dev import DevList
from students.losses import LOSSES
from students.model_card import UNTOLD, Origin
from students.objectives import ListObjective, TermControlObjective
from students.start_model import FP32_ONLY, check_positions, check_room, load_classifier, read_config, read_tokenizer
from students.term_control import TermControlLayer
from students.term_matching import EveryToken, TermMatcher
from students.terms import known_language
from students.training import (
    Progress,
    TrainingReport,
    TrainingRequest,
    UntrainedStudent,
    as_cross_encoder,
    train_student,
)
from students.training_settings import TrainingSettings

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
        0.5, description="factor (lambda) of the loss on the term control layer's scores; 0 trains without the layer"
    )
    term_selection: Literal["matching", "all"] = Field(
        "matching",
        description="document tokens that the term control layer sees: those of the query's words, or all, to measure "
        "what the selection is worth",
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
    origin: Origin = UNTOLD,
) -> TrainingReport:
    """Train an encoder on label lists and save it as a plain sequence classifier.

    A training that was interrupted goes on from its last checkpoint when called again with the same arguments.

    Args:
        start: folder or hub id of an encoder.
        dataset: label lists with the columns `query, docs, labels`; a loss that uses the size of labels learns a
            column `scores` in their place where there is one.
        dev: held-out lists; the checkpoint with the best dev nDCG@10 is kept. Empty: the last one is.
        settings: see `EncoderSettings`.
        out: the student's folder; must not exist.
        on_progress: called at every log with the step, the number of steps and the logged values.
        origin: what the model card says of data, teacher and start model.

    Raises:
        StudentError: the start model cannot be read, a list is malformed, `max_tokens` is more than the start model can
            read or too few, or the model's family cannot be run in the precision or is not known to term control.
        FileExistsError: `out` exists.
    """
    settings = fitting_precision(settings, read_config(start))
    request = TrainingRequest(start, dataset, dev, settings, out, on_progress, origin)
    return train_student(request, lambda: _build(start, settings), TRAINER_DEFAULTS)


def fitting_precision(settings: EncoderSettings, config: Any) -> EncoderSettings:
    """The settings in fp32 where the model's family cannot be run in another precision.

    Raises:
        StudentError: they name another.
    """
    if config.model_type not in FP32_ONLY:
        return settings
    named = "trainer.fp16 is set" if settings.trainer.get("fp16") else f"precision is {settings.precision}"
    if settings.precision == "bf16" or settings.trainer.get("fp16"):
        raise StudentError(
            f"{named}, but transformers runs {config.model_type} in fp32 alone; auto and fp32 are accepted"
        )
    return settings.model_copy(update={"precision": "fp32"})


def _build(start: str, settings: EncoderSettings) -> UntrainedStudent:
    cross_encoder = as_cross_encoder(*load_encoder(start, settings.max_tokens), settings.passages)
    model = cross_encoder.transformers_model
    return UntrainedStudent(_objective(cross_encoder, settings), lambda: model)


def load_encoder(start: str, max_tokens: int) -> tuple[Any, Any]:
    """The start model as a sequence classifier with one output, its head new where it has none such, and its tokenizer.

    Raises:
        StudentError: the model or its tokenizer cannot be read, the weights are not those of the configuration, it has
            no padding token, or `max_tokens` is more than it has positions for or leaves no room for texts.
    """
    config = read_config(start)
    check_padding(config, start)
    tokenizer = read_tokenizer(start)
    check_room(tokenizer, max_tokens)
    model = load_classifier(start, config)
    check_positions(model, start, max_tokens)
    tokenizer.model_max_length = max_tokens
    return model, tokenizer


def check_padding(config: Any, start: str) -> None:
    """Refuse a model whose configuration names no padding token, as those of decoders often do.

    Raises:
        StudentError: it names none.
    """
    if getattr(config, "pad_token_id", None) is None:
        raise StudentError(
            f"{start} ({config.model_type}) has no pad_token_id in its config.json, by which pairs are batched; "
            "name one there, or train the decoder student if it is a decoder"
        )


def _objective(cross_encoder: CrossEncoder, settings: EncoderSettings) -> ListObjective:
    loss = LOSSES[settings.loss]
    if settings.term_control_weight == 0:
        return ListObjective(cross_encoder, loss)
    config: Any = cross_encoder.config
    # DistilBERT calls the width of its feed-forward part hidden_dim
    width = getattr(config, "intermediate_size", None) or config.hidden_dim
    layer = TermControlLayer(config.hidden_size, config.num_attention_heads, width)
    matching = settings.term_selection == "matching"
    selection = TermMatcher(cross_encoder.tokenizer, settings.language) if matching else EveryToken()
    return TermControlObjective(cross_encoder, loss, layer, settings.term_control_weight, selection)
