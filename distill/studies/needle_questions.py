"""Needles out of judged collections: a question, the text that answers it, and texts of other questions as the hay."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from distill.collections.collection import DataError
from distill.studies.material import JudgedCollection

if TYPE_CHECKING:
    from teachers.needles import NeedleBuilder, NeedlePrompt

# A shorter text is a heading or a fragment, which says too little to be told from others.
_LEAST_WORDS = 5
# Of these a context of 8,000 tokens can be filled; all of a collection's would only be shuffled and thrown away.
_HAYSTACK_TEXTS = 1_000


@dataclass(frozen=True, slots=True)
class NeedleQuestion:
    """One question with its needle, and texts, in a drawn order, that are no candidates of the question."""

    query_id: str
    question: str
    needle: str
    haystack: list[str]


@dataclass(frozen=True, slots=True)
class NeedleGrid:
    """How often and how long each question is asked.

    Args:
        lengths: most tokens of the contexts.
        depths: share of the haystack before the needle, in [0, 1].
        most_words: longer texts are neither needle nor hay.
    """

    lengths: tuple[int, ...]
    depths: tuple[float, ...]
    most_words: int


def draw_questions(entry: JudgedCollection, count: int, most_words: int, seed: int = 0) -> list[NeedleQuestion]:
    """``count`` questions in a drawn order: a larger count begins with those of a smaller one.

    Args:
        entry: judged lists; a needle is the question's first relevant candidate of fitting length.
        count: questions.
        most_words: white-space words that a text may have.
        seed: of the draw.

    Raises:
        DataError: fewer questions have a needle of this length.
    """
    hay = _fitting({doc_id for docs in entry.candidates.values() for doc_id in docs}, entry, most_words)
    order = sorted(entry.candidates)
    random.Random(seed).shuffle(order)
    found = []
    for query_id in order:
        judged = entry.qrels[query_id]
        relevant = [doc_id for doc_id in entry.candidates[query_id] if judged.get(doc_id, 0) > 0 and doc_id in hay]
        if not relevant:
            continue
        needle = hay[relevant[0]]
        own = entry.candidates[query_id].keys() | judged.keys()
        texts = sorted({text for doc_id, text in hay.items() if doc_id not in own and text != needle})
        random.Random(f"{seed} {query_id}").shuffle(texts)
        question = entry.collection.query(query_id)
        found.append(NeedleQuestion(query_id, question, needle, texts[:_HAYSTACK_TEXTS]))
        if len(found) == count:
            return found
    raise DataError(
        f"{entry.name}: {len(found)} questions have a relevant text of {_LEAST_WORDS} to {most_words} words, and "
        f"{count} are asked for; allow longer texts or ask for fewer needles"
    )


def build_prompts(
    builder: NeedleBuilder, questions: Sequence[NeedleQuestion], grid: NeedleGrid
) -> list[tuple[NeedleQuestion, int, float, NeedlePrompt]]:
    """(question, length, depth, prompt) of every question at every length and depth.

    Raises:
        TeacherError: a length that the haystack cannot fill, or that a needle does not fit into.
    """
    return [
        (entry, length, depth, builder.build(entry.question, entry.needle, entry.haystack, length, depth))
        for entry in questions
        for length in grid.lengths
        for depth in grid.depths
    ]


def _fitting(doc_ids: set[str], entry: JudgedCollection, most_words: int) -> dict[str, str]:
    """Text, its words joined by single spaces, of the documents whose number of words fits."""
    words = {doc_id: entry.collection.text(doc_id).split() for doc_id in sorted(doc_ids)}
    return {doc_id: " ".join(own) for doc_id, own in words.items() if _LEAST_WORDS <= len(own) <= most_words}
