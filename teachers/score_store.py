"""Head scores on disk: read once per list and setting, reused by every method and by every later fit."""

from __future__ import annotations

import hashlib
import json
import logging
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from teachers.head_scores import HeadReader, HeadScores

logger = logging.getLogger(__name__)

# Lists in a part: a part is what an interruption can cost.
_LISTS_PER_PART = 16
_TENSORS = ("real", "null", "masked", "all_heads", "state", "truncated", "tokens")


class HeadScoreStore:
    """A folder of safetensors parts, each holding the head scores of a few lists under the list's key.

    Args:
        folder: made where it does not stand; scores of other models may lie in it.
        model: what identifies the weights that the scores are read off; only these are found again.
    """

    def __init__(self, folder: Path, model: Mapping[str, str]) -> None:
        self.folder = folder
        self.model = dict(model)
        folder.mkdir(parents=True, exist_ok=True)
        self._part_of: dict[str, Path] = {}
        for part in sorted(folder.glob("*.safetensors")):
            self._index(part)

    def __contains__(self, key: str) -> bool:
        return key in self._part_of

    def key(self, reader: HeadReader, query: str, documents: Sequence[str]) -> str:
        """Hash of all that one list's head scores depend on; the documents count in the order given."""
        content = json.dumps([query, list(documents), reader.describe(), self.model], sort_keys=True)
        return hashlib.sha256(content.encode("utf-8", "surrogatepass")).hexdigest()

    def get(self, key: str) -> HeadScores:
        """The scores of one list.

        Raises:
            KeyError: the list is not in the store.
        """
        with safe_open(self._part_of[key], framework="pt") as part:
            values: dict[str, Any] = {name: part.get_tensor(f"{key}.{name}") for name in _TENSORS}
        return HeadScores(**{**values, "tokens": int(values["tokens"])})

    def put(self, scores: dict[str, HeadScores]) -> None:
        """Write one part; it is written beside and renamed, so a half-written one is never found."""
        if not scores:
            return
        tensors = {
            f"{key}.{name}": torch.as_tensor(getattr(entry, name)).contiguous()
            for key, entry in scores.items()
            for name in _TENSORS
        }
        # named by all of its lists: another process's part with some of them must not take this one's place
        part = self.folder / f"{hashlib.sha256(''.join(scores).encode()).hexdigest()[:16]}.safetensors"
        beside = part.with_suffix(f".{secrets.token_hex(4)}.tmp")
        try:
            # not save_file, which lets nobody but its owner read the file (safetensors 0.8)
            beside.write_bytes(save(tensors))
            beside.replace(part)
        finally:
            beside.unlink(missing_ok=True)
        self._part_of.update(dict.fromkeys(scores, part))

    def _index(self, part: Path) -> None:
        try:
            with safe_open(part, framework="pt") as opened:
                keys = {name.rpartition(".")[0] for name in opened.keys()}  # noqa: SIM118
        except SafetensorError as error:
            logger.warning("%s cannot be read (%s); its lists are scored again", part, error)
            return
        self._part_of.update(dict.fromkeys(keys, part))


def read_lists(
    reader: HeadReader,
    lists: Sequence[tuple[str, Sequence[str]]],
    store: HeadScoreStore,
    on_progress: Callable[[int, int], None] | None = None,
) -> Iterator[HeadScores]:
    """Head scores of each (query, documents), from the store where they stand there, read and stored otherwise.

    One list is read after the other on a processor, several at once elsewhere. ``on_progress`` is called with lists
    done and lists in all.
    """
    at_once = 1 if reader.batch_tokens is None else _LISTS_PER_PART
    keys = [store.key(reader, query, documents) for query, documents in lists]
    fresh: dict[str, HeadScores] = {}
    waiting: dict[str, tuple[str, Sequence[str]]] = {}
    try:
        for done, (key, entry) in enumerate(zip(keys, lists, strict=True), start=1):
            if key not in store and key not in fresh:
                waiting[key] = entry
            if len(waiting) == at_once or done == len(lists):
                read = reader.read_many(list(waiting.values()), reader.batch_tokens)
                fresh.update(zip(waiting, read, strict=True))
                waiting = {}
            if len(fresh) == _LISTS_PER_PART:
                store.put(fresh)
                fresh = {}
            if on_progress is not None and not waiting:
                on_progress(done, len(lists))
    finally:
        store.put(fresh)
    return (store.get(key) for key in keys)
