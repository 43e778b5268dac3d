"""The sentence of a document that the heads looked at most: a reason for its place that costs no further pass."""

from __future__ import annotations

from collections.abc import Sequence

from sentencex import get_sentence_boundaries
from torch import Tensor

from teachers.attention import Span

# Sentences are found by punctuation, white space and lists of abbreviations; the rules for English also know the full
# stops of Chinese, Japanese and Korean.
_LANGUAGE = "en"
_CLOSING = frozenset("\"'\u2019\u201d\u300d\u300f")


def evidence_span(document: str, tokens: Sequence[Span], attention: Tensor) -> Span | None:
    """Characters of the sentence that holds the most attention, white space around it left out.

    Args:
        document: the text as the caller gave it.
        tokens: characters of each token that was read; it belongs to the sentence in which its last one stands, as
            many begin with the space before a word.
        attention: to each token, (tokens,); what is negative counts as none, as it shows no interest of the query's.

    Returns:
        Half-open offsets into ``document``, or None where no token draws attention.
    """
    lasts = [end - 1 for _, end in tokens]
    seen = attention.clamp_min(0).tolist()
    best, most = None, 0.0
    for span in sentences(document):
        mass = sum(weight for last, weight in zip(lasts, seen, strict=True) if span[0] <= last < span[1])
        if mass > most:
            best, most = span, mass
    return best


def sentences(text: str) -> list[Span]:
    """Characters of each sentence, half-open, white space around it left out.

    Korean writes "he said" right behind the closing quote (라고, 고), which does not begin a sentence.
    """
    spans: list[Span] = []
    for found in get_sentence_boundaries(_LANGUAGE, text):
        raw = text[found["start_index"] : found["end_index"]]
        if not raw.strip():
            continue
        start = found["start_index"] + len(raw) - len(raw.lstrip())
        end = start + len(raw.strip())
        if spans and start == spans[-1][1] and text[start - 1] in _CLOSING and _is_hangul(text[start]):
            spans[-1] = (spans[-1][0], end)
        else:
            spans.append((start, end))
    return spans


def _is_hangul(character: str) -> bool:
    return "\uac00" <= character <= "\ud7a3"
