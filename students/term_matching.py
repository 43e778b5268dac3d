"""Which tokens of a document the term control layer sees: those of the words that the query has too."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple, Protocol

from tokenizers import Encoding
from transformers import PreTrainedTokenizerBase

from students import StudentError
from students.terms import TermReader, normalised

Reason = Literal["same id", "word", "stem"]

_MOST_QUERIES = 1_000

_Span = tuple[int, int]


class Match(NamedTuple):
    """A word of the document, ``document[start:end]``, that is one of the query's, ``query[query_start:query_end]``.

    ``positions`` are its tokens, as many of them as the encoder reads.
    """

    start: int
    end: int
    positions: tuple[int, ...]
    reason: Reason
    query_start: int
    query_end: int


class TokenSelection(Protocol):
    """Says which of a pair's document tokens the term control layer sees."""

    def positions(self, encoding: Encoding, query: str, document: str) -> list[int]:
        """Positions of these tokens in the encoded pair (query, document), in order."""


class EveryToken:
    """Selects the whole document: what remains of the term control layer without term selection."""

    def positions(self, encoding: Encoding, query: str, document: str) -> list[int]:
        """Positions of all the document's tokens; see `TokenSelection`."""
        return [place for place, part in enumerate(encoding.sequence_ids) if part == 1]


class TermMatcher:
    """Selects the document tokens whose word is a word of the query, and says why.

    A word of the document matches where its tokens have the ids of a word of the query, else where the normal forms
    are the same, else where the stems are. It is selected with all of its tokens; a number or a model code is one word,
    however the tokenizer cuts it. In scripts without spaces each token is a word. What counts as a word is said at
    `TermReader`; special tokens are never selected, and the unknown token, which stands for different words, matches
    none by its id. What was cut off counts on neither side.

    Args:
        tokenizer: the fast tokenizer that encodes the pairs; its offsets are what places the words.
        language: of the stems and stop words, one of `students.terms.LANGUAGES`.

    Raises:
        StudentError: the tokenizer gives no offsets, or the language is not known.

    Source: RRADistill (arXiv 2410.18097) selects document tokens by the query's; the rule here is our own definition.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, language: str) -> None:
        if not tokenizer.is_fast:
            raise StudentError(f"{tokenizer.name_or_path}: term control needs a fast tokenizer, which tells offsets")
        self._reader = TermReader(language)
        self._special = frozenset(tokenizer.all_special_ids)
        self._unselected = self._special - {tokenizer.unk_token_id}
        self._queries: dict[tuple[str, int], _QueryTerms] = {}

    def positions(self, encoding: Encoding, query: str, document: str) -> list[int]:
        """Positions of the selected tokens, in order.

        Args:
            encoding: the pair (query, document) as the tokenizer encodes it, with or without padding, cut or whole.
            query: the text that was encoded first.
            document: the text that was encoded second.
        """
        return sorted({place for match in self.matches(encoding, query, document) for place in match.positions})

    def matches(self, encoding: Encoding, query: str, document: str) -> list[Match]:
        """The document's matching words in order; the arguments are those of `positions`."""
        # each of the three is copied out of the tokenizer's memory when it is asked for
        ids, parts, offsets = encoding.ids, encoding.sequence_ids, encoding.offsets
        # the query's words are worked out once for the documents of a list
        key = query, parts.count(0)
        wanted = self._queries.get(key)
        if wanted is None:
            wanted = self._query_terms(_Side(0, ids, parts, offsets, self._unselected), query)
            self._remember(key, wanted)
        if not wanted.by_form:
            return []
        side = _Side(1, ids, parts, offsets, self._unselected)
        found, others = [], []
        for start, end, form, stem in self._words(side, document):
            source = wanted.by_form.get(form)
            reason: Reason = "word"
            if source is None:
                source, reason = wanted.by_stem.get(stem), "stem"
            if source is None:
                others.append((start, end))
            elif positions := side.within(start, end):
                if side.ids_at(positions) in wanted.by_ids:
                    reason = "same id"
                found.append(Match(start, end, positions, reason, *source))
        return sorted([*found, *_by_ids_alone(side, others, wanted)])

    def _query_terms(self, side: _Side, query: str) -> _QueryTerms:
        wanted = _QueryTerms()
        for start, end, form, stem in self._words(side, query):
            if positions := side.within(start, end):
                ids = side.ids_at(positions)
                wanted.add((start, end), form, stem, ids if self._special.isdisjoint(ids) else ())
        return wanted

    def _remember(self, key: tuple[str, int], terms: _QueryTerms) -> None:
        if len(self._queries) >= _MOST_QUERIES:
            self._queries.clear()
        self._queries[key] = terms

    def _words(self, side: _Side, text: str) -> Iterator[tuple[int, int, str, str]]:
        """Start, end, normal form and stem of each word as far as the encoder reads."""
        for offset, terms in self._reader.chunks(text):
            if offset >= side.end:
                return
            for start, end, form, stem, unspaced in terms:
                if unspaced:
                    yield from _token_words(side, text, offset + start, offset + end)
                else:
                    yield offset + start, offset + end, form, stem


