"""What servers' loaders look for in the other files of a re-ranker's folder: weights, tokenizer, card."""

from __future__ import annotations

import json
import re

from distill.errors import ModelError, first_line
from distill.export.model_folder import ACTIVATIONS, CARD, GRAPH, TOKENIZER, WEIGHTS, WEIGHTS_INDEX, ModelFolder
from distill.export.parity import PARITY, read_parity
from distill.export.plain_files import card_entries
from distill.export.rules import AGAIN, Problem, Rule, export_facts, shown

_PICKLES = re.compile(r".*\.(bin|pt|pth|pkl|ckpt)$")


def _custom_code(folder: ModelFolder) -> Problem | None:
    asked = [name for name, part in (("config.json", folder.config), ("tokenizer_config.json", folder.tokenizer_config))
             if "auto_map" in part]  # fmt: skip
    files = sorted(path.name for path in folder.path.glob("*.py"))
    return Problem(", ".join([*(f"auto_map in {name}" for name in asked), *files])) if asked or files else None


def _quantised(folder: ModelFolder) -> bool:
    return export_facts(folder).get("target") == "onnx-int8"


def _weights(folder: ModelFolder) -> Problem | None:
    if folder.has_weights and _quantised(folder):
        return Problem(f"{WEIGHTS} beside an int8 graph: a folder has one answer")
    if not folder.has_weights:
        return None if _quantised(folder) else Problem(f"no {WEIGHTS}")
    try:
        missing = [name for name in folder.weight_files if not (folder.path / name).is_file()]
    except ModelError as error:
        return Problem(str(error))
    return Problem(f"no {missing[0]}, which {WEIGHTS_INDEX} names") if missing else None


def _pickles(folder: ModelFolder) -> Problem | None:
    found = sorted(path.name for path in folder.path.iterdir() if path.is_file() and _PICKLES.match(path.name))
    return Problem(", ".join(found)) if found else None


def _weight_names(folder: ModelFolder) -> Problem | None:
    shapes = _shapes(folder)
    if not shapes:
        return None
    odd = [name for name in shapes if "lora_" in name or "modules_to_save" in name or name.startswith("base_model.")]
    if odd:
        return Problem(f"{odd[0]}, an adapter's name")
    heads = {name: shape for name, shape in shapes.items() if name.partition(".")[0] in ("classifier", "score")}
    if folder.decoder and list(heads) != ["score.weight"]:
        return Problem(f"head: {shown(sorted(heads)) if heads else 'none'}")
    outputs = [shape[:1] for name, shape in heads.items() if name.endswith("weight")]
    return None if [1] in outputs else Problem(f"no head of one output: {shown(sorted(heads))}")


def _adapter(folder: ModelFolder) -> Problem | None:
    return Problem("adapter_config.json") if (folder.path / "adapter_config.json").is_file() else None


def _fast_tokenizer(folder: ModelFolder) -> Problem | None:
    from tokenizers import Tokenizer

    path = folder.path / TOKENIZER
    if not path.is_file():
        return Problem("no tokenizer.json")
    try:
        Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises no class of its own
        return Problem(f"tokenizer.json: {first_line(error)}")
    return None


def _tokenizer_class(folder: ModelFolder) -> Problem | None:
    named = folder.tokenizer_config.get("tokenizer_class")
    if named == "TokenizersBackend":
        return Problem("tokenizer_class: TokenizersBackend, which transformers 4 does not know")
    if "extra_special_tokens" in folder.tokenizer_config and not folder.tokenizer_config["extra_special_tokens"]:
        return Problem("extra_special_tokens: an empty list, at which transformers 4 stops")
    return None


def _separators(folder: ModelFolder) -> Problem | None:
    pair = folder.pair
    if not folder.tokenizer:
        return None
    first, second = sorted((pair.index("$A"), pair.index("$B")))
    return None if second - first > 1 else Problem(f"a pair is {' '.join(pair)}")


def _chat_template(folder: ModelFolder) -> Problem | None:
    beside = (folder.path / "chat_template.jinja").is_file()
    return Problem("a chat template") if beside or folder.tokenizer_config.get("chat_template") else None


