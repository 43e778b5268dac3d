"""Collections as folders in BEIR's layout, the form in which most public ones are passed on."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from distill.collections.collection import Collection, DataError, Document
from distill.collections.files import numbered_lines, whole_folder
from distill.collections.trec import read_qrels, write_qrels
from labeling.texts import well_formed

_TEXTS = ("corpus.jsonl", "corpus.jsonl.gz", "queries.jsonl", "queries.jsonl.gz")
_QRELS = "qrels"
_LOG = "query_log.tsv"  # what `data docstrings` writes beside its collection
_ESCAPED_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def read_beir(folder: Path) -> Collection:
    """Read ``corpus.jsonl``, ``queries.jsonl`` (either may be packed, ``.gz``) and every ``qrels/SPLIT.tsv``.

    A folder without ``qrels`` gives a collection without judgments.

    Raises:
        DataError: a file is missing, a line malformed, an id used twice, or a judgment names
            a query or document that is not there.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; a BEIR folder holds corpus.jsonl, queries.jsonl and qrels/")
    documents = _read_documents(packed_or_plain(folder, "corpus.jsonl"))
    queries, metadata = read_query_rows(packed_or_plain(folder, "queries.jsonl"))
    qrels = {path.stem: read_qrels(path, queries, documents) for path in sorted((folder / _QRELS).glob("*.tsv"))}
    return Collection(folder.resolve().name, documents, queries, qrels, metadata)


def beir_files(folder: Path) -> list[Path]:
    """The files that `read_beir` reads, of those that are there."""
    return [path for name in _TEXTS if (path := folder / name).is_file()] + sorted((folder / _QRELS).glob("*.tsv"))


def read_documents(place: Path) -> dict[str, Document]:
    """Documents by id, from a BEIR folder or from its ``corpus.jsonl`` (``.gz``) alone; no query is read.

    Raises:
        DataError: there is no such file, a line is malformed, or an id used twice.
    """
    return _read_documents(packed_or_plain(place, "corpus.jsonl") if place.is_dir() else place)


def read_queries(place: Path) -> dict[str, str]:
    """Query texts by id, from a BEIR folder or from its ``queries.jsonl`` (``.gz``) alone; no document is read.

    Raises:
        DataError: there is no such file, a line is malformed, or an id used twice.
    """
    return read_query_rows(packed_or_plain(place, "queries.jsonl") if place.is_dir() else place)[0]


def read_query_rows(path: Path) -> tuple[dict[str, str], dict[str, dict[str, Any]]]:
    """Texts and metadata by id, from a ``queries.jsonl`` (``.gz``); a query without metadata has no entry among these.

    Raises:
        DataError: there is no such file, a line is malformed, or an id used twice.
    """
    queries: dict[str, str] = {}
    metadata: dict[str, dict[str, Any]] = {}
    for line, row in _json_rows(path):
        query_id = row["_id"]
        if query_id in queries:
            raise DataError.at(path, line, f"query id {query_id!r} a second time; ids must be unique")
        queries[query_id] = row["text"]
        if row["metadata"]:
            metadata[query_id] = row["metadata"]
    return queries, metadata


def write_beir(collection: Collection, folder: Path) -> None:
    """Write a BEIR folder; a collection that stood there is replaced, once the new one is whole.

    A query log that `data docstrings` wrote beside one stays.

    Raises:
        DataError: ``folder`` is there and holds something other than a BEIR collection, or something beside one.
    """
    _refuse_other(folder)
    with whole_folder(folder) as beside:
        if (folder / _LOG).is_file():
            shutil.copy2(folder / _LOG, beside / _LOG)
        with (beside / "corpus.jsonl").open("w", encoding="utf-8") as file:
            for document in collection.documents.values():
                row = {"_id": document.doc_id, "title": document.title, "text": document.text}
                file.write(_json_line(row, dict(document.metadata)))
        with (beside / "queries.jsonl").open("w", encoding="utf-8") as file:
            for query_id, text in collection.queries.items():
                file.write(_json_line({"_id": query_id, "text": text}, collection.query_metadata.get(query_id, {})))
        for split, qrels in collection.qrels.items():
            write_qrels(qrels, beside / _QRELS / f"{split}.tsv", style="beir")


