"""Study `answers`: does a model answer better from the whole of a long context, or from what was found in it?

Each judged question gets a context of its own: a relevant document of the collection, the gold segment, among documents
that are not judged for the question, at a chosen place. The same model answers from all of it, from the best segments
by each finder, from the gold segment alone (upper bound), from random segments (lower bound), and from nothing.

Collections judge documents, not answers. Where no file of short answers is given, the reference IS the gold document,
and the model is asked to copy the sentence that answers the question: F1 then measures whether it found and repeated
that sentence, not whether it can phrase an answer.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distill.collections.beir import read_beir
from distill.collections.collection import Collection, DataError
from distill.collections.files import numbered_lines
from distill.first_stage import BM25Index, BM25Settings
from distill.progress import Advance
from distill.stages.teacher import fitted_on
from distill.studies.journal import Journal, journal_key
from teachers.answering import Answerer, exact_match, token_f1
from teachers.segments import without_lone_surrogates
from teachers.studies.answers import Haystack, Measured, Position, cell, haystack

if TYPE_CHECKING:
    from distill.studies.study import StudyResult
    from teachers.retrieval import SegmentRetriever

# As `distill teacher retrieve` reads.
WINDOW_TOKENS, WINDOW_OVERLAP = 2048, 8

FULL, GOLD, RANDOM, NOTHING = "full context", "gold segment", "random segments", "no context"
HEADS, BM25, BI_ENCODER = "heads", "BM25", "bi-encoder"
METHODS = (FULL, HEADS, BM25, BI_ENCODER, GOLD, RANDOM, NOTHING)

Finder = Callable[[str, Haystack, int], list[int]]
"""From a question, its context and k to the places of the best k segments."""


@dataclass(frozen=True, slots=True)
class AnswersAsked:
    """What is measured; see the options of `distill teacher study answers`."""

    teacher: Path
    collection: Path
    split: str
    limit: int
    lengths: tuple[int, ...]
    k: int
    answers: Path | None
    writer: str | None
    pre_ranker: str


@dataclass(frozen=True, slots=True)
class Question:
    """One question to measure: its gold text, its references, and the context's length and gold position."""

    query_id: str
    text: str
    gold: str
    references: list[str]
    length: int
    position: Position


def choose_questions(
    collection: Collection,
    split: str,
    teacher: Path,
    longest_words: int,
    lengths: Sequence[int],
    limit: int,
    answers: Mapping[str, list[str]] | None,
) -> list[Question]:
    """At most ``limit`` questions of the split, drawn by a fixed seed, spread evenly over lengths and positions.

    Left out are questions that the teacher was fitted on, those whose relevant documents are all longer than
    ``longest_words``, as the teacher would not read them whole, and those that ``answers`` does not have, if given.

    Raises:
        DataError: no question is left.
    """
    seen = fitted_on(teacher)
    found: list[tuple[str, str]] = []
    for query_id, judged in collection.split(split).items():
        whole = [collection.text(doc_id) for doc_id, grade in judged.items() if grade > 0]
        whole = [text for text in whole if 0 < len(text.split()) <= longest_words]
        if whole and query_id not in seen and (answers is None or query_id in answers):
            found.append((query_id, whole[0]))
    if not found:
        raise DataError(
            f"collection {collection.name}: no question of split {split} is left that the teacher was not fitted on "
            f"and that has a relevant document of at most {longest_words} words"
        )
    drawn = random.Random(0).sample(found, min(limit, len(found)))
    return [
        Question(
            query_id, collection.query(query_id), gold, answers[query_id] if answers else [gold], *cell(number, lengths)
        )
        for number, (query_id, gold) in enumerate(drawn)
    ]


class AnswerStudy:
    """Measures questions, one at a time.

    Args:
        collection: gives the distractors: documents that are not judged for the question.
        split: whose judgments count.
        retriever: a teacher's heads.
        bi_encoder: scores of texts for a question.
        answerer: the model that answers.
        k: segments that each finder gives it.
    """

    def __init__(
        self,
        collection: Collection,
        split: str,
        retriever: SegmentRetriever,
        bi_encoder: Callable[[str, Sequence[str]], Sequence[float]],
        answerer: Answerer,
        k: int,
    ) -> None:
        self._collection = collection
        self._judged = collection.split(split)
        self._retriever = retriever
        self._bi_encoder = bi_encoder
        self._answerer = answerer
        self._k = k
        longest = retriever.max_words
        self._texts = {
            doc_id: text
            for doc_id in collection.documents
            if 0 < len((text := collection.text(doc_id)).split()) <= longest
        }

    def measure(self, question: Question, count: Callable[[str], int]) -> list[Measured]:
        """Every method on one question; an answer from the very same passages is written once.

        Args:
            question: what is asked, and of what context.
            count: tokens of a text.
        """
        judged = self._judged[question.query_id]
        others = [text for doc_id, text in self._texts.items() if doc_id not in judged]
        context = haystack(question.gold, others, question.length, question.position, count, question.query_id)
        written: dict[tuple[int, ...], tuple[str, int, float]] = {}
        rows = []
        for method, find in self._finders().items():
            begun = time.perf_counter()
            # as the text has them, whatever their rank: what differs between methods is what was found
            places = sorted(find(question.text, context, self._k))
            finding = time.perf_counter() - begun
            if (key := tuple(places)) not in written:
                begun = time.perf_counter()
                answer = self._answerer.answer(question.text, [context.segments[place].text for place in places])
                written[key] = (answer.text, answer.prompt_tokens, time.perf_counter() - begun)
            text, tokens, answering = written[key]
            rows.append(
                Measured(
                    question.query_id, method, question.length, question.position, float(context.gold in places),
                    exact_match(text, question.references), token_f1(text, question.references), tokens,
                    finding if method in (HEADS, BM25, BI_ENCODER) else 0.0, answering, text,
                )
            )  # fmt: skip
        return rows

    def _finders(self) -> dict[str, Finder]:
        return {
            FULL: lambda _, context, __: list(range(len(context.segments))),
            HEADS: self._by_heads,
            BM25: _by_bm25,
            BI_ENCODER: self._by_bi_encoder,
            GOLD: lambda _, context, __: [context.gold],
            RANDOM: lambda question, context, k: random.Random(question).sample(
                range(len(context.segments)), min(k, len(context.segments))
            ),
            NOTHING: lambda *_: [],
        }

    def _by_heads(self, question: str, context: Haystack, k: int) -> list[int]:
        return [found.place for found in self._retriever.retrieve(context.segments, question, k)]

    def _by_bi_encoder(self, question: str, context: Haystack, k: int) -> list[int]:
        scores = self._bi_encoder(question, [segment.text for segment in context.segments])
        return sorted(range(len(scores)), key=lambda place: -scores[place])[:k]


