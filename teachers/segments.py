"""Cuts a long text or a chat history into segments that a teacher can rank, each with its place in the text.

A teacher reads only the first words of a document, so no segment may be longer than what it reads: what is too long is
cut further, at sentences where there are some, then between words, and only then inside a run without spaces. How long
a text is, is said in two ways at once, white-space words and tokens: a page of Chinese is a single word.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Self

import regex
from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, PositiveInt, model_validator

from teachers.attention import Span
from teachers.chat_history import ChatHistory, Turn, read_chat
from teachers.evidence import sentences

TokenSpans = Callable[[str], Sequence[Span]]
"""Characters of each token of a text, in order."""

By = Literal["sentences", "tokens", "paragraphs", "turns"]

_BLANK_LINE = re.compile(r"\n\s*\n")
_LONE_SURROGATE = re.compile(r"[\ud800-\udfff]")
# Room for scripts that a tokenizer spells in bytes; English takes 1.3 tokens a word.
_TOKENS_PER_WORD = 4


class SegmentSettings(BaseModel):
    """How a text is cut."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    by: By = Field("sentences", description="what makes a segment")
    max_words: PositiveInt = Field(100, description="white-space words of a segment, at most")
    max_tokens: PositiveInt | None = Field(
        None, description=f"tokens of a segment, at most; none: {_TOKENS_PER_WORD} for each of max_words"
    )
    pack_words: PositiveInt | None = Field(
        None, description="neighbouring sentences of a paragraph are put together up to so many words; none: not at all"
    )
    segment_tokens: PositiveInt = Field(64, description="tokens of a segment by tokens")
    overlap_tokens: NonNegativeInt = Field(0, description="tokens that neighbouring segments by tokens may share")

    @model_validator(mode="after")
    def _options_fit(self) -> Self:
        if self.pack_words is not None and self.by != "sentences":
            raise ValueError(f"pack_words puts sentences together, but segments are cut by {self.by}")
        if self.overlap_tokens >= self.segment_tokens:
            raise ValueError(
                f"overlap_tokens ({self.overlap_tokens}) must be below segment_tokens ({self.segment_tokens})"
            )
        return self

    @property
    def longest(self) -> Limit:
        """What no segment may exceed."""
        return Limit(self.max_words, self.max_tokens or _TOKENS_PER_WORD * self.max_words)


@dataclass(frozen=True, slots=True)
class Limit:
    """Words and tokens that a segment may have."""

    words: int
    tokens: int


@dataclass(frozen=True, slots=True)
class Segment:
    """A piece of a text.

    Args:
        text: exactly the characters ``[start, end)`` of the text that was cut.
        line, last_line: lines of the text that it begins and ends in, from 1.
        turn: of a chat history, the turn that it stands in.
    """

    text: str
    start: int
    end: int
    line: int
    last_line: int
    turn: Turn | None = None


def segment(source: str | ChatHistory, settings: SegmentSettings, tokens: TokenSpans) -> list[Segment]:
    """The segments of a text, in its order; none where it holds nothing but white space.

    Args:
        source: a text, or a chat history, whose turns no segment crosses; by turns, a text is read as one.
        settings: how to cut.
        tokens: the tokenizer that counts.

    Raises:
        TeacherError: by turns, and the text is no chat history.
    """
    chat = source if isinstance(source, ChatHistory) else read_chat(source) if settings.by == "turns" else None
    text = chat.text if chat else str(source)
    cutter = _Cutter(text, tokens)
    breaks = [place for place, sign in enumerate(text) if sign == "\n"]

    def placed(span: Span, turn: Turn | None) -> Segment:
        start, end = span
        lines = bisect_left(breaks, start) + 1, bisect_left(breaks, end - 1) + 1
        return Segment(text[start:end], start, end, *lines, turn)

    if chat is None:
        return [placed(span, None) for span in cutter.cut((0, len(text)), settings)]
    return [placed(span, turn) for turn in chat.turns for span in cutter.cut((turn.start, turn.end), settings)]


def without_lone_surrogates(text: str) -> str:
    """The text with U+FFFD for each half of a character, which no tokenizer takes; every other place is as it was."""
    return _LONE_SURROGATE.sub("\ufffd", text)


