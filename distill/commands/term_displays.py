"""How `distill terms` shows a pair; texts are data, and cannot act on the terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from distill.commands.terminal import visible

if TYPE_CHECKING:
    from tokenizers import Encoding

    from students.term_matching import Match

_STYLES = {"same id": "bold green", "word": "bold cyan", "stem": "bold yellow"}
_MEANINGS = {"same id": "the same token ids", "word": "the same normal form", "stem": "the same stem"}

_Marks = Sequence[tuple[int, int, str]]


def show_terms(console: Console, encoding: Encoding, query: str, document: str, matches: Sequence[Match]) -> None:
    """The pair as far as the encoder reads it, selected tokens marked, and a row for each word that matches.

    In colours where the console has them, else in brackets.
    """
    coloured = console.color_system is not None and not console.no_color
    # a word of the query has the colour of its first match
    asked: dict[tuple[int, int], str] = {
        (match.query_start, match.query_end): match.reason for match in reversed(matches)
    }
    answered = [(*_read_span(match, encoding), match.reason) for match in matches]
    marks: dict[str, _Marks] = {
        "query": sorted((*span, reason) for span, reason in asked.items()),
        "document": answered,
    }
    for part, (name, text) in enumerate((("query", query), ("document", document))):
        line = Text(f"{name:<10}")
        line.append_text(_marked(text, _read_end(encoding, part), marks[name], coloured))
        console.print(line, soft_wrap=True, highlight=False)
    console.print(_legend(coloured), soft_wrap=True, highlight=False)
    if matches:
        console.print(_table(encoding, query, document, matches))
    selected = len({place for match in matches for place in match.positions})
    count = encoding.sequence_ids.count(1)
    console.print(f"{selected} of {count} document tokens selected", markup=False, highlight=False)


def _marked(text: str, end: int, marks: _Marks, coloured: bool) -> Text:
    """The text up to ``end`` with its marked spans; what is cut off is counted only."""
    line, place = Text(), 0
    for start, stop, reason in marks:
        line.append(visible(text[place:start]))
        word = visible(text[start:stop])
        line.append(word if coloured else f"[{word}]", style=_STYLES[reason] if coloured else None)
        place = stop
    line.append(visible(text[place:end]))
    left = len(text) - end
    if text[end:].strip():
        line.append(f" ... ({left} characters cut off)", style="dim" if coloured else None)
    return line


def _legend(coloured: bool) -> Text:
    line = Text(f"{'selected':<10}")
    for number, (reason, meaning) in enumerate(_MEANINGS.items()):
        line.append("; " if number else "")
        line.append(reason, style=_STYLES[reason] if coloured else None)
        line.append(f": {meaning} as a word of the query")
    return line


def _table(encoding: Encoding, query: str, document: str, matches: Sequence[Match]) -> Table:
    rows = Counter(
        (
            document[match.start : match.end],
            match.reason,
            query[match.query_start : match.query_end],
            " ".join(encoding.tokens[place] for place in match.positions),
        )
        for match in matches
    )
    table = Table()
    for column in ("document", "why", "query", "tokens"):
        table.add_column(column, overflow="fold")
    table.add_column("times", justify="right")
    for (word, reason, source, tokens), times in rows.items():
        cells = [Text(visible(cell)) for cell in (word, reason, source, tokens)]
        cells[1].stylize(_STYLES[reason])
        table.add_row(*cells, str(times))
    return table


def _read_span(match: Match, encoding: Encoding) -> tuple[int, int]:
    """The characters of a match that its tokens stand for: less than the word where the pair was cut within it."""
    offsets = [encoding.offsets[place] for place in match.positions]
    return max(match.start, offsets[0][0]), min(match.end, offsets[-1][1])


def _read_end(encoding: Encoding, part: int) -> int:
    """How many of a text's characters the encoder reads."""
    ends = [end for of, (_, end) in zip(encoding.sequence_ids, encoding.offsets, strict=True) if of == part]
    return ends[-1] if ends else 0
