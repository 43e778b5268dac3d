"""What taking Korean particles off is worth: how many of a question's words its own paragraph is found to hold.

No ranking is measured here: the embedded encoders read English.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from distill.collections.beir import read_beir
from students.korean import kiwi_stem, particle_stem
from students.terms import TermReader

COLLECTION = Path("../shared/data/korquad")
QUESTIONS = 2_000


def korean_terms(
    collection: Path = COLLECTION, split: str = "test", questions: int = QUESTIONS
) -> list[dict[str, Any]]:
    """Share of the questions' words found in their own paragraph, and in one drawn from the other articles.

    The words are the same for every way of comparing: those that the particle rules take for content. What is found in
    a paragraph of another article, which the question is not about, is what a way finds by chance.
    """
    missing = "kiwipiepy, the extra `korean`" if find_spec("kiwipiepy") is None else f"the collection {collection}"
    if find_spec("kiwipiepy") is None or not collection.is_dir():
        print(f"korean_terms is skipped: it needs {missing}", file=sys.stderr)
        return []
    loaded = read_beir(collection)
    chance = random.Random(0)
    qrels = loaded.split(split)
    pairs = []
    for query_id in chance.sample(sorted(qrels), min(questions, len(qrels))):
        own = next(iter(qrels[query_id]))
        # the id of a paragraph is that of its article, a hyphen and a number
        others = [doc_id for doc_id in loaded.documents if doc_id.split("-")[0] != own.split("-")[0]]
        pairs.append((loaded.query(query_id), loaded.text(own), loaded.text(chance.choice(others))))
    ways: dict[str, Callable[[str], str]] = {"words": str, "particles": particle_stem, "kiwi": kiwi_stem()}
    figures = []
    for name, stem in ways.items():
        own, other, words = _found(pairs, stem)
        against = f"{other:.3f} in a paragraph of another article; {words} words, {split} split, title and text"
        figures.append(_figure(f"korean_terms_{name}", own, against, len(pairs)))
    return figures


def _found(pairs: list[tuple[str, str, str]], stem: Callable[[str], str]) -> tuple[float, float, int]:
    """Shares of the questions' content words found in the first text and in the second, and how many words they are."""
    plain = TermReader("none")
    known: dict[str, str] = {}

    def stems(text: str) -> set[str]:
        forms = {term.form for term in plain.terms(text)}
        known.update((form, stem(form)) for form in forms if form not in known)
        return {known[form] for form in forms} - {""}

    own = other = words = 0
    for question, paragraph, foreign in pairs:
        content = [term.form for term in plain.terms(question) if particle_stem(term.form)]
        stems(question)
        here, there = stems(paragraph), stems(foreign)
        words += len(content)
        own += sum(known[form] in here for form in content)
        other += sum(known[form] in there for form in content)
    return own / words, other / words, words


def _figure(name: str, value: float, against: str, n: int) -> dict[str, Any]:
    return {"name": name, "value": value, "unit": "of the question's words", "against": against, "n": n}
