"""How many lists and tokens a recipe means, from its limits and, where its collection is there, from its files."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from distill.collections.beir import packed_or_plain
from distill.collections.collection import DataError
from distill.collections.files import numbered_lines
from distill.collections.trec import read_qrels, read_run
from distill.recipe.settings import Recipe
from distill.recipe.sources import BeirCollection, DocstringCollection, LogCollection

# docs/teacher.md: 20 documents of 40 words are 1,382 tokens of SmolLM2, 20 of 100 words 3,193
TOKENS_PER_WORD = 1.6
# not measured: a Korean word is several pieces of a multilingual vocabulary
TOKENS_PER_KOREAN_WORD = 3.0
TOKENS_PER_DOCUMENT = 4
TOKENS_OF_FRAME = 60
QUERY_WORDS = 8
_WORDS_WITHOUT_TEACHER = 100
_SAMPLE = 1_000
_RUN_LINES = 100_000


@dataclass(frozen=True, slots=True)
class Workload:
    """What a recipe asks for.

    Attributes:
        fit, label, dev, test: queries of each role; None where only the run will tell.
        warm_start: queries that a first training may take; likewise.
        words: of a document that are read, on average or at most.
        tokens_per_word: assumed.
        counted: whether the figures come from the collection's files; else they are the recipe's limits.
        lists: documents of each list of the user's run, or of its first ones; none where BM25 finds the candidates.
    """

    fit: int | None
    label: int | None
    dev: int | None
    test: int | None
    warm_start: int | None
    words: float
    tokens_per_word: float
    counted: bool
    lists: tuple[int, ...] = ()

    def documents(self, most: int) -> float:
        """Documents of a list, the mean, where ``most`` are taken; BM25's lists are expected to be that long."""
        return sum(min(most, count) for count in self.lists) / len(self.lists) if self.lists else most

    def list_tokens(self, candidates: float) -> float:
        """Tokens of a teacher's prompt of so many documents."""
        each = self.words * self.tokens_per_word + TOKENS_PER_DOCUMENT
        return TOKENS_OF_FRAME + 2 * QUERY_WORDS * self.tokens_per_word + candidates * each

    def pair_tokens(self, max_tokens: int) -> float:
        """Tokens of a student's pair."""
        return min(max_tokens, (self.words + QUERY_WORDS) * self.tokens_per_word + TOKENS_PER_DOCUMENT)


def workload(recipe: Recipe) -> Workload:
    """The lists and words that ``recipe`` means.

    Raises:
        DataError: a file of the collection, or the run, cannot be read.
    """
    run = recipe.first_stage.run
    found = _workload(recipe)
    return found if run is None or not run.is_file() else replace(found, lists=_list_sizes(run))


def _workload(recipe: Recipe) -> Workload:
    korean = (recipe.first_stage.bm25.language or "").startswith("korean")
    rate = TOKENS_PER_KOREAN_WORD if korean else TOKENS_PER_WORD
    most = recipe.teacher.prompt.max_document_words if recipe.teacher else _WORDS_WITHOUT_TEACHER
    section, roles = recipe.collection, recipe.queries
    if isinstance(section, DocstringCollection):
        fit, label = _roles(recipe, section.train, section.unjudged)
        dev, test = _held_out(recipe, _limited(section.dev, roles.dev_limit), _limited(section.test, roles.test_limit))
        free = section.train + section.unjudged
        return Workload(fit, label, dev, test, free, min(section.document_words, most), rate, False)
    if isinstance(section, BeirCollection) and section.path.is_dir():
        return _counted(recipe, section.path, most, rate)
    dev, test = _held_out(recipe, roles.dev_limit, roles.test_limit)
    words: float = most
    if isinstance(section, LogCollection) and section.corpus.exists():
        words = _mean_words(_corpus(section.corpus), most)
    fitted_on = roles.fit_limit if _is_fitted(recipe) else 0
    return Workload(fitted_on, roles.label_limit, dev, test, None, words, rate, False)


def _counted(recipe: Recipe, folder: Path, most: int, rate: float) -> Workload:
    roles = recipe.queries
    judged = {path.stem: set(read_qrels(path)) for path in sorted((folder / "qrels").glob("*.tsv"))}
    everyone = sum(1 for _ in numbered_lines(packed_or_plain(folder, "queries.jsonl")))
    unjudged = everyone - len(set().union(*judged.values()))
    in_dev = _limited(len(judged.get(roles.dev_split or "", ())), roles.dev_limit)
    in_test = len(judged.get(roles.test_split, ()))
    dev, test = _held_out(recipe, in_dev, _limited(in_test, roles.test_limit))
    free = everyone - (in_dev + in_test if recipe.held_out is None else recipe.held_out.dev + recipe.held_out.test)
    if recipe.held_out is not None:
        unjudged = max(0, unjudged - recipe.held_out.dev - recipe.held_out.test)
    judging = len(judged.get(roles.fit_split, ()))
    if _is_fitted(recipe) and recipe.taught.taught_by == "judgments" and not judging:
        raise DataError(f"{folder}: no judged query in the split {roles.fit_split!r} that is to fit the teacher")
    fit, label = _roles(recipe, judging, unjudged)
    return Workload(fit, label, dev, test, free, _mean_words(_corpus(folder), most), rate, True)


def _held_out(recipe: Recipe, dev: int | None, test: int | None) -> tuple[int | None, int | None]:
    """Queries to choose checkpoints by and to measure on: those held out of a log, or else those given."""
    held_out = recipe.held_out
    return (dev, test) if held_out is None else (held_out.dev, held_out.test)


def _is_fitted(recipe: Recipe) -> bool:
    return recipe.teacher is not None and recipe.teacher.taught_by != "nobody"


def _roles(recipe: Recipe, judged: int, unjudged: int) -> tuple[int, int]:
    """Queries to fit and to label, of so many in the fitting split and so many without judgments."""
    roles = recipe.queries
    fit = _limited(round(judged * roles.fit_share), roles.fit_limit)
    fit = fit if _is_fitted(recipe) else 0
    label = {"judged": judged - fit, "unjudged": unjudged, "both": judged - fit + unjudged}[roles.label_from]
    tail = roles.tail.sample if roles.tail else None
    return fit, _limited(_limited(label, tail), roles.label_limit)


def _limited(count: int, limit: int | None) -> int:
    return count if limit is None else min(count, limit)


def _list_sizes(run: Path) -> tuple[int, ...]:
    """Documents of each list in the first lines of a TREC run, which are checked with it."""
    sizes = tuple(len(scores) for scores in read_run(run, _RUN_LINES).values())
    if not sizes:
        raise DataError(f"{run}: no line in it; at least one query with candidates is needed")
    return sizes


def _corpus(place: Path) -> Path:
    return packed_or_plain(place, "corpus.jsonl") if place.is_dir() else place


def _mean_words(corpus: Path, most: int) -> float:
    """Words that are read of a document, the mean over the first of the corpus."""
    counts = [min(most, len(text.split())) for text in itertools.islice(_texts(corpus), _SAMPLE)]
    return sum(counts) / len(counts) if counts else most


def _texts(corpus: Path) -> Iterator[str]:
    for number, line in numbered_lines(corpus):
        try:
            row = json.loads(line)
            yield f"{row.get('title') or ''} {row['text']}"
        except (json.JSONDecodeError, KeyError, AttributeError):
            raise DataError.at(corpus, number, "not a document; an object with _id and text is accepted") from None
