"""What studies of heads share: judged lists of one or more collections with their head scores, opened once."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distill.collections.beir import read_beir
from distill.collections.collection import Collection, DataError, Qrels, Run
from distill.collections.trec import check_run, read_run
from distill.progress import Advance
from distill.recipe.settings import TeacherSection
from distill.stages.candidates import answerable, texts, top
from distill.stages.teacher import open_reader, read_section

if TYPE_CHECKING:
    from teachers.features import FeatureSettings, JudgedLists
    from teachers.head_scores import HeadReader, HeadScores
    from teachers.score_store import HeadScoreStore


@dataclass(frozen=True, slots=True)
class StudySource:
    """Where one collection's part of the material lies.

    Args:
        teacher: folder of a fitted or adopted teacher, whose stored head scores are used and added to.
        collection: BEIR folder.
        run: TREC run with the candidates of judged queries.
    """

    teacher: Path
    collection: Path
    run: Path


@dataclass(frozen=True, slots=True)
class JudgedCollection:
    """One collection's lists that hold a relevant document, in the order of its judgments.

    Args:
        name: of the collection, told apart from the others' where two have one name.
        collection: texts by id.
        section: how the model reads it.
        teacher: folder of the teacher.
        judged: number of judged queries the lists were chosen from, those without a relevant candidate included.
        qrels: judgments of the lists' queries.
        candidates: first-stage scores, by query and document; the order of the documents is that of ``scores``.
        scores: head scores of each list.
        gains: relevance of each list's documents.
    """

    name: str
    collection: Collection
    section: TeacherSection
    teacher: Path
    judged: int
    qrels: Qrels
    candidates: Run
    scores: list[HeadScores]
    gains: list[list[float]]

    def texts(self) -> list[tuple[str, list[str]]]:
        """(query, documents) of each list."""
        return texts(self.collection, self.candidates)

    def queries(self) -> list[str]:
        """The text of each list's query."""
        return [self.collection.query(query_id) for query_id in self.candidates]

    def lists(self, settings: FeatureSettings | None = None) -> JudgedLists:
        """All lists stacked, under the features given or those that the teacher was fitted with."""
        from teachers.features import judged_lists

        return judged_lists(self.scores, self.gains, settings or self.section.routehead.features)

    def facts(self) -> dict[str, Any]:
        """What every figure over this collection names: the pool, the depth, the word cut, the population and n."""
        return {
            "judged_queries": self.judged,
            "lists": len(self.scores),
            "population": "judged queries with a relevant document among their candidates",
            "candidates": max(len(documents) for documents in self.candidates.values()),
            "max_document_words": self.section.prompt.max_document_words,
            "order": self.section.prompt.order,
        }


class StudyReaders:
    """One model's readers, one for each prompt; the model and its tokenizer are opened once, when first asked for."""

    def __init__(self) -> None:
        self._told: tuple[HeadReader, dict[str, str]] | None = None
        self._loaded: HeadReader | None = None

    def told(self, section: TeacherSection) -> HeadReader:
        """A reader without weights, which can only say what it is."""
        return self._without_weights(section)[0].with_prompt(section.prompt)

    def identity(self, section: TeacherSection) -> dict[str, str]:
        """What identifies the model's weights."""
        return self._without_weights(section)[1]

    def store(self, section: TeacherSection, teacher: Path) -> HeadScoreStore:
        """The model's head scores in the folder of ``teacher``."""
        from teachers.score_store import HeadScoreStore

        return HeadScoreStore(teacher / "scores", self.identity(section))

    def _without_weights(self, section: TeacherSection) -> tuple[HeadReader, dict[str, str]]:
        if self._told is None:
            self._told = open_reader(section, weights=False)
        return self._told

    def loaded(self, section: TeacherSection) -> HeadReader:
        """A reader that reads.

        Raises:
            ModelError: the model cannot be loaded.
        """
        if self._loaded is None:
            self._loaded = open_reader(section)[0]
        return self._loaded.with_prompt(section.prompt)


@dataclass(frozen=True, slots=True)
class StudyMaterial:
    """Judged lists of every collection, read by one model at one depth.

    Args:
        collections: at least one.
        layers: layers that were read, of ``model_layers``; heads of deeper ones are unknown.
        heads_per_layer: heads of each.
        readers: the model's.
    """

    collections: list[JudgedCollection]
    layers: int
    model_layers: int
    heads_per_layer: int
    readers: StudyReaders

    @property
    def heads(self) -> int:
        """Number of heads read."""
        return self.layers * self.heads_per_layer

    def reader(self, place: int = 0) -> HeadReader:
        """The model as it reads the collection at ``place``, loaded when first asked for.

        Raises:
            ModelError: the model cannot be loaded.
        """
        return self.readers.loaded(self.collections[place].section)

    @property
    def identity(self) -> dict[str, str]:
        """What identifies the model's weights."""
        return self.readers.identity(self.collections[0].section)

    def store(self, place: int = 0) -> HeadScoreStore:
        """Where head scores of the collection at ``place`` are kept."""
        entry = self.collections[place]
        return self.readers.store(entry.section, entry.teacher)

    def facts(self) -> dict[str, Any]:
        """The settings that every study tells beside its figures."""
        return {
            "model": self.collections[0].section.model,
            "measure": "nDCG with linear gains; the ideal is taken over the candidates, ties share their ranks",
            "layers": self.layers,
            "model_layers": self.model_layers,
            "heads_per_layer": self.heads_per_layer,
            "collections": {entry.name: entry.facts() for entry in self.collections},
        }