class _Side:
    """The tokens of one text of a pair: their positions, and the characters that each stands for."""

    def __init__(
        self, part: int, ids: list[int], parts: list[int | None], offsets: list[_Span], unselected: frozenset[int]
    ) -> None:
        count = parts.count(part)
        # the tokens of a text follow one another; only what is put around the texts and padding belongs to neither
        self.first = parts.index(part) if count else 0
        self.ids = ids[self.first : self.first + count]
        own = offsets[self.first : self.first + count]
        self.starts, self.ends = [start for start, _ in own], [end for _, end in own]
        self.end = self.ends[-1] if own else 0
        self._unselected = unselected

    def ids_at(self, positions: Sequence[int]) -> tuple[int, ...]:
        return tuple([self.ids[place - self.first] for place in positions])

    def within(self, start: int, end: int) -> tuple[int, ...]:
        """Positions of the tokens that share a character with ``text[start:end]``, special tokens left out.

        Some tokenizers count the space before a word among its characters, which a word's span never holds.
        """
        first = last = bisect_right(self.ends, start)
        while last < len(self.starts) and self.starts[last] < end:
            last += 1
        return tuple([self.first + i for i in range(first, last) if self.ids[i] not in self._unselected])


class _QueryTerms:
    """The query's words by normal form, by stem and by token ids, each with its first place in the query."""

    def __init__(self) -> None:
        self.by_form: dict[str, _Span] = {}
        self.by_stem: dict[str, _Span] = {}
        self.by_ids: dict[tuple[int, ...], _Span] = {}
        self.first_ids: set[int] = set()

    def add(self, span: _Span, form: str, stem: str, ids: tuple[int, ...]) -> None:
        """Add a word; ``ids`` is empty where they are not to be compared."""
        self.by_form.setdefault(form, span)
        self.by_stem.setdefault(stem, span)
        if ids:
            self.by_ids.setdefault(ids, span)
            self.first_ids.add(ids[0])


def _by_ids_alone(side: _Side, words: list[_Span], wanted: _QueryTerms) -> Iterator[Match]:
    """Matches among words whose form is another: the tokenizer may drop accents that the form keeps."""
    starts = [start for start, _ in words]
    for index, token_id in enumerate(side.ids):
        if token_id not in wanted.first_ids:
            continue
        word = bisect_right(starts, side.ends[index] - 1) - 1
        positions = side.within(*words[word]) if word >= 0 else ()
        if positions and positions[0] == side.first + index:
            source = wanted.by_ids.get(side.ids_at(positions))
            if source is not None:
                yield Match(*words[word], positions, "same id", *source)


def _token_words(side: _Side, text: str, start: int, end: int) -> Iterator[tuple[int, int, str, str]]:
    """The tokens of a run without spaces, each as a word; several tokens of one character are one."""
    before = None
    for place in side.within(start, end):
        index = place - side.first
        span = max(start, side.starts[index]), min(end, side.ends[index])
        if span != before and span[0] < span[1]:
            form = normalised(text[slice(*span)])
            yield *span, form, form
        before = span
