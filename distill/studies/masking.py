"""Which heads a model needs: sets of heads are switched off, and needles and rankings are looked at again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distill.progress import Advance
from distill.studies.copying import detect_copy_heads
from distill.studies.journal import Journal, journal_key
from distill.studies.masking_result import Condition, MaskingFigures, masking_result
from distill.studies.material import JudgedCollection, StudyMaterial
from distill.studies.needle_questions import NeedleGrid, build_prompts, draw_questions
from distill.studies.study import StudyResult

if TYPE_CHECKING:
    from teachers.baselines import HeadRanker
    from teachers.copying import CopySettings
    from teachers.heads import Head


@dataclass(frozen=True, slots=True)
class MaskingSizes:
    """How much is measured.

    Args:
        needles: questions whose needle is asked for at every length and depth.
        copy_needles: other questions, on which copy heads are found.
        lists: other judged lists, which are ranked again under each set.
        heads: sizes of the masked sets.
        random_draws: random sets of each size, whose figures are averaged.
    """

    needles: int
    copy_needles: int
    lists: int
    heads: tuple[int, ...]
    random_draws: int


@dataclass(frozen=True, slots=True)
class _Parts:
    """Places of the judged lists by what they are used for; none has two uses."""

    ranked: list[int]
    finding: list[int]


def study_masking(
    material: StudyMaterial,
    sizes: MaskingSizes,
    grid: NeedleGrid,
    copying: CopySettings,
    folder: Path,
    on_progress: Advance,
) -> StudyResult:
    """Mask each set and measure how far needles and rankings fall.

    The first collection's questions are split: copy heads are found on some (the first, as the study of copying asks
    them, so that its trials in ``folder`` are used again), needles and lists are of others, and the other sets are
    found on the rest.

    Raises:
        DataError: too few questions.
        TeacherError: in no trial of the detection was enough of the needle written.
    """
    entry = material.collections[0]
    reader = material.reader()
    asked = draw_questions(entry, sizes.copy_needles + sizes.needles, grid.most_words)
    prompts = _needle_prompts(material, asked[sizes.copy_needles :], grid)
    parts = _parts(entry, {question.query_id for question in asked}, sizes.lists)
    work = _Work(on_progress, Journal(folder / "masking.jsonl"))
    trials = sizes.copy_needles * len(grid.lengths) * len(grid.depths)
    # four found sets of each size and the random ones; the empty one is for needles alone, as the lists' unmasked
    # scores are stored
    masked = (4 + sizes.random_draws) * len(sizes.heads)
    work.total = trials + (masked + 1) * len(prompts) + masked * len(parts.ranked)
    copies = Journal(folder / "copying.jsonl")
    found = detect_copy_heads(material, asked[: sizes.copy_needles], grid, copying, copies, work.before)
    conditions, rankers = _conditions(entry, parts, sizes, found.scores)
    model = [material.identity, reader.describe()]
    needles = [_needle_row(material, prompt, conditions, model, work) for prompt in prompts]
    lists = [_list_row(material, place, conditions, rankers, model, work) for place in parts.ranked]
    facts = {
        **material.facts(), "sizes": asdict(sizes), "grid": asdict(grid), "copying": copying.model_dump(),
        "lists_for_sets": len(parts.finding),
        "copy_trials_counted": sum(trial["counts"] for trial in found.trials),
    }  # fmt: skip
    return masking_result(MaskingFigures(conditions, needles, lists, entry.name), facts)


class _Work:
    """Counts what is measured, and keeps it."""

    def __init__(self, on_progress: Advance, journal: Journal) -> None:
        self.journal = journal
        self.total = self._done = self._stood = 0
        self._on_progress = on_progress

    def before(self, done: int, total: int, /, *, stood: int = 0, note: str = "", unit: str = "") -> None:
        """Count what is measured before, of which ``total`` are a part of all."""
        self._done, self._stood = done, stood
        self._on_progress(done, self.total, stood=stood, note=note, unit=unit)

    def measured(self, key: str, measure: Any) -> Any:
        """The figure under ``key``, from the journal or measured now."""
        value = self.journal.get(key)
        if value is None:
            value = measure()
            self.journal.put(key, value)
        else:
            self._stood += 1
        self._done += 1
        self._on_progress(self._done, self.total, stood=self._stood)
        return value


def _parts(entry: JudgedCollection, asked: set[str], lists: int) -> _Parts:
    import random

    from distill.collections.collection import DataError

    free = [place for place, query_id in enumerate(entry.candidates) if query_id not in asked]
    random.Random(1).shuffle(free)
    if len(free) < lists + 2:
        raise DataError(
            f"{entry.name}: {len(entry.candidates)} lists, of which {len(asked)} questions are asked for needles and "
            f"{lists} lists are ranked again; none is left to find heads on. Ask for fewer"
        )
    return _Parts(sorted(free[:lists]), sorted(free[lists:]))


def _conditions(
    entry: JudgedCollection, parts: _Parts, sizes: MaskingSizes, copy_scores: Any
) -> tuple[list[Condition], dict[str, HeadRanker]]:
    """The sets to mask, the empty one first, and the rankers whose quality is measured; found on ``parts.finding``."""
    from teachers.baselines import AllHeads, WeightedHeads, best_heads, learn_weights
    from teachers.copying import copy_heads
    from teachers.features import judged_lists
    from teachers.head_sets import HeadSetSettings, find_head_sets, random_heads
    from teachers.heads import flat_indices

    scores = [entry.scores[place] for place in parts.finding]
    gains = [entry.gains[place] for place in parts.finding]
    features, (layers, heads_per_layer) = entry.section.routehead.features, scores[0].real.shape[:2]
    settings = HeadSetSettings(count=max(sizes.heads), features=features)
    found = find_head_sets(scores, gains, settings, copy=copy_heads(copy_scores, max(sizes.heads)))
    sets = {str(name): [heads] for name, heads in found.items()}
    sets["random"] = [random_heads(layers, heads_per_layer, seed) for seed in range(sizes.random_draws)]
    conditions = [Condition("none", 0, ((),))]
    conditions += [
        Condition(name, size, tuple(tuple(heads[:size]) for heads in draws))
        for size in sizes.heads
        for name, draws in sets.items()
    ]
    lists = judged_lists(scores, gains, features)
    pool = best_heads(lists, heads_per_layer, settings.routed_pool)
    weights = learn_weights(lists.of_heads(flat_indices(pool, heads_per_layer)), settings.routed_l1)
    learned = WeightedHeads(tuple(pool), tuple(weights.tolist()), features, "static_weights")
    return conditions, {"learned weights": learned, "all heads": AllHeads()}


def _needle_prompts(material: StudyMaterial, questions: Sequence[Any], grid: NeedleGrid) -> list[tuple[Any, ...]]:
    from teachers.needles import NeedleBuilder, NeedleSettings

    return build_prompts(NeedleBuilder(material.reader().prompts.tokenizer, NeedleSettings()), questions, grid)


def _named(heads: Sequence[Head]) -> list[str]:
    return [str(head) for head in sorted(heads)]


def _needle_row(
    material: StudyMaterial, prompt: tuple[Any, ...], conditions: Sequence[Condition], model: Any, work: _Work
) -> dict[str, Any]:
    """Mean log-probability of the needle's tokens under every draw of every condition, and their sum."""
    from teachers.studies.masking import masked_recall

    question, length, depth, built = prompt
    reader = material.reader()

    def measured(heads: Sequence[Head]) -> Any:
        key = journal_key("needle", model, built.ids, built.answer, _named(heads))
        return work.measured(key, lambda: asdict(masked_recall(reader, built, heads)))

    values = {condition.label: [measured(heads) for heads in condition.draws] for condition in conditions}
    return {"query_id": question.query_id, "length": length, "depth": depth, "tokens": len(built.answer),
            "log_probability": values}  # fmt: skip


def _list_row(
    material: StudyMaterial,
    place: int,
    conditions: Sequence[Condition],
    rankers: Mapping[str, HeadRanker],
    model: Any,
    work: _Work,
) -> dict[str, Any]:
    """nDCG@10 of one list under every draw of every condition, by ranker."""
    from teachers.studies.masking import list_quality, masked_quality

    entry, reader = material.collections[0], material.reader()
    query_id = list(entry.candidates)[place]
    query, gains = entry.collection.query(query_id), entry.gains[place]
    documents = [entry.collection.text(doc_id) for doc_id in entry.candidates[query_id]]
    told = [ranker.describe() for ranker in rankers.values()]

    def measured(heads: Sequence[Head]) -> Any:
        if not heads:
            # what the teacher's store holds is what an unmasked model reads
            return list_quality(entry.scores[place], rankers, gains)
        key = journal_key("list", model, told, query, documents, gains, _named(heads))
        return work.measured(key, lambda: masked_quality(reader, rankers, (query, documents, gains), heads))

    values = {condition.label: [measured(heads) for heads in condition.draws] for condition in conditions}
    return {"query_id": query_id, "ndcg": values}
