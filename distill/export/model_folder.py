"""What a re-ranker's folder is, read from its JSON files and file names alone, as servers do before they load it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from distill.errors import ModelError

CONFIG, TOKENIZER, TOKENIZER_CONFIG, CARD = "config.json", "tokenizer.json", "tokenizer_config.json", "README.md"
GRAPH = "onnx/model.onnx"
WEIGHTS = "model.safetensors"
WEIGHTS_INDEX = "model.safetensors.index.json"

IDENTITY = "torch.nn.modules.linear.Identity"
SIGMOID = "torch.nn.modules.activation.Sigmoid"
ACTIVATIONS = {IDENTITY: "raw logit", SIGMOID: "probability (sigmoid of the logit)"}
"""What becomes of the logit where a loader obeys the folder, by the name that the folder says it under."""

_OTHER_NAMES = {"torch.nn.Identity": IDENTITY, "torch.nn.Sigmoid": SIGMOID}
_DECODERS = frozenset({
    "llama", "mistral", "mixtral", "ministral", "qwen2", "qwen2_moe", "qwen3", "qwen3_moe", "gemma", "gemma2",
    "gemma3_text", "phi", "phi3", "gpt2", "gpt_neox", "gpt_neo", "gptj", "opt", "bloom", "falcon", "starcoder2",
    "smollm3", "olmo", "olmo2", "granite", "stablelm", "cohere", "nemotron", "glm", "glm4", "exaone4", "ernie4_5",
})  # fmt: skip
# these count positions from behind the padding token's id
_POSITIONS_AFTER_PADDING = frozenset({"roberta", "xlm-roberta", "camembert", "mpnet", "xlm-roberta-xl", "longformer"})


@dataclass(frozen=True)
class ModelFolder:
    """A folder's JSON files.

    Args:
        path: the folder.
        config: ``config.json``.
        tokenizer: ``tokenizer.json``; empty where there is none.
        tokenizer_config: ``tokenizer_config.json``; empty where there is none.
    """

    path: Path
    config: dict[str, Any]
    tokenizer: dict[str, Any]
    tokenizer_config: dict[str, Any]

    @property
    def model_type(self) -> str:
        """The family, as transformers names it."""
        return str(self.config.get("model_type", ""))

    @property
    def decoder(self) -> bool:
        """Whether it reads from left to right and judges by its last token."""
        return self.model_type in _DECODERS

    @property
    def labels(self) -> int:
        """How many outputs the classifier has; two where the configuration does not say, as in transformers."""
        names = self.config.get("id2label")
        return len(names) if isinstance(names, dict) else int(self.config.get("num_labels", 2))

    @property
    def reads_token_types(self) -> bool:
        """Whether query and document are told apart by ``token_type_ids``."""
        return reads_token_types(self.config)

    @property
    def activation(self) -> str:
        """What sentence-transformers makes of the logit: the entry of versions 4 and later, else an older one's."""
        named = self.told_activation or self.config.get("sbert_ce_default_activation_function")
        named = named or self._json("config_sentence_transformers.json").get("activation_fn") or SIGMOID
        return _OTHER_NAMES.get(str(named), str(named))

    @property
    def told_activation(self) -> str | None:
        """The name in the entry of sentence-transformers 4 and later; None where there is no such entry."""
        entry = self.config.get("sentence_transformers")
        named = entry.get("activation_fn") if isinstance(entry, dict) else None
        # whatever stands there: a list, say, is a name that nobody knows
        return None if named is None else str(named)

    @property
    def max_tokens(self) -> int | None:
        """The length to which pairs are cut; None where the tokenizer does not say."""
        told = self.tokenizer_config.get("model_max_length")
        return int(told) if isinstance(told, int | float) and 0 < told < 1e9 else None

    @property
    def positions(self) -> int | None:
        """Most tokens that the model has positions for; None where its positions have no end or it does not say."""
        return positions(self.config)

    @cached_property
    def pair(self) -> list[str]:
        """How a pair is put together: special tokens' names, with ``$A`` for the query and ``$B`` for the document."""
        try:
            found = _pair(self.tokenizer.get("post_processor") or {})
        except (KeyError, TypeError, IndexError):
            found = None  # no tokenizer that could be read, which a rule of its own says
        return found if found and {"$A", "$B"} <= set(found) else ["$A", "$B"]

    @property
    def tells_documents_by_type(self) -> bool:
        """Whether the tokenizer gives the document's tokens type 1, as BERT's own does."""
        return _document_type(self.tokenizer.get("post_processor") or {}) == 1

    @property
    def has_weights(self) -> bool:
        """Whether torch could load it."""
        return any((self.path / name).is_file() for name in (WEIGHTS, WEIGHTS_INDEX))

    @property
    def weight_files(self) -> list[str]:
        """Names of the files that hold the tensors; none where there are no weights.

        Raises:
            ModelError: the index over several files is broken.
        """
        if not (self.path / WEIGHTS_INDEX).is_file():
            return [WEIGHTS] if (self.path / WEIGHTS).is_file() else []
        names = self._json(WEIGHTS_INDEX).get("weight_map")
        if not (isinstance(names, dict) and names and all(isinstance(name, str) for name in names.values())):
            raise ModelError(f"{self.path / WEIGHTS_INDEX}: weight_map is not the name of a file for each tensor")
        return list(dict.fromkeys(names.values()))

    @property
    def has_graph(self) -> bool:
        """Whether ONNX Runtime could load it."""
        return (self.path / GRAPH).is_file()

    @property
    def standard_pair(self) -> bool:
        """Whether a pair is ``[CLS] query [SEP] document [SEP]``, or RoBERTa's form of it with two separators."""
        tokens = self.pair
        if len(tokens) not in (5, 6) or tokens[1] != "$A" or tokens[-2] != "$B":
            return False
        between = tokens[2:-2]
        return not tokens[0].startswith("$") and set(between) == {tokens[-1]} and not between[0].startswith("$")

    def _json(self, name: str) -> dict[str, Any]:
        path = self.path / name
        return _read_json(path) if path.is_file() else {}


