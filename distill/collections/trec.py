"""Runs and judgments in TREC's formats: the one place where a ranking's order and its text form are decided."""

from __future__ import annotations

import itertools
import re
from collections.abc import Container, Iterator, Mapping
from pathlib import Path
from typing import Literal

import numpy as np

from distill.collections.collection import Collection, DataError, Qrels, Run
from distill.collections.files import numbered_lines, whole_text

RUN_LINE = "a run line has six columns: query id, Q0, document id, rank, score, tag"
SCORE = "a finite number is accepted, as float32 holds it"
QRELS_LINE = (
    "judgments have three tab-separated columns (query id, document id, relevance) after a header, "
    "or TREC's four (query id, iteration, document id, relevance)"
)
BEIR_HEADER = "query-id\tcorpus-id\tscore"

# trec_eval counts the documents of each grade in an array as long as the largest, and wraps numbers around
_RELEVANCE = re.compile(r"-?[0-9]{1,4}")
_WITHIN = "from -9999 to 9999"


def ranking(scores: Mapping[str, float]) -> list[str]:
    """Document ids, best first, exactly as trec_eval orders them.

    trec_eval holds scores as float32, so two that differ by less are tied; ties go by document id, descending.
    """
    order = sorted(scores, reverse=True)
    return sorted(order, key=lambda doc_id: -np.float32(scores[doc_id]))


def read_run(path: Path, most_lines: int | None = None) -> Run:
    """Scores by query and document from a TREC run file; the rank and tag columns carry nothing that is used.

    Args:
        path: of the file, packed where it ends in ``.gz``.
        most_lines: that are read, to look into a file; None for all.

    Raises:
        DataError: a line has not six columns, its score is no finite number, or it names a document
            for the second time.
    """
    run: Run = {}
    for line, text in itertools.islice(numbered_lines(path), most_lines):
        columns = text.split()
        if len(columns) != 6:
            raise DataError.at(path, line, f"{len(columns)} columns; {RUN_LINE}")
        query_id, _, doc_id, _, score, _ = columns
        candidates = run.setdefault(query_id, {})
        if doc_id in candidates:
            raise DataError.at(path, line, f"query {query_id!r} has document {doc_id!r} twice; once is accepted")
        candidates[doc_id] = _finite(path, line, score)
    return run


def write_run(run: Run, path: Path, tag: str = "distill") -> None:
    """Write a TREC run, best document first; nine digits keep every float32 score.

    Raises:
        DataError: a score is not finite in float32, or an id or the tag is empty or holds white space.
    """
    _check_word("tag", tag)
    with whole_text(path) as file:
        for query_id, scores in run.items():
            _check_word("query id", query_id)
            for doc_id, score in scores.items():
                _check_word("document id", doc_id)
                if not _is_float32(score):
                    raise DataError(f"query {query_id!r}, document {doc_id!r}: score {score}; {SCORE}")
            for rank, doc_id in enumerate(ranking(scores), start=1):
                file.write(f"{query_id} Q0 {doc_id} {rank} {np.float32(scores[doc_id]):.9g} {tag}\n")


def read_qrels(path: Path, queries: Container[str] | None = None, documents: Container[str] | None = None) -> Qrels:
    """Judgments by query and document, from BEIR's three columns or TREC's four; the first line tells which.

    Args:
        path: the file; it may be packed (``.gz``).
        queries: where given, the ids that may be judged.
        documents: likewise.

    Raises:
        DataError: a line has the wrong number of columns, a relevance that is no whole number, a pair for the
            second time, or an id that the collection lacks.
    """
    qrels: Qrels = {}
    for line, query_id, doc_id, relevance in _judgment_lines(path):
        if queries is not None and query_id not in queries:
            raise DataError.at(path, line, f"query {query_id!r} is not among the collection's queries")
        if documents is not None and doc_id not in documents:
            raise DataError.at(path, line, f"document {doc_id!r} is not among the collection's documents")
        judged = qrels.setdefault(query_id, {})
        if doc_id in judged:
            raise DataError.at(path, line, f"query {query_id!r} has document {doc_id!r} twice; once is accepted")
        judged[doc_id] = relevance
    return qrels


def write_qrels(qrels: Qrels, path: Path, style: Literal["trec", "beir"] = "trec") -> None:
    """Write judgments with TREC's four columns, or BEIR's three under their header.

    Raises:
        DataError: an id is empty or holds white space.
    """
    with whole_text(path) as file:
        if style == "beir":
            file.write(BEIR_HEADER + "\n")
        for query_id, judged in qrels.items():
            _check_word("query id", query_id)
            for doc_id, relevance in judged.items():
                _check_word("document id", doc_id)
                between = "" if style == "beir" else "0\t"
                file.write(f"{query_id}\t{between}{doc_id}\t{relevance}\n")


def check_run(run: Run, collection: Collection, source: str = "the run") -> None:
    """Refuse a run that cannot be used with a collection; ``source`` names the run in the message.

    Raises:
        DataError: a query or a document is not in the collection, a query has no candidates, or the run no query.
    """
    if not run:
        raise DataError(f"{source}: no query at all; at least one query with candidates is needed")
    for query_id, scores in run.items():
        if query_id not in collection.queries:
            raise DataError(f"{source}: query {query_id!r} is not in collection {collection.name}")
        if not scores:
            raise DataError(f"{source}: query {query_id!r} has no candidates; leave it out or give it some")
        for doc_id in scores:
            if doc_id not in collection.documents:
                raise DataError(f"{source}: query {query_id!r}: no document {doc_id!r} in collection {collection.name}")


def _judgment_lines(path: Path) -> Iterator[tuple[int, str, str, int]]:
    """Yield (line number, query id, document id, relevance)."""
    width = 0
    for line, text in numbered_lines(path):
        # a header may name columns of several words
        columns = [cell.strip() for cell in text.split("\t")] if text.count("\t") == 2 else text.split()
        if not width:
            width = len(columns)
            if width not in (3, 4):
                raise DataError.at(path, line, f"{width} columns; {QRELS_LINE}")
            if width == 3 and columns[2] and not _is_number(columns[2]):
                continue  # the names of the columns
        if len(columns) != width:
            raise DataError.at(path, line, f"{len(columns)} columns where the first line has {width}; {QRELS_LINE}")
        if not _RELEVANCE.fullmatch(columns[-1]):
            raise DataError.at(path, line, f"relevance {columns[-1][:20]!r}; a whole number is accepted, {_WITHIN}")
        for what, identifier in (("query id", columns[0]), ("document id", columns[-2])):
            if identifier.split() != [identifier]:
                raise DataError.at(path, line, f"{what} {identifier!r}; a word without white space is accepted")
        yield line, columns[0], columns[-2], int(columns[-1])


def _finite(path: Path, line: int, text: str) -> float:
    try:
        score = float(text)
    except ValueError:
        raise DataError.at(path, line, f"score {text!r}; {SCORE}") from None
    if not _is_float32(score):
        raise DataError.at(path, line, f"score {text!r}; {SCORE}")
    return score


def _is_float32(score: float) -> bool:
    with np.errstate(over="ignore"):
        return bool(np.isfinite(np.float32(score)))


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _check_word(what: str, text: str) -> None:
    if not text or text.split() != [text]:
        raise DataError(f"{what} {text!r}; TREC files take words without white space")
