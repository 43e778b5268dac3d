"""What servers' loaders look for in a re-ranker's ``config.json`` and in its tokenizer's settings."""

from __future__ import annotations

from typing import Any, TypeGuard

from distill.export.model_folder import ACTIVATIONS, IDENTITY, SIGMOID, ModelFolder
from distill.export.rules import Problem, Rule, shown


def _is_id(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _architecture(folder: ModelFolder) -> Problem | None:
    named = folder.config.get("architectures")
    good = isinstance(named, list) and len(named) == 1 and str(named[0]).endswith("ForSequenceClassification")
    return None if good else Problem(f"architectures: {shown(named)}")


def _one_label(folder: ModelFolder) -> Problem | None:
    named = folder.config.get("id2label")
    return None if isinstance(named, dict) and len(named) == 1 else Problem(f"id2label: {shown(named)}")


def _label_names(folder: ModelFolder) -> Problem | None:
    names, numbers = folder.config.get("id2label"), folder.config.get("label2id")
    if not isinstance(names, dict):
        return None
    inverse = {str(name): int(number) for number, name in names.items() if str(number).isdecimal()}
    return None if numbers == inverse else Problem(f"label2id: {shown(numbers)}, id2label: {shown(names)}")


def _padding_id(folder: ModelFolder) -> Problem | None:
    value = folder.config.get("pad_token_id")
    return None if _is_id(value) else Problem(f"pad_token_id: {shown(value)}")


def _padding_token(folder: ModelFolder) -> Problem | None:
    token, number = folder.tokenizer_config.get("pad_token"), folder.config.get("pad_token_id")
    text = token.get("content") if isinstance(token, dict) else token
    if not folder.tokenizer or not _is_id(number):
        return None
    if isinstance(text, str) and _token_ids(folder).get(text) == number:
        return None
    return Problem(f"pad_token: {shown(text)}, pad_token_id: {number}")


def _positions(folder: ModelFolder) -> Problem | None:
    value = folder.config.get("max_position_embeddings")
    return None if _is_id(value) and value > 0 else Problem(f"max_position_embeddings: {shown(value)}")


def _problem_type(folder: ModelFolder) -> Problem | None:
    value = folder.config.get("problem_type")
    return None if value is None else Problem(f"problem_type: {shown(value)}")


def _activation(folder: ModelFolder) -> Problem | None:
    if folder.told_activation in ACTIVATIONS:
        return None
    return Problem(f"sentence_transformers: {shown(folder.config.get('sentence_transformers'))}")


def _old_activation(folder: ModelFolder) -> Problem | None:
    value = folder.config.get("sbert_ce_default_activation_function")
    return None if value is None else Problem(f"sbert_ce_default_activation_function: {shown(value)}")


def _ties(folder: ModelFolder) -> Problem | None:
    if folder.activation != SIGMOID:
        return None
    return Problem("sentence-transformers and vLLM return the sigmoid, which rounds large logits to 1.0", warning=True)


def _length(folder: ModelFolder) -> Problem | None:
    told, limit = folder.max_tokens, folder.positions
    if told is None:
        return Problem(f"model_max_length: {shown(folder.tokenizer_config.get('model_max_length'))}")
    if limit is not None and told > limit:
        return Problem(f"model_max_length: {told}, positions: {limit}")
    return None


def _rope(folder: ModelFolder) -> Problem | None:
    rope = folder.config.get("rope_parameters")
    if not isinstance(rope, dict) or "rope_theta" not in rope:
        return None
    if folder.config.get("rope_theta") == rope["rope_theta"]:
        return None
    return Problem(f"rope_theta: {shown(folder.config.get('rope_theta'))}, rope_parameters: {shown(rope)}")


def _token_ids(folder: ModelFolder) -> dict[str, int]:
    model = folder.tokenizer.get("model", {}).get("vocab", {})
    known = dict(model) if isinstance(model, dict) else {row[0]: number for number, row in enumerate(model)}
    return known | {token["content"]: token["id"] for token in folder.tokenizer.get("added_tokens", [])}


CONFIG_RULES: tuple[Rule, ...] = (
    Rule("architecture", "one name that ends in ForSequenceClassification: that and one label make it a re-ranker",
         "save it as a sequence classifier (AutoModelForSequenceClassification)", _architecture),
    Rule("one-label", "exactly one entry in id2label, written out", "set id2label to {\"0\": \"LABEL_0\"}", _one_label),
    Rule("label-names", "label2id the inverse of id2label", "set label2id to {\"LABEL_0\": 0}", _label_names),
    Rule("pad-token-id", "a whole number: text-embeddings-inference reads no other, transformers pads with none else",
         "set pad_token_id in config.json to the padding token's id", _padding_id),
    Rule("pad-token", "a padding token whose id is the configuration's", "set pad_token in "
         "tokenizer_config.json, and its id in config.json", _padding_token),
    Rule("positions", "a positive whole number", "set max_position_embeddings in config.json", _positions),
    Rule("problem-type", "none: vLLM would return raw logits for regression", "take problem_type out of config.json",
         _problem_type),
    Rule("activation", f"activation_fn {IDENTITY} or {SIGMOID}: here alone sentence-transformers 4 to 6 and vLLM "
         "read it",
         'put {"activation_fn": ..., "version": "4.1.0"} into config.json as sentence_transformers', _activation),
    Rule("old-activation", "none beside the entry that newer versions read",
         "take sbert_ce_default_activation_function out of config.json", _old_activation),
    Rule("sigmoid-ties", "scores that do not tie at the top", "export with --activation logit", _ties),
    Rule("max-length", "model_max_length the trained length, at most the model's positions",
         "set model_max_length in tokenizer_config.json", _length),
    Rule("rope-theta", "rope_theta as in rope_parameters: transformers 4 reads it alone, and 10,000 where it is not",
         "write rope_theta into config.json", _rope),
)  # fmt: skip
