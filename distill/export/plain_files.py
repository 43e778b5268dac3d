"""Writes a model's plain files as every server reads them, those of transformers 4 and 5 and of Java alike."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from huggingface_hub import ModelCard, ModelCardData

from distill.export.model_folder import CARD, TOKENIZER
from distill.export.source import Source
from students.portable_files import describe_one_label, make_portable

_SECTION = "## Deployment (distill export)"
_SENTENCE_PIECES = ("sentencepiece.bpe.model", "spiece.model", "spm.model")
_ELASTICSEARCH_FAMILIES = frozenset({
    "bert", "distilbert", "electra", "mobilebert", "mpnet", "roberta", "xlm-roberta", "bart", "squeezebert",
})  # fmt: skip


def write_model_files(source: Source, folder: Path, weights: bool) -> None:
    """Write configuration, tokenizer and, where ``weights``, the model's tensors into ``folder``, which exists."""
    config = source.model.config
    describe_one_label(config, source.activation)
    if weights:
        source.model.save_pretrained(folder, max_shard_size="1000GB")
    else:
        config.architectures = [type(source.model).__name__]
        config.save_pretrained(folder)
    source.tokenizer.save_pretrained(folder)
    make_portable(folder)
    if source.model.config.model_type in _ELASTICSEARCH_FAMILIES:
        _write_vocabulary(source.folder.path, folder)


def write_card(source: Source, folder: Path, name: str, body: str) -> None:
    """Write the model card: the source's own, where it has one, with the entries that hubs look for and ``body``."""
    path = source.folder.path / CARD
    text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    card = _read_card(text)
    data: dict[str, Any] = card.data.to_dict() if card else {}
    data |= {"pipeline_tag": "text-ranking", "library_name": "sentence-transformers"}
    tags = data.get("tags")
    data["tags"] = list(dict.fromkeys([*(tags if isinstance(tags, list) else []), "cross-encoder"]))
    told = (card.text if card else _without_head(text)).partition(_SECTION)[0].strip()
    told = told or f"# {name}\n\nA re-ranker: it scores a query together with a document; higher is better."
    head = ModelCardData(ignore_metadata_errors=True, **data).to_yaml()
    content = f"---\n{head}\n---\n\n{told}\n\n{_SECTION}\n\n{body}\n"
    (folder / CARD).write_text(content, encoding="utf-8", errors="replace")


def _read_card(text: str) -> ModelCard | None:
    import yaml

    try:
        return ModelCard(text, ignore_metadata_errors=True)
    except (ValueError, TypeError, yaml.YAMLError):
        return None


def _without_head(text: str) -> str:
    """The text below a head that is no YAML."""
    if not text.startswith("---\n"):
        return text
    return text.removeprefix("---\n").partition("\n---\n")[2]


def _write_vocabulary(source: Path, folder: Path) -> None:
    """Write the files of slow tokenizers, which eland reads: ``vocab.txt``, or ``vocab.json`` and ``merges.txt``.

    A SentencePiece model cannot be made out of ``tokenizer.json``; it is taken along where the source has one.
    """
    for name in _SENTENCE_PIECES:
        if (source / name).is_file():
            shutil.copyfile(source / name, folder / name)
    model = json.loads((folder / TOKENIZER).read_text(encoding="utf-8"))["model"]
    if model.get("type") == "WordPiece":
        words = sorted(model["vocab"], key=model["vocab"].__getitem__)
        whole = [model["vocab"][word] for word in words] == list(range(len(words)))
        if whole and not any("\n" in word for word in words):
            (folder / "vocab.txt").write_text("".join(f"{word}\n" for word in words), encoding="utf-8")
    elif model.get("type") == "BPE":
        vocabulary = json.dumps(model["vocab"], indent=2, ensure_ascii=False)
        (folder / "vocab.json").write_text(vocabulary + "\n", encoding="utf-8", errors="replace")
        merges = (merge if isinstance(merge, str) else " ".join(merge) for merge in model["merges"])
        (folder / "merges.txt").write_text("#version: 0.2\n" + "".join(f"{m}\n" for m in merges), encoding="utf-8")


def card_entries(folder: Path) -> dict[str, Any]:
    """The entries in the head of a folder's model card; none where it has no head that can be read."""
    card = _read_card((folder / CARD).read_text(encoding="utf-8", errors="replace"))
    return card.data.to_dict() if card else {}
