"""What a recipe's models are, and whether they can do what it asks of them; no weight is loaded, no network asked."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from distill.errors import ModelError
from distill.models import ModelReference, load_config
from distill.serving.graph_file import GRAPH, holds_graph_alone
from distill.stages.rankers import RankerReference
from students import StudentError
from teachers.errors import TeacherError

if TYPE_CHECKING:
    from transformers import PretrainedConfig

    from distill.recipe.settings import TeacherSection
    from distill.recipe.students import DecoderSection, EncoderSection

Role = Literal["teacher", "encoder", "decoder", "writer", "ranker"]
Settings = Any
"""A recipe's section around the model, None where it cannot be read."""


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """A model reference of a recipe, looked at from outside.

    Attributes:
        key: that names it in the recipe, such as ``teacher.model``.
        reference: as the recipe has it.
        where: its weights are, in words.
        family: transformers' name of the architecture; None where nothing is known of it here.
        parameters: of the whole model; None likewise.
        layer_parameters: of its layers alone, each used once for every token.
        layers: how many.
        problem: why it cannot do what the recipe asks, if it cannot.
        setting: the key beside the model's that asks too much of it, if it is one.
    """

    key: str
    reference: str
    where: str = ""
    family: str | None = None
    parameters: int | None = None
    layer_parameters: int | None = None
    layers: int | None = None
    problem: str | None = None
    setting: str | None = None


class _TooMuchAsked(ModelError):
    """A setting that does not fit a model: ``key`` names it."""

    def __init__(self, key: str, message: str) -> None:
        super().__init__(message)
        self.key = key


def model_facts(key: str, text: str, role: Role, section: Settings = None) -> ModelFacts:
    """What can be said of a model without loading it.

    Args:
        key: that names it in the recipe.
        text: the reference.
        role: what it is asked to do.
        section: the settings around it, if they could be read.
    """
    try:
        reference = ModelReference.parse(RankerReference.parse(text).model if role == "ranker" else text)
        where, config = _find_config(reference, role, bool(getattr(section, "trust_remote_code", False)))
    except ModelError as error:
        return ModelFacts(key, text, problem=str(error))
    if config is None:
        return ModelFacts(key, text, where)
    if reference.gguf_file is not None and role in ("ranker", "encoder"):
        return ModelFacts(key, text, where, problem=f"model {text!r}: a GGUF file holds no {role}")
    if getattr(config, "auto_map", None):
        # the model's own code would have to be run to be asked
        return ModelFacts(key, text, where, config.model_type)
    model, problem, setting = _judged(reference, config, role, section)
    parameters, of_layers = (None, None) if model is None else _sizes(model)
    layers = getattr(config.get_text_config(), "num_hidden_layers", None)
    said = None if problem is None else f"model {text!r}: {problem}"
    return ModelFacts(key, text, where, config.model_type, parameters, of_layers, layers, said, setting)


def _find_config(reference: ModelReference, role: Role, trust_remote_code: bool) -> tuple[str, PretrainedConfig | None]:
    if reference.on_hub:
        return _hub_config(reference)
    config = load_config(reference, trust_remote_code)
    folder = Path(reference.location)
    named = ("*.safetensors", "pytorch_model*.bin")
    weighed = reference.gguf_file is not None or any(any(folder.glob(name)) for name in named)
    if not weighed and not (role == "ranker" and (folder / GRAPH).is_file()):
        raise ModelError(f"model {reference.text!r}: the folder holds no weights (*.safetensors or pytorch_model*.bin)")
    return f"package {reference.version}" if reference.text.startswith("package:") else "here", config


