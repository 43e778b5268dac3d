"""Which words of a text count as terms, and the forms in which a query's term and a document's are one."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator
from typing import NamedTuple

import regex
import Stemmer
from bm25s import stopwords

from students import StudentError
from students.korean import kiwi_or_particle_stem, particle_stem

_STOP_WORDS: dict[str, tuple[str, ...]] = {
    "danish": stopwords.STOPWORDS_DANISH,
    "dutch": stopwords.STOPWORDS_DUTCH,
    "dutch_porter": stopwords.STOPWORDS_DUTCH,
    "english": stopwords.STOPWORDS_EN_PLUS,
    "french": stopwords.STOPWORDS_FRENCH,
    "german": stopwords.STOPWORDS_GERMAN,
    "italian": stopwords.STOPWORDS_ITALIAN,
    "norwegian": stopwords.STOPWORDS_NORWEGIAN,
    "porter": stopwords.STOPWORDS_EN_PLUS,
    "portuguese": stopwords.STOPWORDS_PORTUGUESE,
    "russian": stopwords.STOPWORDS_RUSSIAN,
    "spanish": stopwords.STOPWORDS_SPANISH,
    "swedish": stopwords.STOPWORDS_SWEDISH,
    "turkish": stopwords.STOPWORDS_TURKISH,
}

LANGUAGES = ("none", "korean", "korean_particles", *Stemmer.algorithms())
"""Languages whose terms can be read; "none" takes words as they are and knows no stop words.

"korean" uses kiwipiepy where it is installed, else the rules that "korean_particles" always uses.
"""

# Soft hyphens, joiners, marks of direction: a word goes on over them, and they do not count when words are compared.
_INVISIBLE = r"\u00ad\u200b-\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff"
# Scripts without spaces between words: a run of them is no word. Katakana is not among them, its runs mostly are words.
_UNSPACED = r"\p{Han}\p{Hiragana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
_PIECE = regex.compile(
    rf"(?P<unspaced>[[\p{{L}}]&&[{_UNSPACED}]][{_UNSPACED}\p{{M}}]*+)"
    rf"|(?P<sign>[A-Za-z](?:#|[A-Za-z]*\+\+)(?![\p{{L}}\p{{N}}]))"  # C#, C++
    rf"|[[\p{{L}}\p{{N}}]--[{_UNSPACED}]][[\p{{L}}\p{{N}}\p{{M}}{_INVISIBLE}]--[{_UNSPACED}]]*+",
    regex.V1,
)
_CHUNK = re.compile(r"\S+")
_HIDDEN = regex.compile(f"[{_INVISIBLE}]")
_NUMBER = regex.compile(r"\p{N}")
# With their full-width and typographic forms, because pieces are joined before they are normalised.
_HYPHENS, _POINTS = frozenset("-/_\u2010\u2011\uff0d\uff0f\uff3f"), frozenset(".,:\uff0e\uff0c\uff1a")
_THOUSANDS = regex.compile(r"(?<=\p{Nd}),(?=\p{Nd}{3}(?!\p{Nd}))")
_HYPHEN_IN_MODEL = regex.compile(r"(?<=\p{L})-(?=\p{Nd})|(?<=\p{Nd})-(?=\p{L})")

_LEADING_PIECES = 2
_SHORT_PIECE = 2
_LONGEST_REMEMBERED = 40
_MOST_REMEMBERED = 200_000


class Term(NamedTuple):
    """A word, number or model code at ``text[start:end]``, as it is written there.

    ``form`` is its normal form, ``stem`` what is left of that without endings. ``unspaced`` marks a run of letters of a
    script without spaces, which only a tokenizer cuts into words.
    """

    start: int
    end: int
    form: str
    stem: str
    unspaced: bool = False


class TermReader:
    """Finds the terms of texts in one language. What stands between spaces is read once and remembered.

    A term holds a letter or a digit and is no stop word. Numbers (3.14, 1,000, 2024-05-01) and model codes (RTX-4090,
    iPhone15, ISO/IEC-27001, 10.1145/123) are one term each and have no stem but themselves; other words end at hyphens,
    slashes and apostrophes. Emoji and other symbols are no terms.

    Args:
        language: one of LANGUAGES; it names the stemmer and the stop words.

    Raises:
        StudentError: the language is not among LANGUAGES.
    """

    def __init__(self, language: str) -> None:
        self._stem = _content_stem(known_language(language))
        self._known: dict[str, tuple[Term, ...]] = {}

    def terms(self, text: str) -> list[Term]:
        """All terms of a text, in order."""
        return [
            term._replace(start=offset + term.start, end=offset + term.end)
            for offset, terms in self.chunks(text)
            for term in terms
        ]

    def chunks(self, text: str) -> Iterator[tuple[int, tuple[Term, ...]]]:
        """What stands between spaces and holds terms: where it starts, and the terms, counted from there."""
        known = self._known
        for match in _CHUNK.finditer(text):
            chunk = match.group()
            terms = known.get(chunk)
            if terms is None:
                terms = self._read(chunk)
            if terms:
                yield match.start(), terms

    def _read(self, chunk: str) -> tuple[Term, ...]:
        terms = tuple(self._terms_of(chunk))
        # a sentence of Chinese is a chunk too, and never comes again
        if len(chunk) <= _LONGEST_REMEMBERED:
            if len(self._known) >= _MOST_REMEMBERED:
                self._known.clear()
            self._known[chunk] = terms
        return terms

    def _terms_of(self, chunk: str) -> Iterator[Term]:
        for start, end, kind in _words(chunk):
            form = normalised(chunk[start:end])
            if kind == "code":
                form = _HYPHEN_IN_MODEL.sub("", _THOUSANDS.sub("", form))
            # Korean writes particles right behind a number, too
            stem = form if kind == "unspaced" or (kind == "code" and form[-1].isascii()) else self._stem(form)
            if stem:
                yield Term(start, end, form, stem, kind == "unspaced")


def known_language(name: str) -> str:
    """The language's name, if terms can be read in it.

    Raises:
        StudentError: they cannot.
    """
    if name not in LANGUAGES:
        raise StudentError(f"no stemmer for language {name!r}; accepted are {', '.join(LANGUAGES)}")
    return name


def normalised(word: str) -> str:
    """The form in which words are compared: compatibility characters and widths unified (NFKC), case folded.

    Characters that show nothing are dropped; lengths may change.
    """
    if word.isascii():
        return word.lower()
    folded = unicodedata.normalize("NFKC", _HIDDEN.sub("", word)).casefold()
    # the capital of Turkish i folds to i and a dot of its own
    return unicodedata.normalize("NFKC", folded).replace("i\u0307", "i").replace("\u2010", "-")


def _content_stem(language: str) -> Callable[[str], str]:
    """A function from a word's normal form to its stem, empty for a stop word."""
    if language == "korean":
        return kiwi_or_particle_stem()
    if language == "korean_particles":
        return particle_stem
    if language == "none":
        return str
    stop_words = frozenset(normalised(word) for word in _STOP_WORDS.get(language, ()))
    stem = Stemmer.Stemmer(language).stemWord
    return lambda form: "" if form in stop_words else stem(form)