def read_model_folder(path: Path) -> ModelFolder:
    """Read what ``path`` says of itself.

    Raises:
        ModelError: no such folder, no ``config.json`` in it, or a file that is not the JSON it should be.
    """
    if not path.is_dir():
        raise ModelError(f"{path}: no such folder")
    if not (path / CONFIG).is_file():
        raise ModelError(f"{path}: no model here; a re-ranker's folder has config.json")
    parts = [_read_json(path / name) if (path / name).is_file() else {} for name in (TOKENIZER, TOKENIZER_CONFIG)]
    return ModelFolder(path, _read_json(path / CONFIG), *parts)


def reads_token_types(config: dict[str, Any]) -> bool:
    """Whether a model of this configuration has token types to tell query and document apart by."""
    return int(config.get("type_vocab_size") or 0) > 1


def positions(config: dict[str, Any]) -> int | None:
    """Most tokens that a model of this configuration has positions for; None where there is no end to them."""
    told = config.get("max_position_embeddings")
    if not isinstance(told, int) or (
        config.get("relative_attention") and not config.get("position_biased_input", True)
    ):
        return None
    if config.get("model_type") in _POSITIONS_AFTER_PADDING:
        return told - int(config.get("pad_token_id") or 0) - 1
    return told


def _document_type(processor: dict[str, Any]) -> int:
    kind = processor.get("type")
    if kind == "Sequence":
        return max((_document_type(part) for part in processor.get("processors", [])), default=0)
    if kind == "TemplateProcessing":
        pieces = [piece["Sequence"] for piece in processor["pair"] if "Sequence" in piece]
        return next((int(piece.get("type_id", 0)) for piece in pieces if piece["id"] == "B"), 0)
    return int(kind == "BertProcessing")


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{path}: cannot be read as JSON: {error}") from None
    if not isinstance(content, dict):
        raise ModelError(f"{path}: a JSON object is expected; got {type(content).__name__}")
    return content


def _pair(processor: dict[str, Any]) -> list[str] | None:
    kind = processor.get("type")
    if kind == "Sequence":
        found = [_pair(part) for part in processor.get("processors", [])]
        return next((pair for pair in reversed(found) if pair), None)
    if kind == "TemplateProcessing":
        return [
            f"${piece['Sequence']['id']}" if "Sequence" in piece else str(piece["SpecialToken"]["id"])
            for piece in processor["pair"]
        ]
    if kind in ("BertProcessing", "RobertaProcessing"):
        first, last = str(processor["cls"][0]), str(processor["sep"][0])
        return [first, "$A", last, *([last] if kind == "RobertaProcessing" else []), "$B", last]
    return None
