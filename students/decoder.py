"""The decoder student: the first layers of a small language model, a linear ranking head, LoRA while training."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from datasets import Dataset
from peft import LoraConfig, get_peft_model
from pydantic import Field, PositiveInt
from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer

from students import StudentError
from students.dev import DevList
from students.losses import LOSSES
from students.model_card import UNTOLD, Origin
from students.objectives import ListObjective
from students.pair_template import set_pair_template
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
        dataset: label lists with the columns `query, docs, labels`.
        dev: held-out lists; the checkpoint with the best dev nDCG@10 is kept. Empty: the last one is.
        settings: see `DecoderSettings`.
        out: the student's folder; must not exist.
        on_progress: called at every log with the step, the number of steps and the logged values.
        origin: what the model card says of data, teacher and start model.

    Raises:
        StudentError: a list is malformed, the template is none, or `layers` is more than the start model has.
        FileExistsError: `out` exists.
    """
    request = TrainingRequest(start, dataset, dev, settings, out, on_progress, origin)
    return train_student(request, lambda: _build(start, settings), TRAINER_DEFAULTS)


def _build(start: str, settings: DecoderSettings) -> UntrainedStudent:
    tokenizer = load_tokenizer(start, settings.max_tokens, settings.template)
    model = load_first_layers(start, settings.layers)
    model.config.pad_token_id = tokenizer.pad_token_id
    cross_encoder = as_cross_encoder(model, tokenizer, settings.passages)
    lora = LoraConfig(task_type="SEQ_CLS", modules_to_save=["score"], **(LORA_DEFAULTS | settings.lora))
    # adapts the model inside the cross-encoder in place
    inner: Any = cross_encoder.transformers_model
    adapted = get_peft_model(inner, lora)
    return UntrainedStudent(ListObjective(cross_encoder, LOSSES[settings.loss]), adapted.merge_and_unload)


def load_first_layers(start: str, layers: int | None) -> Any:
    """A sequence classifier with one output, of the start model's first layers and final norm; its head is new.

    Raises:
        StudentError: `layers` is more than the start model has.
    """
    config = AutoConfig.from_pretrained(start, num_labels=1)
    if layers is not None:
        if layers > config.num_hidden_layers:
            raise StudentError(f"layers is {layers}, but {start} has {config.num_hidden_layers}")
        config.num_hidden_layers = layers
        if getattr(config, "layer_types", None):
            config.layer_types = config.layer_types[:layers]
    return AutoModelForSequenceClassification.from_pretrained(start, config=config, dtype="float32")


def load_tokenizer(start: str, max_tokens: int, template: str) -> Any:
    """The start model's tokenizer with the pair template; where it has no padding token, its end token pads.

    Padding by the end token is harmless here: a pair ends in the template's text, which `set_pair_template` checks.
    """
    tokenizer = AutoTokenizer.from_pretrained(start)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    tokenizer.model_max_length = max_tokens
    set_pair_template(tokenizer, template)
    return tokenizer
