"""Writes a student as a plain folder: transformers, sentence-transformers and servers load it without our code."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from huggingface_hub import ModelCardData
from transformers.utils import CONFIG_NAME

from students import StudentError
from students.portable_files import describe_one_label, make_portable

# a raw logit, whatever loads it
_ACTIVATION = "torch.nn.modules.linear.Identity"

CARD = """---
{metadata}
---

# {name}

A re-ranker: it scores a query together with a document; higher is better, the scale is a raw logit.

```python
from sentence_transformers import CrossEncoder

scores = CrossEncoder("path/to/this/folder").predict([("query", "document")])
```

{body}
"""


def save_student(
    model: Any, tokenizer: Any, folder: Path, body: str, metadata: Mapping[str, str] | None = None
) -> None:
    """Write `folder` in full or not at all: the files are written beside it and renamed.

    Args:
        model: a sequence classifier with one output, adapters merged; its weights are saved as they are.
        tokenizer: its fast tokenizer, `model_max_length` set to the trained length.
        folder: must not exist.
        body: the model card's text below the example.
        metadata: entries of the card's head beside those that every student has.

    Raises:
        FileExistsError: `folder` exists.
        StudentError: the model has no padding token id.
    """
    if folder.exists():
        raise FileExistsError(f"{folder} exists; a student is written to a new folder")
    if model.config.pad_token_id is None:
        raise StudentError(f"{type(model).__name__} has no pad_token_id, so no server could batch pairs; set it first")
    describe_one_label(model.config, _ACTIVATION)
    beside = folder.with_name(f".{folder.name}.writing")
    shutil.rmtree(beside, ignore_errors=True)
    model.save_pretrained(beside)
    tokenizer.save_pretrained(beside)
    # of several processes transformers lets the first alone write the model and its configuration
    if (beside / CONFIG_NAME).exists():
        make_portable(beside)
    # a name may hold what UTF-8 cannot: half a character in a path
    (beside / "README.md").write_text(_card(folder.name, body, metadata or {}), encoding="utf-8", errors="replace")
    beside.rename(folder)


def _card(name: str, body: str, metadata: Mapping[str, str]) -> str:
    entries: dict[str, Any] = {"pipeline_tag": "text-ranking", "tags": ["cross-encoder"], **metadata}
    data = ModelCardData(library_name="sentence-transformers", **entries)
    return CARD.format(metadata=data.to_yaml(), name=name, body=body)