def _hub_config(reference: ModelReference) -> tuple[str, PretrainedConfig | None]:
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError
    from transformers import AutoConfig

    try:
        cached = try_to_load_from_cache(reference.location, "config.json", revision=reference.revision)
    except HFValidationError:
        message = "neither a file or folder here nor a hub id, which is written NAME or OWNER/NAME"
        raise ModelError(f"model {reference.text!r}: {message}") from None
    if isinstance(cached, str):
        folder = Path(cached).parent
        whole = any(folder.glob("*.safetensors"))
        config = load_config(ModelReference(reference.text, str(folder), None, "cached"))
        return "hub, cached here" if whole else "hub, weights need the network", config
    known = known_models().get(reference.location)
    return "hub, needs the network", None if known is None else AutoConfig.for_model(**known)


def known_models() -> dict[str, dict[str, Any]]:
    """The shapes of well-known models on the hub, from their published configurations, by id."""
    text = resources.files("distill.checking").joinpath("known_models.json").read_text(encoding="utf-8")
    models: dict[str, dict[str, Any]] = json.loads(text)
    return models


def _judged(
    reference: ModelReference, config: PretrainedConfig, role: Role, section: Settings
) -> tuple[Any, str | None, str | None]:
    """The model without weights, why it cannot play its role, if it cannot, and the setting that stands in its way."""
    from transformers import AutoModel

    judge = _ROLES.get(role)
    try:
        model = _without_weights(AutoModel, config) if judge is None else judge(config, section)
        _check_tokenizer(reference, role, section)
        return model, None, None
    except _TooMuchAsked as error:
        return None, str(error), error.key
    except (ModelError, TeacherError, StudentError) as error:
        return None, str(error), None
    except ValueError as error:
        reason = f"{config.model_type} is no model that transformers can build: {str(error).splitlines()[0]}"
        return None, reason, None


def _check_tokenizer(reference: ModelReference, role: Role, section: Settings) -> None:
    """Refuse a folder whose tokenizer cannot be read or, of a student, leaves no room for texts.

    The hub's cache may lack what is fetched later, a GGUF file is unpacked to be asked, and a graph alone is opened
    without transformers.
    """
    from students.decoder import load_tokenizer
    from students.start_model import check_room, read_tokenizer

    folder = reference.location
    if reference.on_hub or reference.gguf_file is not None or holds_graph_alone(Path(folder)):
        return
    try:
        if role == "decoder" and section is not None:
            tokenizer = load_tokenizer(folder, section.max_tokens, section.template)
        else:
            tokenizer = read_tokenizer(folder)
    except StudentError as error:
        raise ModelError(str(error).removeprefix(f"{folder}: ")) from error
    if role in ("encoder", "decoder") and section is not None:
        try:
            check_room(tokenizer, section.max_tokens)
        except StudentError as error:
            raise _TooMuchAsked("max_tokens", str(error)) from error


def _without_weights(auto: Any, config: PretrainedConfig) -> Any:
    import torch

    with torch.device("meta"):
        return auto.from_config(config)


def _writer(config: PretrainedConfig, section: Settings) -> Any:
    from transformers import MODEL_FOR_CAUSAL_LM_MAPPING, MODEL_FOR_MASKED_LM_MAPPING, AutoModelForCausalLM

    # transformers also offers encoders such as BERT as causal models: they would look ahead
    if type(config) not in MODEL_FOR_CAUSAL_LM_MAPPING or type(config) in MODEL_FOR_MASKED_LM_MAPPING:
        raise ModelError(f"{config.model_type} is no decoder; Llama, Qwen3, Mistral and Gemma are some")
    return _without_weights(AutoModelForCausalLM, config)