def _words(chunk: str) -> Iterator[tuple[int, int, str]]:
    """Start, end and kind (word, code, sign, unspaced) of each term in a text without spaces."""
    joined: list[tuple[int, int]] = []
    for match in _PIECE.finditer(chunk):
        kind, (start, end) = match.lastgroup, match.span()
        if joined and (kind or not _joins(chunk, joined[-1][1], start)):
            yield from _cut(chunk, joined)
            joined = []
        if kind:
            yield start, end, kind
        else:
            joined.append((start, end))
    yield from _cut(chunk, joined)


def _joins(chunk: str, end: int, start: int) -> bool:
    """Whether the one character between two pieces may join them: a hyphen or a slash, a point between two digits."""
    if start != end + 1:
        return False
    between = chunk[end]
    return between in _HYPHENS or (between in _POINTS and chunk[end - 1].isdecimal() and chunk[start].isdecimal())


def _cut(chunk: str, pieces: list[tuple[int, int]]) -> Iterator[tuple[int, int, str]]:
    """Joined pieces as codes, which hold a digit, and words.

    A code takes up to two pieces before its first digit (ISO/IEC-27001) and, after it, pieces that hold a digit or have
    at most two letters (4090-Ti): not those of 19-year-old.
    """
    numbered = [_NUMBER.search(chunk, start, end) is not None for start, end in pieces]
    place = 0
    while place < len(pieces):
        first = next((i for i in range(place, min(place + _LEADING_PIECES + 1, len(pieces))) if numbered[i]), None)
        if first is None:
            yield *pieces[place], "word"
            place += 1
            continue
        last = first
        while last + 1 < len(pieces) and (
            numbered[last + 1] or pieces[last + 1][1] - pieces[last + 1][0] <= _SHORT_PIECE
        ):
            last += 1
        yield pieces[place][0], pieces[last][1], "code"
        place = last + 1
