"""`distill teacher retrieve`: the segments of one long text that a teacher's heads look at for a question."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Console
from rich.text import Text

from distill.collections.collection import DataError
from distill.commands.terminal import refuse, visible

if TYPE_CHECKING:
    from teachers.chat_history import ChatHistory
    from teachers.retrieval import Found
    from teachers.segments import Segment, SegmentSettings


def retrieve(
    text: Annotated[str, typer.Argument(help="UTF-8 text file or, by turns, a chat history; - for standard input")],
    question: Annotated[str, typer.Argument(help="what is asked of it")],
    teacher: Annotated[Path, typer.Option(help="folder of a fitted or adopted teacher")],
    by: Annotated[
        Literal["sentences", "tokens", "paragraphs", "turns"],
        typer.Option(help="what makes a segment; turns: of JSON messages, or of lines that begin with User: and such"),
    ] = "sentences",
    k: Annotated[int, typer.Option("--k", help="segments shown")] = 5,
    pack_words: Annotated[
        int | None, typer.Option(min=1, help="put neighbouring sentences of a paragraph together up to so many words")
    ] = None,
    tokens: Annotated[int, typer.Option(min=1, help="tokens of a segment by tokens")] = 64,
    overlap: Annotated[int, typer.Option(min=0, help="tokens that neighbouring segments by tokens may share")] = 0,
    method: Annotated[
        Literal["all_heads", "static_heads", "static_weights", "routehead"] | None,
        typer.Option(help="how heads are used; default: RouteHead, or those adopted"),
    ] = None,
    window_tokens: Annotated[int, typer.Option(min=1, help="longest prompt read at once, of a longer text")] = 2048,
    window_overlap: Annotated[int, typer.Option(min=1, help="segments that every window begins with")] = 8,
    neighbours: Annotated[int, typer.Option(min=0, help="segments shown before and after each")] = 0,
    text_order: Annotated[bool, typer.Option("--text-order", help="in the order of the text, not best first")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object a segment, a line each")] = False,
) -> None:
    """Find the segments of a long text that answer a question; each comes with its place."""
    from distill.progress import progress_bar
    from distill.stages.inspection import open_heads
    from distill.stages.teacher import read_section
    from teachers.retrieval import SegmentRetriever

    settings = _settings(by, pack_words, tokens, overlap)
    source = _source(text, by)
    refuse(not question.strip(), "the question is empty")
    refuse(k < 1, f"--k is {k}; at least 1 segment can be shown")
    read_section(teacher)
    errors = Console(stderr=True)
    _, opened = open_heads(teacher, method)
    retriever = SegmentRetriever(opened, settings, window_tokens, window_overlap)
    begun = time.perf_counter()
    segments = retriever.segments(source)
    with progress_bar(errors, "reading", "windows") as advance:
        found = retriever.retrieve(segments, question, k, text_order, advance)
    if as_json:
        joined = not isinstance(source, str) and source.joined
        for one in found:
            print(json.dumps(_row(one, joined), ensure_ascii=True))
        return
    _show(Console(), found, segments, neighbours, not isinstance(source, str) and source.joined)
    seconds = time.perf_counter() - begun
    errors.print(f"{len(found)} of {len(segments)} segments by {by}, {seconds:.1f} s", highlight=False, soft_wrap=True)


def _settings(by: Any, pack_words: int | None, tokens: int, overlap: int) -> SegmentSettings:
    from pydantic import ValidationError

    from teachers.segments import SegmentSettings

    try:
        return SegmentSettings(
            by=by, max_words=sys.maxsize, pack_words=pack_words, segment_tokens=tokens, overlap_tokens=overlap
        )
    except ValidationError as error:
        raise DataError(error.errors()[0]["msg"].removeprefix("Value error, ")) from None


def _source(name: str, by: str) -> str | ChatHistory:
    """The text, or the turns of the chat history, that ``name`` holds."""
    from teachers.chat_history import read_chat
    from teachers.errors import TeacherError

    try:
        content = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
        # a mark of the byte order, which some editors write, is no character of the text
        text = content.decode("utf-8-sig")
    except OSError as error:
        raise DataError(f"{name}: {error.strerror or error}") from None
    except UnicodeDecodeError as error:
        raise DataError(f"{name}: not UTF-8 at byte {error.start} ({error.reason}); UTF-8 text is accepted") from None
    refuse(not text.strip(), f"{name}: no text in it")
    if by != "turns":
        return text
    try:
        return read_chat(text)
    except TeacherError as error:
        raise DataError(f"{name}: {error}") from None


def _place(segment: Segment, joined: bool) -> dict[str, Any]:
    """Where it stands: in the text, or in its message where the text is none of a file's."""
    turn = {"turn": segment.turn.number, "role": segment.turn.role} if segment.turn else {}
    shift = segment.turn.start if segment.turn and joined else 0
    lines = {} if joined else {"line": segment.line, "last_line": segment.last_line}
    return {**turn, **lines, "start": segment.start - shift, "end": segment.end - shift}


def _row(found: Found, joined: bool) -> dict[str, Any]:
    repeats = {"repeats": [_place(other, joined) for other in found.repeats]} if found.repeats else {}
    told = {"rank": found.rank, "score": found.score, "missing": found.missing}
    return {**told, **_place(found.segment, joined), **repeats, "text": found.segment.text}


def _show(console: Console, found: Sequence[Found], segments: Sequence[Segment], around: int, joined: bool) -> None:
    for one in found:
        notes = [f"said {len(one.repeats) + 1} times"] if one.repeats else []
        notes += ["no more attention than without a question"] if one.missing else []
        head = f"{one.rank:>3}  {one.score:+.3f}  {', '.join([_told(one.segment, joined), *notes])}"
        console.print(Text(visible(head), style="bold"), soft_wrap=True)
        for place in range(max(0, one.place - around), min(len(segments), one.place + around + 1)):
            text = Text(visible(segments[place].text), style="" if place == one.place else "dim")
            console.print(Text("     ") + text, soft_wrap=True)


def _told(segment: Segment, joined: bool) -> str:
    place = _place(segment, joined)
    turn = [f"turn {place['turn']} ({place['role']})"] if "turn" in place else []
    lines = []
    if not joined:
        more = segment.last_line > segment.line
        lines = [f"lines {segment.line} to {segment.last_line}" if more else f"line {segment.line}"]
    return ", ".join([*turn, *lines, f"characters {place['start']} to {place['end']}"])