def _by_bm25(question: str, context: Haystack, k: int) -> list[int]:
    """The rarity of words is that of the context: it is all that such a retriever has here."""
    texts = {str(place): segment.text for place, segment in enumerate(context.segments)}
    return [int(place) for place in BM25Index(texts, BM25Settings()).search(question, k)]


def measure_all(
    study: AnswerStudy,
    questions: Sequence[Question],
    count: Callable[[str], int],
    journal: Journal,
    settings: Mapping[str, Any],
    on_progress: Advance,
) -> list[Measured]:
    """Every question's rows; those that ``journal`` holds under the same settings are not measured again."""
    rows: list[Measured] = []
    stood = 0
    for done, question in enumerate(questions, start=1):
        key = journal_key("answers", settings, asdict(question))
        kept = journal.get(key)
        if kept is None:
            found = study.measure(question, count)
            journal.put(key, [asdict(row) for row in found])
        else:
            stood += 1
            found = [Measured(**row) for row in kept]
        rows += found
        on_progress(done, len(questions), stood=stood)
    return rows


def study_answers(asked: AnswersAsked, out: Path, on_progress: Advance) -> StudyResult:
    """Measure the questions that are asked for, but those that ``out`` holds, and say what they tell.

    Raises:
        DataError: a file that cannot be used, or no question left.
        TeacherError: the folder holds no teacher, or a context does not fit the model.
        ModelError: a model cannot be loaded.
    """
    from distill.stages.inspection import open_heads
    from distill.stages.judges import open_writer
    from distill.stages.opinions import PreRankerOpinion
    from distill.stages.teacher import read_section
    from distill.studies.answers_result import answers_result
    from teachers.answering import SHORT, AnswerSettings
    from teachers.retrieval import SegmentRetriever
    from teachers.writer import Writer

    section = read_section(asked.teacher)
    collection = read_beir(asked.collection)
    short = read_answers(asked.answers) if asked.answers else None
    longest = section.prompt.max_document_words
    questions = choose_questions(collection, asked.split, asked.teacher, longest, asked.lengths, asked.limit, short)
    bi_encoder = PreRankerOpinion(asked.pre_ranker)
    reader, heads = open_heads(asked.teacher, None)
    retriever = SegmentRetriever(heads, window_tokens=WINDOW_TOKENS, window_overlap=WINDOW_OVERLAP)
    settings = AnswerSettings(**({"instruction": SHORT} if short else {}))
    # without another writer the teacher's own model writes, which is in memory already
    own = (reader.model, reader.prompts.tokenizer, heads.model)
    writer = open_writer(asked.writer) if asked.writer else Writer(*own)
    facts = {
        "collection": collection.name, "split": asked.split, "lengths": list(asked.lengths), "k": asked.k,
        "teacher": heads.describe(), "windows": [WINDOW_TOKENS, WINDOW_OVERLAP], "writer": writer.describe(),
        "asked": settings.model_dump(mode="json"), "bi_encoder": bi_encoder.describe(),
        "references": "short answers" if short else "the gold segments",
        "population": f"judged questions the teacher was not fitted on, gold of at most {longest} words",
    }  # fmt: skip
    stored = {**facts, "collection": collection.fingerprint(), "answers": short}
    study = AnswerStudy(collection, asked.split, retriever, bi_encoder.score_pairs, Answerer(writer, settings), asked.k)

    def count(text: str) -> int:
        return len(writer.frame.data(without_lone_surrogates(text)))

    rows = measure_all(study, questions, count, Journal(out / "answers.jsonl"), stored, on_progress)
    return answers_result(rows, asked.k, facts, short is not None)


def read_answers(path: Path) -> dict[str, list[str]]:
    """Short answers by query id.

    Raises:
        DataError: there is no such file, or a line is not of the form that is accepted.
    """
    found: dict[str, list[str]] = {}
    for number, line in numbered_lines(path):
        try:
            row = json.loads(line)
            query_id, texts = row["query_id"], row["answers"]
        except (ValueError, KeyError, TypeError):
            raise DataError.at(path, number, 'an object {"query_id": ..., "answers": [...]} is accepted') from None
        if not isinstance(query_id, str) or not isinstance(texts, list) or not texts:
            raise DataError.at(path, number, "query_id must be a string and answers a list of at least one string")
        if not all(isinstance(text, str) and text.strip() for text in texts):
            raise DataError.at(path, number, f"answers of {query_id!r} must be strings that are not empty")
        found[query_id] = texts
    return found
