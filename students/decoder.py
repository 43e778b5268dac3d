"""The decoder student: the first layers of a small language model, a linear ranking head, LoRA while training."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from datasets import Dataset
from peft import LoraConfig, get_peft_model
from pydantic import Field, NonNegativeFloat, PositiveInt, field_validator, model_validator
from sentence_transformers import CrossEncoder
from torch import nn
from transformers import MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING, PretrainedConfig

from students import StudentError
from students.dev import DevList
from students.joint_objective import JointObjective, JointTerms
from students.library_arguments import known_lora_arguments
from students.losses import LOSSES
from students.model_card import UNTOLD, Origin
from students.objectives import ListObjective
from students.pair_template import set_pair_template
from students.relevance_words import relevance_words
from students.start_model import (
    check_positions,
    check_room,
    load_classifier,
    position_limit,
    read_config,
    read_tokenizer,
)
from students.training import (
    Progress,
    TrainingReport,
    TrainingRequest,
    UntrainedStudent,
    as_cross_encoder,
    train_student,
)
from students.training_settings import TrainingSettings
from students.vocabulary_head import VocabularyHead, reads_ahead

TRAINER_DEFAULTS: dict[str, Any] = {
    "learning_rate": 1e-3,
    "num_train_epochs": 2,
    "per_device_train_batch_size": 2,
    "warmup_steps": 0.1,
    "weight_decay": 0.01,
}

LORA_DEFAULTS: dict[str, Any] = {"r": 16, "lora_alpha": 32, "lora_dropout": 0.0, "target_modules": "all-linear"}


class DecoderSettings(TrainingSettings):
    """How the decoder student is trained."""

    layers: PositiveInt | None = Field(None, description="keep the first so many layers; none keeps all")
    # Document first: the query's tokens can then attend to the document's, as they do in a language model's retrieval
    # heads. 10 layers of SmolLM2, 120 lists of WikiQA, 1 epoch: nDCG@10 .785; query first .564; BM25 .691 (n = 190).
    template: str = Field(
        "document: {document}\nquery: {query}\nrelevant:",
        description="text around query and document; the state of its last token is scored",
    )
    lora: dict[str, Any] = Field(default_factory=dict, description="arguments of peft.LoraConfig, over our defaults")
    label_weight: NonNegativeFloat = Field(
        0.0, description="factor (a) of the loss of the relevance label, yes or no, behind the pair; 0 leaves it out"
    )
    reason_weight: NonNegativeFloat = Field(
        0.0,
        description="factor (b) of the loss of the reason, the teacher's evidence, behind that; 0 leaves it out",
    )
    # Of the quickstart's 95 labelled queries that have judgments, the teacher's first document is relevant for 40 %,
    # its second for 16 %, its third for 12 %.
    positives: PositiveInt = Field(
        1, description="ranked documents of a list, the best first, that are labelled yes and get a reason"
    )
    max_reason_tokens: PositiveInt = Field(
        32, description="length to which a reason is cut; it is not part of the pair"
    )

    @field_validator("lora")
    @classmethod
    def _is_known_to_peft(cls, value: dict[str, Any]) -> dict[str, Any]:
        known_lora_arguments(value)
        return value

    @model_validator(mode="after")
    def _asks_of_whole_documents(self) -> Self:
        if self.passages is not None and (self.label_weight or self.reason_weight):
            raise ValueError(
                "label_weight and reason_weight are for documents that are read whole: a label is the document's, "
                "and says nothing of each passage; leave out passages, or set both to 0"
            )
        return self


def train_decoder(
    start: str,
    dataset: Dataset,
    dev: Sequence[DevList],
    settings: DecoderSettings,
    out: Path,
    on_progress: Progress | None = None,
    origin: Origin = UNTOLD,
) -> TrainingReport:
    """Train a decoder on label lists and save it, adapters merged, as a plain sequence classifier.

    A training that was interrupted goes on from its last checkpoint when called again with the same arguments.

    Args:
        start: folder or hub id of a decoder of a family that has a sequence classifier with a head called `score`.
        dataset: label lists with the columns `query, docs, labels`; `label_weight` also needs `groups`,
            `reason_weight` also `evidence`. A loss that uses the size of labels learns a column `scores` in their place
            where there is one.
        dev: held-out lists; the checkpoint with the best dev nDCG@10 is kept. Empty: the last one is.
        settings: see `DecoderSettings`.
        out: the student's folder; must not exist.
        on_progress: called at every log with the step, the number of steps and the logged values.
        origin: what the model card says of data, teacher and start model.

    Raises:
        StudentError: the start model cannot be read, a list is malformed, the template is none, `layers` or
            `max_tokens` is more than the start model has, `lora` does not fit it, the template alone takes
            `max_tokens`, or the lists or the start model lack what a weight above 0 needs.
        FileExistsError: `out` exists.
    """
    _check_supervision(dataset, settings)
    request = TrainingRequest(start, dataset, dev, settings, out, on_progress, origin)
    return train_student(request, lambda: _build(start, settings), TRAINER_DEFAULTS)


def _check_supervision(dataset: Dataset, settings: DecoderSettings) -> None:
    needs = {
        "label_weight": (settings.label_weight, ["groups"]),
        "reason_weight": (settings.reason_weight, ["groups", "evidence"]),
    }
    for name, (weight, columns) in needs.items():
        for column in columns if weight else []:
            if column not in dataset.column_names or not any(any(row or ()) for row in dataset[column]):
                raise StudentError(
                    f"{name} is {weight}, but no training list has {column}; label it, or set {name} to 0"
                )


def _build(start: str, settings: DecoderSettings) -> UntrainedStudent:
    model = load_first_layers(start, settings.layers)
    check_positions(model, start, settings.max_tokens)
    tokenizer = load_tokenizer(start, settings.max_tokens, settings.template)
    check_room(tokenizer, settings.max_tokens)
    model.config.pad_token_id = tokenizer.pad_token_id
    cross_encoder = as_cross_encoder(model, tokenizer, settings.passages)
    # adapts the model inside the cross-encoder in place
    adapters = adapted(cross_encoder.transformers_model, settings.lora)
    return UntrainedStudent(_objective(cross_encoder, start, settings), adapters.merge_and_unload)


def adapted(model: Any, lora: Mapping[str, Any]) -> Any:
    """The model with LoRA's adapters in it, ready to train; the head is always trained in full.

    Args:
        model: a sequence classifier with a head called `score`, with or without weights.
        lora: arguments of peft.LoraConfig.

    Raises:
        StudentError: peft finds nothing to adapt, or a module is named that the model does not have; peft passes over
            one name among others without a word.
    """
    named = lora.get("target_modules")
    modules = [f".{name}" for name, _ in model.named_modules()]
    for target in named if isinstance(named, list) else []:
        if not any(name.endswith(f".{target}") for name in modules):
            raise StudentError(f"lora.target_modules names {target!r}; the model has {_linear_names(model)}")
    try:
        return get_peft_model(model, _lora_config(lora))
    except ValueError as error:
        raise StudentError(f"lora: {str(error).partition('. ')[0]}; the model has {_linear_names(model)}") from error


def _linear_names(model: Any) -> str:
    names = {name.rpartition(".")[2] for name, module in model.named_modules() if isinstance(module, nn.Linear)}
    return ", ".join(sorted(names - {"score"}))


def _lora_config(given: Mapping[str, Any]) -> LoraConfig:
    """LoRA as the settings have it, beside the whole head."""
    saved = list(dict.fromkeys(["score", *(given.get("modules_to_save") or [])]))
    return LoraConfig(**{**LORA_DEFAULTS, "task_type": "SEQ_CLS", **given, "modules_to_save": saved})


def _objective(cross_encoder: CrossEncoder, start: str, settings: DecoderSettings) -> nn.Module:
    loss = LOSSES[settings.loss]
    if settings.label_weight == settings.reason_weight == 0:
        return ListObjective(cross_encoder, loss)
    classifier: Any = cross_encoder.transformers_model
    if settings.reason_weight and reads_ahead(classifier.base_model):
        raise StudentError(
            f"{start} attends in both directions: the score would see the reason; set reason_weight to 0"
        )
    vocabulary = VocabularyHead(start, _first_layers(start, 1), classifier.get_input_embeddings())
    terms = JointTerms(settings.label_weight, settings.reason_weight, settings.positives, settings.max_reason_tokens)
    words = relevance_words(cross_encoder.tokenizer, settings.template)
    if settings.reason_weight:
        _check_answers_fit(classifier, start, settings, max(len(words.yes), len(words.no)))
    return JointObjective(cross_encoder, loss, vocabulary, words, terms)


def _check_answers_fit(model: Any, start: str, settings: DecoderSettings, label_tokens: int) -> None:
    """A reason is read behind the pair: the longest of both must have positions."""
    limit, read = position_limit(model), settings.max_tokens + label_tokens + settings.max_reason_tokens
    if limit is not None and read > limit:
        raise StudentError(
            f"max_tokens ({settings.max_tokens}), the label ({label_tokens}) and max_reason_tokens "
            f"({settings.max_reason_tokens}) are {read} tokens, but {start} reads at most {limit}"
        )


def refuse_other_than_text(config: PretrainedConfig, start: str) -> None:
    """Stop at a model that reads more than text: its layers are those of a model within it.

    Raises:
        StudentError: it is one.
    """
    if config.get_text_config() is not config:
        raise StudentError(f"{start} reads more than text ({config.model_type}); save its text model and start there")


def load_first_layers(start: str, layers: int | None) -> Any:
    """A sequence classifier with one output, of the start model's first layers and final norm; its head is new.

    Raises:
        StudentError: the start model cannot be read, `layers` is more than it has, it reads more than text, or its
            family has no classifier with a linear `score`.
    """
    config = _first_layers(start, layers)
    known = type(config) in MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING
    model: Any = load_classifier(start, config) if known else None
    if not isinstance(getattr(model, "score", None), nn.Linear):
        raise StudentError(
            f"{start} is of type {config.model_type!r}, which has no sequence classifier with a linear head `score`; "
            "decoders such as Llama, Qwen2, Qwen3, Mistral and Gemma have one"
        )
    return model


def _first_layers(start: str, layers: int | None) -> Any:
    """The start model's configuration with one output, cut to the first layers."""
    config = read_config(start)
    refuse_other_than_text(config, start)
    if layers is not None:
        if layers > config.num_hidden_layers:
            raise StudentError(f"layers is {layers}, but {start} has {config.num_hidden_layers}")
        config.num_hidden_layers = layers
        if getattr(config, "layer_types", None):
            config.layer_types = config.layer_types[:layers]
    return config


def load_tokenizer(start: str, max_tokens: int, template: str) -> Any:
    """The start model's tokenizer with the pair template; where it has no padding token, its end token pads.

    Padding by the end token is harmless here: a pair ends in the template's text, which `set_pair_template` checks.

    Raises:
        StudentError: the tokenizer cannot be read, or the template is none.
    """
    tokenizer = read_tokenizer(start)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    tokenizer.model_max_length = max_tokens
    set_pair_template(tokenizer, template)
    return tokenizer
