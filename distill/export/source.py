"""Opens any one-label cross-encoder for export; what could not be served unchanged is refused before any work."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distill.errors import ModelError, first_line
from distill.export.model_folder import (
    ACTIVATIONS,
    IDENTITY,
    SIGMOID,
    WEIGHTS,
    WEIGHTS_INDEX,
    ModelFolder,
    positions,
    read_model_folder,
    reads_token_types,
)
from distill.models import ModelReference, hub_folder, split_revision

_PICKLES = ("pytorch_model.bin", "pytorch_model.bin.index.json")
_PLAIN_MODULES = frozenset({
    "sentence_transformers.base.modules.transformer.Transformer",
    "sentence_transformers.models.Transformer",
    "sentence_transformers.models.Transformer.Transformer",
})  # fmt: skip
_CHOICES = {"keep": None, "logit": IDENTITY, "sigmoid": SIGMOID}


@dataclass(frozen=True)
class Source:
    """A cross-encoder that is to be exported, in fp32 and in evaluation mode.

    Args:
        folder: what its files say.
        name: as the caller called it.
        model: a transformers sequence classifier with one output.
        tokenizer: its fast tokenizer, with a padding token and the length to which pairs are cut.
        activation: what loaders are to make of the logit, one of `ACTIVATIONS`.
        notes: what was changed or is to be known, a sentence each.
    """

    folder: ModelFolder
    name: str
    model: Any
    tokenizer: Any
    activation: str
    notes: tuple[str, ...]


def open_source(name: str, activation: str = "keep", pair_template: str | None = None) -> Source:
    """Load a student's folder, or any other cross-encoder with one label, as it is to be exported.

    Args:
        name: a folder, or a hub id.
        activation: what loaders that obey the folder are to make of the logit: "keep", "logit" or "sigmoid".
        pair_template: for a decoder whose tokenizer joins the texts with nothing between: the text that it was trained
            with, holding ``{query}`` and ``{document}``.

    Raises:
        ModelError: it cannot be found or loaded, or no server could run it as it is; the message gives the reason.
    """
    if activation not in _CHOICES:
        raise ModelError(f"--activation {activation}: accepted are {', '.join(_CHOICES)}")
    folder = read_model_folder(local_folder(name))
    refuse_unservable(folder)
    chosen = _CHOICES[activation] or folder.activation
    if chosen not in ACTIVATIONS:
        raise ModelError(
            f"{name}: its scores go through {chosen}, which servers do not know; pass --activation logit or sigmoid"
        )
    notes: list[str] = []
    model, tokenizer = _load(folder, name)
    _set_padding(model, tokenizer, folder, name, notes)
    _set_length(model, tokenizer, folder, notes)
    _set_pair(tokenizer, folder, name, pair_template, notes)
    _set_token_types(model, tokenizer, folder, notes)
    return Source(folder, name, model, tokenizer, chosen, tuple(notes))


def local_folder(name: str) -> Path:
    """The folder of a model: where it stands, or downloaded from the hub, JSON and safetensors only.

    Raises:
        ModelError: neither a folder, of a package or not, nor a hub id that can be reached.
    """
    path = Path(name).expanduser()
    if path.exists():
        return path
    if name.startswith("package:"):
        return Path(ModelReference.parse(name).location)
    hub_id, revision = split_revision(name)
    if name.startswith((".", "/", "~")) or hub_id.count("/") != 1:
        raise ModelError(f"{name}: no such folder; a model is a folder, or a hub id such as OWNER/NAME")
    try:
        return Path(hub_folder(hub_id, revision))
    except (OSError, ValueError) as error:
        reason = first_line(error)
        raise ModelError(f"{name}: no such folder, and not to be had from the model hub: {reason}") from None


def refuse_unservable(folder: ModelFolder) -> None:
    """Stop where the files alone tell that the model cannot be exported.

    Raises:
        ModelError: the reason.
    """
    path = folder.path
    if (path / "adapter_config.json").is_file():
        raise ModelError(f"{path}: an adapter; merge it into its model first (peft: merge_and_unload) and save that")
    for name, content in (("config.json", folder.config), ("tokenizer_config.json", folder.tokenizer_config)):
        if "auto_map" in content:
            raise ModelError(f"{path / name}: asks for custom code (auto_map), which no server here would run")
    architectures = folder.config.get("architectures")
    if not isinstance(architectures, list) or len(architectures) != 1:
        raise ModelError(f"{path}: architectures in config.json is {architectures!r}; one classifier is accepted")
    if not str(architectures[0]).endswith("ForSequenceClassification"):
        raise ModelError(f"{path}: it is a {architectures[0]}; a re-ranker is a ...ForSequenceClassification")
    if folder.labels != 1:
        raise ModelError(
            f"{path}: its classifier has {folder.labels} labels; a re-ranker has one, as servers know it by that; "
            "no single score can be made of several labels without changing the model"
        )
    _refuse_modules(folder)
    if not folder.has_weights:
        pickles = [name for name in _PICKLES if (path / name).is_file()]
        if pickles:
            raise ModelError(
                f"{path / pickles[0]}: its weights are pickles, which run code when they are opened; convert them to "
                "model.safetensors where you trust them (transformers: save_pretrained) and export that"
            )
        raise ModelError(f"{path}: no weights here (model.safetensors)")
    if not (path / WEIGHTS).is_file():
        _refuse_missing_files(folder)


def _refuse_missing_files(folder: ModelFolder) -> None:
    missing = [name for name in folder.weight_files if not (folder.path / name).is_file()]
    if missing:
        raise ModelError(f"{folder.path / WEIGHTS_INDEX}: names {missing[0]}, which is not there")


def _refuse_modules(folder: ModelFolder) -> None:
    path = folder.path / "modules.json"
    if not path.is_file():
        return
    import json

    try:
        kinds = [str(module.get("type")) for module in json.loads(path.read_text(encoding="utf-8"))]
    except (ValueError, AttributeError, TypeError) as error:
        raise ModelError(f"{path}: not a list of modules: {error}") from None
    others = [kind for kind in kinds if kind not in _PLAIN_MODULES]
    if others:
        raise ModelError(
            f"{path}: a module {others[0]} besides the transformer; servers know a classifier alone, fold it into the "
            "classifier first"
        )


def _load(folder: ModelFolder, name: str) -> tuple[Any, Any]:
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    try:
        model, report = AutoModelForSequenceClassification.from_pretrained(
            folder.path, dtype=torch.float32, use_safetensors=True, trust_remote_code=False, output_loading_info=True
        )
        tokenizer: Any = AutoTokenizer.from_pretrained(folder.path, trust_remote_code=False)
    except (OSError, ValueError, RuntimeError, KeyError, ImportError) as error:
        reason = first_line(error)
        raise ModelError(f"{name}: transformers cannot load it: {reason}") from None
    if report["missing_keys"]:
        missing = ", ".join(sorted(report["missing_keys"])[:3])
        raise ModelError(
            f"{name}: its weights lack {missing}, so its scores would be chance; train the classifier first"
        )
    if not getattr(tokenizer, "is_fast", False):
        raise ModelError(f"{name}: its tokenizer is not a fast one (tokenizer.json), which servers need")
    return model.eval(), tokenizer


def _set_padding(model: Any, tokenizer: Any, folder: ModelFolder, name: str, notes: list[str]) -> None:
    """Give model and tokenizer one padding token; without it a server fails on its first batch of two."""
    if tokenizer.pad_token is None:
        known = model.config.pad_token_id
        token = tokenizer.convert_ids_to_tokens(known) if isinstance(known, int) and known >= 0 else None
        # the classifier of a decoder judges by the last token that is no padding: it must not be the pair's own last
        others = [tokenizer.eos_token, tokenizer.bos_token, tokenizer.unk_token]
        free = [token for token in [token, *others] if token is not None and token != folder.pair[-1]]
        if not free:
            raise ModelError(
                f"{name}: no token that could pad; set pad_token in its tokenizer to one that ends no pair"
            )
        tokenizer.pad_token = free[0]
        notes.append(f"it had no padding token, so no server could have scored two pairs at once; now {free[0]!r}")
    if model.config.pad_token_id != tokenizer.pad_token_id:
        model.config.pad_token_id = tokenizer.pad_token_id


def _set_length(model: Any, tokenizer: Any, folder: ModelFolder, notes: list[str]) -> None:
    limit = positions(model.config.to_dict())
    told = folder.max_tokens
    if limit is not None and (told is None or told > limit):
        tokenizer.model_max_length = limit
        notes.append(f"model_max_length was {'not set' if told is None else told}, the model has {limit} positions")
    elif told is None:
        tokenizer.model_max_length = 512
        notes.append("model_max_length was not set and the model's positions have no end; now 512")


def _set_pair(tokenizer: Any, folder: ModelFolder, name: str, template: str | None, notes: list[str]) -> None:
    from students import StudentError
    from students.pair_template import set_pair_template

    if template is not None:
        try:
            set_pair_template(tokenizer, template)
        except StudentError as error:
            raise ModelError(f"--pair-template: {error}") from None
        return
    if tokenizer.chat_template:
        raise ModelError(
            f"{name}: its tokenizer has a chat template, which sentence-transformers would render pairs with and other "
            "servers would not; pass the text that it was trained with as --pair-template '... {query} ... {document} "
            "...', or take the template out of the tokenizer"
        )
    if not _separated(folder.pair):
        notes.append(
            "its tokenizer joins query and document with nothing between; where it was trained with a prompt, pass "
            "that as --pair-template, or no server will score as its makers did"
        )


def _set_token_types(model: Any, tokenizer: Any, folder: ModelFolder, notes: list[str]) -> None:
    """Where transformers hands the model no token types, keep servers from reading any off the tokenizer."""
    if not reads_token_types(model.config.to_dict()) or "token_type_ids" in tokenizer.model_input_names:
        return
    if not folder.tells_documents_by_type:
        return
    from tokenizers.processors import TemplateProcessing

    ids = {token: tokenizer.convert_tokens_to_ids(token) for token in folder.pair if not token.startswith("$")}
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single=[f"{piece}:0" for piece in folder.pair[: folder.pair.index("$B")]] if folder.standard_pair else "$A:0",
        pair=[f"{piece}:0" for piece in folder.pair],
        special_tokens=list(ids.items()),
    )
    notes.append(
        "its tokenizer knows token types but hands none over, so it was trained without; other servers would have "
        "read them, now they are all 0"
    )


def _separated(pair: Sequence[str]) -> bool:
    first, second = sorted((pair.index("$A"), pair.index("$B")))
    return second - first > 1