def _refuse_other(folder: Path) -> None:
    """Stop where the place of a collection holds what is none of a collection's: it would be lost."""
    if not folder.exists():
        return
    others = list(_others(folder)) if folder.is_dir() else [folder]
    if others:
        raise DataError(f"{others[0]}: is no part of a BEIR collection, and is not replaced; choose another place")


def _others(folder: Path) -> Iterator[Path]:
    """What a folder holds that is none of a BEIR folder's; everything, where it has no corpus."""
    there = sorted(folder.iterdir())
    if not any(path.name in _TEXTS[:2] for path in there):
        yield from there
    for path in there:
        if path.name == _QRELS and path.is_dir():
            yield from (inner for inner in sorted(path.iterdir()) if inner.suffix != ".tsv" or not inner.is_file())
        elif path.name not in (*_TEXTS, _LOG) or not path.is_file():
            yield path


def packed_or_plain(folder: Path, name: str) -> Path:
    """The file of this name in a BEIR folder, or the one that is packed (``.gz``).

    Raises:
        DataError: neither is there, or both are.
    """
    found = [path for path in (folder / name, folder / f"{name}.gz") if path.is_file()]
    if len(found) == 2:
        raise DataError(f"{folder}: both {name} and {name}.gz; keep one of them")
    if not found:
        raise DataError(f"{folder}: neither {name} nor {name}.gz; a BEIR folder holds one of them")
    return found[0]


def _read_documents(path: Path) -> dict[str, Document]:
    documents: dict[str, Document] = {}
    for line, row in _json_rows(path):
        doc_id = row["_id"]
        if doc_id in documents:
            raise DataError.at(path, line, f"document id {doc_id!r} a second time; ids must be unique")
        title = row.get("title") or ""
        if not isinstance(title, str):
            raise DataError.at(path, line, f"title {title!r}; a string is accepted")
        documents[doc_id] = Document(doc_id, title, row["text"], row["metadata"])
    return documents


def _json_rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (line number, row) with ``_id`` and ``text`` checked and ``metadata`` always a mapping."""
    for line, text in numbered_lines(path):
        try:
            row = json.loads(text)
        except (ValueError, RecursionError) as error:
            reason = error.msg if isinstance(error, json.JSONDecodeError) else "too deep, or too long a number"
            raise DataError.at(path, line, f"not JSON ({reason}); one object a line is accepted") from None
        if _ESCAPED_SURROGATE.search(text):
            # JSON may name half a character, which neither a file nor a tokenizer takes
            row = json.loads(well_formed(json.dumps(row, ensure_ascii=False)))
        if not isinstance(row, dict):
            raise DataError.at(path, line, f"a JSON {type(row).__name__}; an object with _id and text is accepted")
        for key in ("_id", "text"):
            if not isinstance(row.get(key), str):
                raise DataError.at(path, line, f"{key} is {row.get(key)!r}; a string is accepted")
        if row["_id"].split() != [row["_id"]]:
            # TREC files, which every run and label folder meets sooner or later, part their columns by white space
            raise DataError.at(path, line, f"_id is {row['_id']!r}; text without white space is accepted")
        row["metadata"] = row.get("metadata") or {}
        if not isinstance(row["metadata"], dict):
            raise DataError.at(path, line, f"metadata is {row['metadata']!r}; an object is accepted")
        yield line, row


def _json_line(row: dict[str, Any], metadata: dict[str, Any]) -> str:
    if metadata:
        row = {**row, "metadata": metadata}
    return json.dumps(row, ensure_ascii=False) + "\n"
