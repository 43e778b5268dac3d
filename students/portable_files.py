"""What a saved re-ranker's files say and who may read them, so that transformers 4 and 5 and servers read it alike."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

# transformers 5 writes the first name for tokenizers of no class of their own; version 4 knows the second alone, and
# so does version 5
_NEW_CLASS, _KNOWN_CLASS = "TokenizersBackend", "PreTrainedTokenizerFast"
_NEW_KEYS = ("backend", "is_local", "local_files_only")
_OLD_KEYS = ("problem_type", "sbert_ce_default_activation_function", "_name_or_path")


def describe_one_label(config: Any, activation: str) -> None:
    """Make a loaded configuration that of a re-ranker with one output.

    Args:
        config: the model's, of transformers; changed in place.
        activation: what loaders put on the logit, a class of torch such as "torch.nn.modules.linear.Identity".
    """
    config.id2label, config.label2id, config.problem_type = {0: "LABEL_0"}, {"LABEL_0": 0}, None
    # the only place that sentence-transformers 4 to 6 and vLLM all read; the version says which layout it has
    config.sentence_transformers = {"activation_fn": activation, "version": "4.1.0"}


def make_portable(folder: Path) -> None:
    """Rewrite what transformers 5 wrote: version 4 gives the same scores, and a server's user may read it all."""
    config = folder / "config.json"
    for weights in folder.glob("*.safetensors"):
        # safetensors 0.8 writes for its owner alone, whatever the umask
        weights.chmod(stat.S_IMODE(config.stat().st_mode))
    _rewrite(config, _portable_config)
    _rewrite(folder / "tokenizer_config.json", _portable_tokenizer_config)


def _rewrite(path: Path, change: Any) -> None:
    content = change(json.loads(path.read_text(encoding="utf-8")))
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8", errors="replace")


def _portable_config(config: dict[str, Any]) -> dict[str, Any]:
    config = {key: value for key, value in config.items() if key not in _OLD_KEYS}
    # version 4 reads rope_theta and rope_scaling, and silently takes 10,000 and none where they are missing: other
    # scores
    rope = config.get("rope_parameters")
    if isinstance(rope, dict) and "rope_theta" in rope:
        config["rope_theta"] = rope["rope_theta"]
        if rope.get("rope_type", "default") != "default":
            config["rope_scaling"] = {key: value for key, value in rope.items() if key != "rope_theta"}
    # version 4 and servers before 2026 call it so
    if isinstance(config.get("dtype"), str):
        config["torch_dtype"] = config["dtype"]
    return config


def _portable_tokenizer_config(config: dict[str, Any]) -> dict[str, Any]:
    if config.get("tokenizer_class") == _NEW_CLASS:
        config["tokenizer_class"] = _KNOWN_CLASS
    if not config.get("extra_special_tokens"):
        config.pop("extra_special_tokens", None)  # an empty list here stops version 4
    if config.get("chat_template", "") is None:
        del config["chat_template"]
    return {key: value for key, value in config.items() if key not in _NEW_KEYS}
