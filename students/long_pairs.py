"""Shortens long pairs before a tokenizer cuts them, as it builds all windows of the query with all of the document.

Free of torch and transformers: a server that has neither cuts by this module too.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

from tokenizers import Encoding

LONG = 2
"""Characters of a query for each token of a pair; one that has no more fills few windows, and its pairs stay whole."""


class Parts(NamedTuple):
    """A text's size in tokens, and as much of it as its first two and its first three windows hold.

    A part is None where the tokenizer reads it otherwise than the whole.
    """

    tokens: int
    two: str | None
    three: str | None


@dataclass(frozen=True)
class Windows:
    """How a tokenizer cuts one text alone.

    Args:
        encode: a text in windows of `max_tokens` tokens, none of them special: the first, with the others as overflow.
        max_tokens: to which the tokenizer cuts a pair.
        side: on which it cuts; "left" keeps the texts' ends.
    """

    encode: Callable[[str], Encoding]
    max_tokens: int
    side: str

    def parts(self, text: str) -> Parts:
        """See `Parts`."""
        windows = self._of(text)
        return Parts(_tokens(windows), self._first(2, text, windows), self._first(3, text, windows))

    def _of(self, text: str) -> list[Encoding]:
        encoding = self.encode(text)
        return [encoding, *encoding.overflowing]

    def _first(self, count: int, text: str, windows: list[Encoding]) -> str | None:
        if len(windows) <= count:
            return text
        offsets = windows[count - 1].offsets
        part = text[offsets[0][0] :] if self.side == "left" else text[: offsets[-1][1]]
        # a few tokens may turn out otherwise where a text ends early; and a tokenizer that drops the characters it does
        # not know counts its offsets without them
        read = self._of(part)
        sized = abs(_tokens(read) - count * self.max_tokens) < self.max_tokens / 2
        return part if sized and read[0].ids == windows[0].ids else None


def shortened(queries: Sequence[str], documents: Sequence[str], windows: Windows) -> tuple[list[str], list[str]]:
    """The pairs, those of long queries without what lies too far behind the tokenizer's cut to change a token of it.

    What the strategy `longest_first` keeps depends on the first `max_tokens` tokens of both texts, and on which of the
    two has more: that one gets the odd token. So the longer text keeps three windows and the other two.

    Args:
        queries: one for each document.
        documents: texts.
        windows: of the tokenizer.
    """
    parts = cache(windows.parts)
    most = windows.max_tokens
    pairs = [
        (query, document)
        if len(query) <= LONG * most
        else _shorter((query, document), parts(query), parts(document), most)
        for query, document in zip(queries, documents, strict=True)
    ]
    return [query for query, _ in pairs], [document for _, document in pairs]


def shortened_for(tokenizer: Any, queries: list[str], documents: list[str]) -> tuple[list[str], list[str]]:
    """The pairs `shortened` for `tokenizer(queries, documents, truncation=True)` of transformers.

    A tokenizer without Rust builds no windows, and one without a length cuts nothing.
    """
    if not tokenizer.is_fast:
        return queries, documents

    def encode(text: str) -> Encoding:
        # with the truncation of the pairs: a tokenizer that another thread reads refuses to be changed
        return tokenizer(text, truncation=True, add_special_tokens=False).encodings[0]

    return shortened(queries, documents, Windows(encode, tokenizer.model_max_length, tokenizer.truncation_side))


def _shorter(pair: tuple[str, str], query: Parts, document: Parts, max_tokens: int) -> tuple[str, str]:
    longer_query = query.tokens > document.tokens
    kept = (query.three, document.two) if longer_query else (query.two, document.three)
    # with one text whole and the other cut, the longer one might not be the longer one any more
    if max(query.tokens, document.tokens) <= 3 * max_tokens or kept[0] is None or kept[1] is None:
        return pair
    return kept[0], kept[1]


def _tokens(windows: Sequence[Encoding]) -> int:
    return sum(map(len, windows))