def sources(teachers: Sequence[Path], collections: Sequence[Path], runs: Sequence[Path]) -> list[StudySource]:
    """Each collection with its run, and with the one teacher or its own.

    Raises:
        DataError: their numbers do not fit.
    """
    if len(collections) != len(runs) or not collections:
        raise DataError(
            f"{len(collections)} --collection and {len(runs)} --run; give one --run for each --collection, in its order"
        )
    if len(teachers) not in (1, len(collections)):
        raise DataError(
            f"{len(teachers)} teachers for {len(collections)} collections; give one for all, or one for each "
            "--collection, in its order"
        )
    each = list(teachers) * (len(collections) if len(teachers) == 1 else 1)
    return [StudySource(*parts) for parts in zip(each, collections, runs, strict=True)]


def open_material(
    given: Sequence[StudySource],
    splits: Sequence[str] | None,
    candidates: int,
    limit: int | None,
    on_progress: Advance,
) -> StudyMaterial:
    """Open every collection's judged lists, with head scores from the teachers' stores; what is missing is read.

    Args:
        given: the collections; their teachers must share model and depth, or heads could not be compared.
        splits: whose judgments count, None for all that a collection has; one that has none of them is refused.
        candidates: documents of each list.
        limit: most lists of each collection, drawn by a fixed seed; None for all.
        on_progress: told how many lists of a collection are read.

    Raises:
        DataError: a split that is not there, no list with a relevant document, or teachers that cannot be compared.
        TeacherError: a folder holds no teacher.
    """
    sections = [read_section(source.teacher) for source in given]
    _refuse_different(given, sections)
    readers = StudyReaders()
    unknown = set(splits or ())
    opened: list[JudgedCollection] = []
    for source, section in zip(given, sections, strict=True):
        entry = _open(source, section, splits, candidates, limit, readers, on_progress)
        unknown -= entry.collection.qrels.keys()
        names = {other.name for other in opened}
        if entry.name in names:
            number = next(n for n in range(2, len(given) + 2) if f"{entry.name} ({n})" not in names)
            entry = replace(entry, name=f"{entry.name} ({number})")
        opened.append(entry)
    if unknown:
        accepted = ", ".join(sorted({split for entry in opened for split in entry.collection.qrels}))
        raise DataError(f"--split {min(unknown)}: no collection has it; there are {accepted}")
    layers, heads_per_layer, _ = opened[0].scores[0].real.shape
    return StudyMaterial(opened, layers, readers.told(sections[0]).layer_count, heads_per_layer, readers)


def refuse_fewer_lists_than_folds(lists: int, folds: int, option: str) -> None:
    """Stop before lists are read that are too few to be held out.

    Raises:
        DataError: they are; ``option`` is what says how many are read.
    """
    if lists < folds:
        raise DataError(f"{option} leaves {lists} lists, too few to be held out in {folds} --folds")


def _open(
    source: StudySource,
    section: TeacherSection,
    splits: Sequence[str] | None,
    candidates: int,
    limit: int | None,
    readers: StudyReaders,
    on_progress: Advance,
) -> JudgedCollection:
    from teachers.fitting import gains_of

    collection, ranked = read_beir(source.collection), read_run(source.run)
    check_run(ranked, collection, str(source.run))
    wanted = list(collection.qrels) if splits is None else [name for name in splits if name in collection.qrels]
    if not wanted:
        accepted = ", ".join(sorted(collection.qrels)) or "no split at all"
        raise DataError(f"{source.collection}: no split {', '.join(splits or ())}; it has {accepted}")
    judged = {query_id: docs for name in wanted for query_id, docs in collection.split(name).items()}
    found = answerable(top(ranked, judged, candidates), judged)
    if not found:
        raise DataError(f"{source.run}: no candidate list holds a relevant document; give deeper lists or other splits")
    if limit is not None and limit < len(found):
        kept = set(random.Random(0).sample(sorted(found), limit))
        found = {query_id: docs for query_id, docs in found.items() if query_id in kept}
    scores = stored_scores(readers, section, texts(collection, found), source.teacher, on_progress)
    gains = [gains_of(list(docs), judged[query_id]) for query_id, docs in found.items()]
    qrels = {query_id: judged[query_id] for query_id in found}
    return JudgedCollection(
        collection.name, collection, section, source.teacher, len(judged), qrels, found, scores, gains
    )


def stored_scores(
    readers: StudyReaders,
    section: TeacherSection,
    lists: Sequence[tuple[str, Sequence[str]]],
    teacher: Path,
    on_progress: Advance,
) -> list[HeadScores]:
    """Head scores of each list from ``teacher``'s store; the model is only loaded where one is missing there."""
    from teachers.score_store import read_lists

    store, told = readers.store(section, teacher), readers.told(section)
    keys = [store.key(told, query, documents) for query, documents in lists]
    if all(key in store for key in keys):
        return [store.get(key) for key in keys]
    return list(read_lists(readers.loaded(section), lists, store, on_progress))


def _refuse_different(given: Sequence[StudySource], sections: Sequence[TeacherSection]) -> None:
    """Heads of two models, or read to two depths, are not the same heads."""
    for source, section in zip(given, sections, strict=True):
        for name in ("model", "depth", "state_layer", "dtype"):
            first, own = getattr(sections[0], name), getattr(section, name)
            if own != first:
                raise DataError(
                    f"{source.teacher}: {name} is {own}, but {given[0].teacher} has {first}; heads are compared "
                    f"between teachers of one {name} only"
                )