def _teacher(config: PretrainedConfig, section: TeacherSection | None) -> Any:
    from teachers.attention import use_recorded_attention

    model = _writer(config, section)
    use_recorded_attention(model)
    _refuse_unreadable_softmax(model)
    text = config.get_text_config()
    layers: int = text.num_hidden_layers
    if section is not None:
        depth = layers if section.depth is None else section.depth
        state = min((layers - 1) // 2, depth - 1) if section.state_layer is None else section.state_layer
        if not state < depth <= layers:
            raise _TooMuchAsked(
                "depth" if section.depth else "state_layer",
                f"depth {depth} and state layer {state} do not fit its {layers} layers",
            )
    return model


def _refuse_unreadable_softmax(model: Any) -> None:
    """Lets the teacher's own attention function see one layer: it knows what it cannot read exactly."""
    import torch

    from teachers.attention import run_up_to

    # with a mask and positions of its own, as transformers would ask weights that are not there to make them
    with torch.device("meta"):
        inputs = {
            "input_ids": torch.zeros(1, 8, dtype=torch.long),
            "attention_mask": torch.ones(1, 1, 8, 8, dtype=torch.bool),
            "position_ids": torch.zeros(1, 8, dtype=torch.long),
        }
        run_up_to(0, model.get_decoder(), **inputs, use_cache=False)


def _ranker(config: PretrainedConfig, section: Settings) -> Any:
    from transformers import AutoModel

    classifies = any(name.endswith("ForSequenceClassification") for name in config.architectures or ())
    if classifies and config.num_labels != 1:
        raise ModelError(f"its head has {config.num_labels} outputs; a cross-encoder with one ranks")
    return _without_weights(AutoModel, config)


def _encoder(config: PretrainedConfig, section: EncoderSection | None) -> Any:
    from transformers import MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING, AutoModelForSequenceClassification

    from students.encoder import check_padding, fitting_precision
    from students.scoring_head import check_family

    if type(config) not in MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING:
        raise ModelError(f"transformers has no sequence classifier of type {config.model_type!r}")
    config.num_labels = 1
    model = _without_weights(AutoModelForSequenceClassification, config)
    if section is None:
        return model
    if section.term_control_weight:
        check_family(config)
    check_padding(config, "it")
    try:
        fitting_precision(section, config)
    except StudentError as error:
        raise _TooMuchAsked("precision" if section.precision == "bf16" else "trainer", str(error)) from error
    _check_positions(model, section)
    return model


def _decoder(config: PretrainedConfig, section: DecoderSection | None) -> Any:
    from torch import nn
    from transformers import MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING, AutoModelForSequenceClassification

    from students.decoder import adapted, refuse_other_than_text

    if type(config) not in MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING:
        raise ModelError(f"transformers has no sequence classifier of type {config.model_type!r}")
    refuse_other_than_text(config, "it")
    config.num_labels = 1
    model = _without_weights(AutoModelForSequenceClassification, config)
    if not isinstance(getattr(model, "score", None), nn.Linear):
        raise ModelError(
            f"the sequence classifier of type {config.model_type!r} has no linear head `score`; decoders such as "
            "Llama, Qwen2, Qwen3, Mistral and Gemma have one"
        )
    layers = config.get_text_config().num_hidden_layers
    if section is not None and section.layers is not None and section.layers > layers:
        raise _TooMuchAsked("layers", f"layers is {section.layers}, but it has {layers}")
    if section is not None:
        _check_positions(model, section)
        try:
            adapted(copy.deepcopy(model), section.lora)
        except StudentError as error:
            raise _TooMuchAsked("lora", str(error)) from error
    return model


def _check_positions(model: Any, section: EncoderSection | DecoderSection) -> None:
    from students.start_model import check_positions

    try:
        check_positions(model, "it", section.max_tokens)
    except StudentError as error:
        raise _TooMuchAsked("max_tokens", str(error)) from error


_ROLES: dict[Role, Callable[[Any, Any], Any]] = {
    "teacher": _teacher,
    "encoder": _encoder,
    "decoder": _decoder,
    "writer": _writer,
    "ranker": _ranker,
}


def _sizes(model: Any) -> tuple[int, int]:
    """Parameters of the whole model, and of all but the tables of words at both its ends."""
    whole = {id(parameter): parameter.numel() for parameter in model.parameters()}
    tables = [model.get_input_embeddings(), model.get_output_embeddings()]
    words = {id(table.weight): table.weight.numel() for table in tables if table is not None}
    return sum(whole.values()), sum(whole.values()) - sum(words.values())
