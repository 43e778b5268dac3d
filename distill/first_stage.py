"""Candidates for every query by BM25, the first stage that needs no training; any other TREC run may replace it."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping
from typing import Literal, Self

import bm25s
import numpy as np
import Stemmer
from bm25s.stopwords import STOPWORDS_EN
from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, field_validator, model_validator

from distill.collections.collection import Collection, DataError, Run
from distill.collections.trec import ranking
from students.terms import Term, TermReader

log = logging.getLogger(__name__)

# bm25s' own pattern: words of at least two characters.
_WORD = re.compile(r"(?u)\b\w\w+\b")
_RUN_OF_LETTERS = re.compile(r"\w+")


class BM25Settings(BaseModel):
    """How BM25 reads and weighs words; the defaults are for English."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    k1: NonNegativeFloat = Field(1.5, description="how much a repeated word adds before it saturates")
    b: float = Field(0.75, ge=0, le=1, description="how much long documents are discounted, 0 to 1")
    tokens: Literal["words", "character_bigrams"] = Field(
        "words", description="what is matched; character bigrams suit Korean, Japanese and Chinese"
    )
    stemmer: str = Field("english", description="a Snowball stemmer's language, or none")
    stop_words: Literal["english", "none"] = Field("english", description="words that are passed over")
    language: Literal["korean", "korean_particles"] | None = Field(
        None,
        # a first stage that was ranked before this key came keeps its fingerprint
        exclude_if=lambda value: value is None,
        description="words without particles and stop words, as the encoder's term control reads them: korean "
        "(kiwipiepy where it is installed, else rules) or korean_particles (rules); in place of stemmer and stop_words",
    )

    @field_validator("stemmer")
    @classmethod
    def _stemmer_is_known(cls, name: str) -> str:
        if name != "none" and name not in Stemmer.algorithms():
            raise ValueError(f"no stemmer {name!r}; accepted are none, {', '.join(Stemmer.algorithms())}")
        return name

    @model_validator(mode="after")
    def _language_has_words(self) -> Self:
        if self.language is not None and self.tokens != "words":
            raise ValueError(f"language ({self.language}) reads words, but tokens is {self.tokens}; keep one of them")
        return self


class BM25Index:
    """An index of documents in memory that answers one query at a time, the same on every machine.

    Source: Robertson et al., Okapi at TREC-3, 1994, in Lucene's variant; Lù, BM25S, arXiv 2407.03618.

    Raises:
        DataError: no document holds anything to match.
    """

    def __init__(self, texts: Mapping[str, str], settings: BM25Settings | None = None) -> None:
        settings = settings or BM25Settings()
        self._split = _Splitter(settings)
        self._doc_ids = np.array(list(texts), dtype=object)
        self._model = bm25s.BM25(k1=settings.k1, b=settings.b, method="lucene")
        split = [self._split(text) for text in texts.values()]
        if not any(split):
            raise DataError(f"none of the {len(split)} documents holds a word to match; are tokens and language right?")
        self._model.index(split, show_progress=False)

    def search(self, query: str, depth: int) -> dict[str, float]:
        """The best ``depth`` documents with a positive score, best first; fewer where fewer have one."""
        tokens = [token for token in self._split(query) if token in self._model.vocab_dict]
        if not tokens:
            return {}
        scores = self._model.get_scores(tokens)
        # All documents tied at the last place are kept until `ranking` decides, so that no hidden order does.
        least = np.partition(scores, -depth)[-depth] if depth < len(scores) else 0.0
        hits = np.flatnonzero((scores >= least) & (scores > 0))
        found = dict(zip(self._doc_ids[hits], scores[hits].tolist(), strict=True))
        return {doc_id: found[doc_id] for doc_id in ranking(found)[:depth]}


def bm25_run(
    collection: Collection, query_ids: Iterable[str], depth: int = 50, settings: BM25Settings | None = None
) -> Run:
    """The top ``depth`` documents of each query; a query without a single hit is left out, with a warning.

    Raises:
        ValueError: ``depth`` is not positive.
        DataError: a query is not in the collection, or the collection has no documents, or none with a word.
    """
    if depth < 1:
        raise ValueError(f"depth {depth}; at least 1 is accepted")
    if not collection.documents:
        raise DataError(f"collection {collection.name} has no documents; there is nothing to search")
    queries = {query_id: collection.query(query_id) for query_id in query_ids}
    index = BM25Index({doc_id: collection.text(doc_id) for doc_id in collection.documents}, settings)
    found = {query_id: index.search(query, depth) for query_id, query in queries.items()}
    without = [query_id for query_id, scores in found.items() if not scores]
    if without:
        log.warning(
            "%d of %d queries match no document and get no candidates: %s",
            len(without),
            len(found),
            ", ".join(without[:10]) + (" ..." if len(without) > 10 else ""),
        )
    return {query_id: scores for query_id, scores in found.items() if scores}


class _Splitter:
    """Text to the tokens that are matched."""

    def __init__(self, settings: BM25Settings) -> None:
        self._by_character = settings.tokens == "character_bigrams"
        self._terms = TermReader(settings.language) if settings.language is not None else None
        self._stop_words = frozenset(STOPWORDS_EN) if settings.stop_words == "english" else frozenset()
        self._stemmer = None if settings.stemmer == "none" else Stemmer.Stemmer(settings.stemmer)

    def __call__(self, text: str) -> list[str]:
        if self._terms is not None:
            return [token for term in self._terms.terms(text) for token in _tokens_of(term)]
        text = text.lower()
        if self._by_character:
            return [token for letters in _RUN_OF_LETTERS.findall(text) for token in _bigrams(letters)]
        words = [word for word in _WORD.findall(text) if word not in self._stop_words]
        return words if self._stemmer is None else self._stemmer.stemWords(words)


def _tokens_of(term: Term) -> list[str]:
    """The stem; of a run without spaces, such as one of Chinese characters, its bigrams."""
    return _bigrams(term.stem) if term.unspaced else [term.stem]


def _bigrams(letters: str) -> list[str]:
    """``abc`` gives ``ab, bc``; a single letter stands for itself."""
    return [letters[i : i + 2] for i in range(len(letters) - 1)] or [letters]