def _modules(folder: ModelFolder) -> Problem | None:
    if not (folder.path / "modules.json").is_file():
        return None
    try:
        modules = json.loads((folder.path / "modules.json").read_text(encoding="utf-8"))
        if len(modules) != 1:
            return Problem(f"{len(modules)} modules in modules.json")
        length_told = "max_seq_length" in json.loads(
            (folder.path / "sentence_bert_config.json").read_text(encoding="utf-8")
        )
    except (OSError, ValueError, TypeError) as error:
        return Problem(f"modules.json, but {type(error).__name__} on reading it or sentence_bert_config.json")
    return None if length_told else Problem("modules.json, but no max_seq_length in sentence_bert_config.json")


def _card(folder: ModelFolder) -> Problem | None:
    if not (folder.path / CARD).is_file():
        return Problem("no README.md")
    entries = card_entries(folder.path)
    told = {key: entries.get(key) for key in ("pipeline_tag", "library_name")}
    good = told == {"pipeline_tag": "text-ranking", "library_name": "sentence-transformers"}
    return None if good else Problem(shown(told))


def _parity(folder: ModelFolder) -> Problem | None:
    try:
        read_parity(folder.path / PARITY)
    except ModelError as error:
        return Problem(str(error))
    return None


def _facts(folder: ModelFolder) -> Problem | None:
    facts = export_facts(folder)
    told = {key: facts.get(key) for key in ("target", "activation", "max_tokens")}
    if told["target"] not in ("hf", "onnx", "onnx-int8"):
        return Problem(f"export.json: target {shown(told['target'])}")
    if told["target"] == "hf" and folder.has_graph:
        return Problem(f"export.json: target hf, but {GRAPH} is there")
    named = folder.told_activation
    if named in ACTIVATIONS and told["activation"] != named:
        return Problem(f"export.json: activation {shown(told['activation'])}, config.json: {shown(named)}")
    if folder.max_tokens is not None and told["max_tokens"] != folder.max_tokens:
        limit = folder.positions
        if limit is None or folder.max_tokens <= limit:
            return Problem(f"export.json: max_tokens {told['max_tokens']}, tokenizer: {folder.max_tokens}")
    return None


def _shapes(folder: ModelFolder) -> dict[str, list[int]]:
    """Shape of each tensor by name, from the files' heads."""
    from safetensors import SafetensorError, safe_open

    found: dict[str, list[int]] = {}
    try:
        for name in folder.weight_files:
            with safe_open(folder.path / name, "np") as tensors:
                found |= {key: list(tensors.get_slice(key).get_shape()) for key in tensors.keys()}  # noqa: SIM118
    except (OSError, SafetensorError, ModelError):
        return {}  # the rule for weights, or a loader, says why
    return found


FILE_RULES: tuple[Rule, ...] = (
    Rule("custom-code", "none: no server runs it unasked", "fold the code's layers into a classifier of transformers'",
         _custom_code),
    Rule("weights", f"{WEIGHTS}, or an int8 graph and no weights", AGAIN, _weights),
    Rule("no-pickles", "safetensors only: opening a pickle runs its code", "remove the file, or convert it", _pickles),
    Rule("weight-names", "transformers' own names and a head of one output, for a decoder one linear `score`",
         "merge adapters (merge_and_unload) and save the classifier", _weight_names),
    Rule("no-adapter", "merged weights: servers load no adapter", "merge it (merge_and_unload)", _adapter),
    Rule("fast-tokenizer", "a tokenizer.json that the tokenizers library reads", "save a fast tokenizer",
         _fast_tokenizer),
    Rule("tokenizer-class", "what transformers 4 knows too, as sentence-transformers 4 and 5 and many servers need",
         f"{AGAIN}, or set tokenizer_class to PreTrainedTokenizerFast", _tokenizer_class),
    Rule("pair-separators", "something between query and document in the tokenizer's pair post-processor",
         "export with --pair-template, the text that it was trained with", _separators),
    Rule("chat-template", "none: sentence-transformers would render pairs with it, other servers would not",
         "take the chat template out of the tokenizer", _chat_template),
    Rule("modules", "no modules.json, or one module and max_seq_length in sentence_bert_config.json",
         "remove modules.json: sentence-transformers loads the plain folder", _modules),
    Rule("model-card", "a README.md with pipeline_tag text-ranking and library_name sentence-transformers", AGAIN,
         _card),
    Rule("parity-file", f"{PARITY} with pairs and their finite fp32 logits", AGAIN, _parity),
    Rule("export-file", "export.json that agrees with the folder", AGAIN, _facts),
)  # fmt: skip