class _Cutter:
    """Cuts spans of one text."""

    def __init__(self, text: str, tokens: TokenSpans) -> None:
        self._text = without_lone_surrogates(text)
        # a token belongs to the word that its last character stands in: many begin with the space before it
        self._tokens = [
            end - 1 for start, end in tokens(self._text) if end > start and not self._text[end - 1].isspace()
        ]

    def cut(self, span: Span, settings: SegmentSettings) -> list[Span]:
        """Spans of the segments of ``span``."""
        longest = settings.longest
        if settings.by == "tokens":
            size = Limit(longest.words, min(longest.tokens, settings.segment_tokens))
            return list(self._windows(self._atoms(span, size.tokens), size, settings.overlap_tokens))
        if settings.by == "sentences":
            pieces = self._sentences(span, longest)
            if settings.pack_words is None:
                return pieces
            words = min(settings.pack_words, longest.words)
            return self._pack(pieces, Limit(words, min(longest.tokens, _TOKENS_PER_WORD * words)))
        blocks = self._paragraphs(span) if settings.by == "paragraphs" else [self._stripped(*span)]
        return [piece for block in blocks if block[0] < block[1] for piece in self._block(block, longest)]

    def _block(self, span: Span, limit: Limit) -> list[Span]:
        """A paragraph or a turn, whole where it fits, else as many whole sentences together as fit."""
        return [span] if self._fits(*span, limit) else self._pack(self._sentences(span, limit), limit)

    def _sentences(self, span: Span, limit: Limit) -> list[Span]:
        inside = self._text[slice(*span)]
        found = [(span[0] + start, span[0] + end) for start, end in sentences(inside)]
        return [piece for sentence in found for piece in self._parts(sentence, limit)]

    def _parts(self, span: Span, limit: Limit) -> list[Span]:
        """The span in as few parts as fit, none of them a crumb where they can be of one size."""
        if self._fits(*span, limit):
            return [span]
        atoms = self._atoms(span, limit.tokens)
        parts = list(self._windows(atoms, limit))
        even = Limit(-(-self._words(*span) // len(parts)), limit.tokens)
        # tokens are even only where words cannot be: in a run without spaces
        if even.words < 2:
            even = Limit(limit.words, -(-self._count(*span) // len(parts)) + 1)
        level = list(self._windows(atoms, Limit(min(even.words, limit.words), min(even.tokens, limit.tokens))))
        return level if len(level) == len(parts) else parts

    def _pack(self, spans: Sequence[Span], limit: Limit) -> list[Span]:
        """Neighbours put together while they fit and no blank line stands between them."""
        packed: list[Span] = []
        for start, end in spans:
            if packed and self._fits(packed[-1][0], end, limit) and not self._apart(packed[-1][1], start):
                packed[-1] = (packed[-1][0], end)
            else:
                packed.append((start, end))
        return packed

    def _windows(self, atoms: Sequence[Span], limit: Limit, overlap: int = 0) -> Iterator[Span]:
        """As many atoms together as fit, each window beginning at most ``overlap`` tokens before the last one's end."""
        first = 0
        while first < len(atoms):
            last = first + 1
            while last < len(atoms) and self._fits(atoms[first][0], atoms[last][1], limit):
                last += 1
            end = atoms[last - 1][1]
            yield atoms[first][0], end
            if last == len(atoms):
                return
            first += 1
            while first < last and self._count(atoms[first][0], end) > overlap:
                first += 1

    def _atoms(self, span: Span, room: int) -> list[Span]:
        """What is never cut: words, and single characters of a word that alone takes more than ``room`` tokens."""
        atoms: list[Span] = []
        for word in re.compile(r"\S+").finditer(self._text, *span):
            if self._count(*word.span()) <= room:
                atoms.append(word.span())
            else:
                # as a reader sees them, with their accents and joiners
                atoms += [sign.span() for sign in regex.compile(r"\X").finditer(self._text, *word.span())]
        return atoms

    def _paragraphs(self, span: Span) -> Iterator[Span]:
        start = span[0]
        for gap in _BLANK_LINE.finditer(self._text, *span):
            yield self._stripped(start, gap.start())
            start = gap.end()
        yield self._stripped(start, span[1])

    def _stripped(self, start: int, end: int) -> Span:
        inside = self._text[start:end]
        start += len(inside) - len(inside.lstrip())
        return start, start + len(inside.strip())

    def _apart(self, end: int, start: int) -> bool:
        return _BLANK_LINE.search(self._text, end, start) is not None

    def _fits(self, start: int, end: int, limit: Limit) -> bool:
        return self._count(start, end) <= limit.tokens and self._words(start, end) <= limit.words

    def _words(self, start: int, end: int) -> int:
        return len(self._text[start:end].split())

    def _count(self, start: int, end: int) -> int:
        """Tokens that end inside."""
        return bisect_right(self._tokens, end - 1) - bisect_left(self._tokens, start)
