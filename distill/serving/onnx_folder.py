"""What an exported ONNX folder says about itself: its graph, its tokenizer, and how pairs are cut and padded."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from tokenizers import Tokenizer

from distill.errors import ModelError, first_line
from distill.serving.graph_file import GRAPH
from students.passages import CONFIG_KEY, PassageSettings

# transformers writes 1e30 where a tokenizer has no longest length
_NO_LENGTH = 10**9


@dataclass(frozen=True)
class OnnxFolder:
    """A folder that `distill export --target onnx` wrote, or one of the same files.

    Args:
        path: the folder.
        tokenizer: cuts a pair to the model's length; pads nothing.
        padding_id: token that fills up a shorter pair.
        padding_type: its token type.
        pads_left: on which side it is put.
        passages: how long documents are cut; None where they are not.
    """

    path: Path
    tokenizer: Tokenizer
    padding_id: int
    padding_type: int
    pads_left: bool
    passages: PassageSettings | None

    @property
    def graph(self) -> Path:
        """The file with the graph."""
        return self.path / GRAPH


def read_onnx_folder(folder: str | os.PathLike[str]) -> OnnxFolder:
    """Read everything but the graph.

    Raises:
        ModelError: a file is missing or broken, or the model is no re-ranker.
    """
    path = Path(folder).expanduser()
    if not path.is_dir():
        raise ModelError(f"model {str(folder)!r}: no such folder")
    if not (path / GRAPH).is_file():
        raise ModelError(
            f"{path}: no ONNX graph here ({GRAPH}); write one with `distill export MODEL --target onnx --out FOLDER`"
        )
    config = _json(path / "config.json")
    labels = config.get("id2label") or {}
    if not isinstance(labels, dict):
        raise ModelError(f"{path / 'config.json'}: id2label {_shown(labels)}; one name by its number is accepted")
    if len(labels) > 1:
        raise ModelError(f"{path / 'config.json'}: a re-ranker has one output, this model has {len(labels)}")
    # a tokenizer may be saved without this file, which then says nothing
    settings = _json(path / "tokenizer_config.json") if (path / "tokenizer_config.json").is_file() else {}
    tokenizer = _tokenizer(path / "tokenizer.json")
    tokenizer.no_padding()
    _cut_pairs(path, tokenizer, settings, config)
    return OnnxFolder(
        path=path,
        tokenizer=tokenizer,
        padding_id=_padding_id(path, tokenizer, settings, config),
        padding_type=_padding_type(path, settings),
        pads_left=settings.get("padding_side") == "left",
        passages=_passages(path / "config.json", config),
    )


def _json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ModelError(f"{path}: missing; {_AGAIN}") from None
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{path}: cannot be read ({first_line(error)}); {_AGAIN}") from None
    if not isinstance(content, dict):
        raise ModelError(f"{path}: not a JSON object; {_AGAIN}")
    return content


def _tokenizer(path: Path) -> Tokenizer:
    if not path.is_file():
        raise ModelError(f"{path}: missing; {_AGAIN}")
    try:
        return Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises no class of its own
        raise ModelError(f"{path}: not a tokenizer ({first_line(error)}); {_AGAIN}") from None


def _cut_pairs(path: Path, tokenizer: Tokenizer, settings: Mapping[str, Any], config: Mapping[str, Any]) -> None:
    """Set the truncation that transformers sets for `truncation=True`; what tokenizer.json says of it counts not."""
    longest = _length(path / "tokenizer_config.json", settings, "model_max_length")
    if longest >= _NO_LENGTH:
        # transformers would cut nothing, and the model would fail beyond its positions
        longest = _length(path / "config.json", config, "max_position_embeddings")
    side = settings.get("truncation_side", "right")
    if side not in ("left", "right"):
        came = f"{path / 'tokenizer_config.json'}: truncation_side {_shown(side)}"
        raise ModelError(f"{came}; left and right are accepted; {_AGAIN}")
    tokenizer.no_truncation()
    if longest < _NO_LENGTH:
        tokenizer.enable_truncation(int(longest), stride=0, strategy="longest_first", direction=side)


def _length(path: Path, entries: Mapping[str, Any], key: str) -> float:
    """A number of tokens, `_NO_LENGTH` or more where there is no end to them."""
    told = entries.get(key) or _NO_LENGTH
    # a bool is an int to Python, and nan is not 1 or more
    if not isinstance(told, int | float) or isinstance(told, bool) or not told >= 1:
        raise ModelError(f"{path}: {key} {_shown(told)}; a number from 1 is accepted; {_AGAIN}")
    return told


def _padding_id(path: Path, tokenizer: Tokenizer, settings: Mapping[str, Any], config: Mapping[str, Any]) -> int:
    token = settings.get("pad_token")
    text = token.get("content") if isinstance(token, dict) else token
    found = tokenizer.token_to_id(text) if isinstance(text, str) else None
    found = config.get("pad_token_id") if found is None else found
    if not isinstance(found, int):
        raise ModelError(f"{path}: neither config.json nor tokenizer_config.json has a padding token; {_AGAIN}")
    return found


def _padding_type(path: Path, settings: Mapping[str, Any]) -> int:
    found = settings.get("pad_token_type_id") or 0
    if not isinstance(found, int):
        came = f"{path / 'tokenizer_config.json'}: pad_token_type_id {_shown(found)}"
        raise ModelError(f"{came}; a whole number is accepted; {_AGAIN}")
    return found


def _shown(value: Any) -> str:
    """A value as it stands in a JSON file, its beginning where it is long."""
    return json.dumps(value)[:60]


def _passages(path: Path, config: Mapping[str, Any]) -> PassageSettings | None:
    if config.get(CONFIG_KEY) is None:
        return None
    try:
        return PassageSettings.model_validate(config[CONFIG_KEY])
    except ValidationError as error:
        problem = error.errors()[0]
        place = ".".join(map(str, (CONFIG_KEY, *problem["loc"])))
        raise ModelError(f"{path}: {place}: {problem['msg']}") from None


_AGAIN = "export the folder again with `distill export MODEL --target onnx --out FOLDER`"
