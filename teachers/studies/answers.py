"""Questions whose gold segment stands at a known place among distractors, and figures over what was answered."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from teachers.errors import TeacherError
from teachers.segments import Segment

Position = Literal["start", "middle", "end"]
POSITIONS: tuple[Position, ...] = get_args(Position)


@dataclass(frozen=True, slots=True)
class Haystack:
    """One question's context.

    Args:
        segments: gold and distractors, one a line.
        gold: place of the gold segment among them.
        tokens: of all segments.
    """

    segments: list[Segment]
    gold: int
    tokens: int


@dataclass(frozen=True, slots=True)
class Measured:
    """One question under one method.

    Args:
        length, position: of the context that the gold segment stands in.
        recall: 1 where the model was given the gold segment, else 0.
        exact, f1: of the answer, see `teachers.answering`.
        prompt_tokens: of the answering prompt.
        finding_seconds, answering_seconds: wall time.
        answer: what the model wrote.
    """

    query_id: str
    method: str
    length: int
    position: Position
    recall: float
    exact: float
    f1: float
    prompt_tokens: int
    finding_seconds: float
    answering_seconds: float
    answer: str


def haystack(
    gold: str, distractors: Sequence[str], length: int, position: Position, count: Callable[[str], int], seed: str
) -> Haystack:
    """The gold text among as many distractors, drawn by ``seed``, as ``length`` tokens hold.

    Args:
        gold: the text that answers.
        distractors: texts that do not; the gold text itself is passed over.
        length: tokens of the context, at most, the gold text's included.
        position: before all distractors, half-way between them, or behind them.
        count: tokens of a text.
        seed: the same one draws the same distractors in the same order, so that a longer context begins as a shorter.

    Raises:
        TeacherError: the distractors do not fill the context.
    """
    left = length - count(gold)
    chosen: list[str] = []
    order = sorted(set(distractors) - {gold})
    random.Random(seed).shuffle(order)
    for text in order:
        size = count(text)
        if size > left:
            break
        chosen.append(text)
        left -= size
    else:
        raise TeacherError(f"{len(order)} distractors do not fill a context of {length} tokens; give shorter ones")
    place = {"start": 0, "middle": len(chosen) // 2, "end": len(chosen)}[position]
    return Haystack(_placed([*chosen[:place], gold, *chosen[place:]]), place, length - left)


def cell(number: int, lengths: Sequence[int]) -> tuple[int, Position]:
    """Length and position of question ``number``: all pairs in turn, so that each gets as many questions."""
    return lengths[number % len(lengths)], POSITIONS[number // len(lengths) % len(POSITIONS)]


def mean(rows: Sequence[Measured], figure: str) -> float | None:
    """The mean of one figure, None over no row."""
    return sum(float(getattr(row, figure)) for row in rows) / len(rows) if rows else None


def _placed(texts: Sequence[str]) -> list[Segment]:
    """The texts as segments of one text that has them in a line each."""
    segments: list[Segment] = []
    at = 0
    for line, text in enumerate(texts, start=1):
        segments.append(Segment(text, at, at + len(text), line, line))
        at += len(text) + 1
    return segments
