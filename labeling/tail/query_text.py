"""What makes two logged queries one, what a reader sees of them, and which words they are about."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from functools import lru_cache

import Stemmer
from bm25s import stopwords

# Control characters that are not white space; the one that comes up in logs is NUL.
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f]")
# Characters that show nothing: Unicode's Default_Ignorable_Code_Point with all of category Cf, such as direction marks,
# joiners, soft hyphens, byte order marks and tags.
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f"
    "\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U000110bd\U000110cd"
    "\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
_SURROGATE = re.compile("[\ud800-\udfff]")
# Words end at white space and at these; what is left keeps C++, C#, 1.5 and node.js apart from C, 15 and node.
_WORD = re.compile(r"[^\s\-/|,;:!?()\[\]{}\"“”„«»…。、，！？]+")
_NEGATIONS = {"no", "not"}
# Stemming costs more than looking up; this many words take some 30 MiB.
_WORDS_REMEMBERED = 100_000

_STOP_WORDS: dict[str, Sequence[str]] = {
    "danish": stopwords.STOPWORDS_DANISH,
    "dutch": stopwords.STOPWORDS_DUTCH,
    "english": stopwords.STOPWORDS_EN,
    "french": stopwords.STOPWORDS_FRENCH,
    "german": stopwords.STOPWORDS_GERMAN,
    "italian": stopwords.STOPWORDS_ITALIAN,
    "norwegian": stopwords.STOPWORDS_NORWEGIAN,
    "portuguese": stopwords.STOPWORDS_PORTUGUESE,
    "russian": stopwords.STOPWORDS_RUSSIAN,
    "spanish": stopwords.STOPWORDS_SPANISH,
    "swedish": stopwords.STOPWORDS_SWEDISH,
    "turkish": stopwords.STOPWORDS_TURKISH,
}

LANGUAGES = ("none", *Stemmer.algorithms())
"""Languages that `content_words_in` knows; with "none" words are taken as they are."""


def storable(text: str) -> str:
    """The text with U+FFFD for each lone surrogate, which JSON can name but no file or database can hold."""
    return text if text.isascii() else _SURROGATE.sub("\ufffd", text)


def merge_key(text: str) -> str:
    """The form in which queries are one query; empty where nothing is there to be read.

    Compatibility forms are made one (NFKC), so are upper and lower case (case folding), and runs of white space become
    one space. Control characters and characters that show nothing are dropped. A key's key is the key itself.
    """
    if text.isascii():
        return " ".join(_CONTROL.sub("", text).lower().split())
    text = unicodedata.normalize("NFKC", _INVISIBLE.sub("", storable(text))).casefold()
    return " ".join(_CONTROL.sub("", _INVISIBLE.sub("", unicodedata.normalize("NFKC", text))).split())


def shown_text(text: str) -> str:
    """The query as it was typed, with white space made single and control characters dropped."""
    return " ".join(_CONTROL.sub("", storable(text)).split())


def content_words_in(language: str) -> Callable[[str], list[str]]:
    """A function that gives the stems of a key's words, each once and sorted, without stop words.

    Words that deny are kept; a query of nothing but stop words keeps them all, so that it stays apart from others.

    Raises:
        ValueError: ``language`` is not one of LANGUAGES.
    """
    if language not in LANGUAGES:
        raise ValueError(f"no stemmer for {language!r}; accepted are {', '.join(LANGUAGES)}")
    passed_over = frozenset(_STOP_WORDS.get(language, ())) - _NEGATIONS
    stemmer = None if language == "none" else Stemmer.Stemmer(language)

    @lru_cache(maxsize=_WORDS_REMEMBERED)
    def stem(word: str) -> tuple[str, bool]:
        """The word's stem, empty where the word is punctuation, and whether it is passed over."""
        bare = word.strip("'’‘`´.").replace("'", "").replace("’", "")
        return stemmer.stemWord(bare) if stemmer else bare, bare in passed_over or not bare

    def content_words(key: str) -> list[str]:
        stems = [stem(word) for word in _WORD.findall(key)]
        meant = {word for word, is_passed_over in stems if not is_passed_over}
        return sorted(meant or {word for word, _ in stems if word} or {key})

    return content_words
