"""Study: do heads found on short lists rank long ones, and does a document's place in the prompt decide its rank?"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from distill.evaluation.statistics import paired_difference
from distill.progress import Advance
from distill.studies.intervals import difference, mean_of, span
from distill.studies.material import StudyMaterial, refuse_fewer_lists_than_folds, stored_scores
from distill.studies.study import COLOURS, Cell, StudyResult, StudyTable, label

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from torch import Tensor

    from teachers.features import JudgedLists
    from teachers.studies.length import LengthSettings

NAME = "length"
_QUESTION = "Do heads found on short lists rank long ones, and does a document's place in the prompt decide its rank?"
_HOW = ("equal weights", "learned weights")
_ONE_ORDER = "one order only: too few lists, none asked for, or a prompt that reads several or keeps the order given"


@dataclass(frozen=True, slots=True)
class _Found:
    """One collection's figures.

    Args:
        carried: nDCG of the read lists by (size found on, size used on), (queries, 2); ``n`` of them.
        places: where the relevant document stood, of the stored lists that have one; ``quality`` of those, (lists, 2).
        orders: nDCG of the lists read twice, (queries, 2) for the first order, the second, and their mean;
            ``order_places`` of those in the first order.
    """

    n: int
    carried: dict[tuple[int, int], Tensor]
    places: list[float]
    quality: Tensor
    orders: dict[str, Tensor]
    order_places: list[float | None]


def length(
    material: StudyMaterial,
    settings: LengthSettings,
    sizes: Sequence[int],
    read_lists: int,
    order_lists: int,
    on_progress: Advance,
) -> StudyResult:
    """Heads carried between lengths, quality by place, and two orders averaged.

    Args:
        material: judged lists; their stored scores give the places at no cost.
        settings: which heads.
        sizes: documents of the lists; a collection's longer lists are those it has.
        read_lists: questions of each collection whose lists of every size are read.
        order_lists: of those, lists that are read in a second order; fewer where too few would be left.
        on_progress: told how many lists of a step are read.
    """
    found = {
        entry.name: _found(material, place, settings, sizes, read_lists, order_lists, on_progress)
        for place, entry in enumerate(material.collections)
    }
    tables = [_carried(found), _by_place(found), _orders(found)]
    facts = {
        **material.facts(), "settings": settings.model_dump(mode="json"), "sizes": list(sizes),
        "found": {name: _facts(entry) for name, entry in found.items()},
    }  # fmt: skip
    return StudyResult(NAME, _QUESTION, _answer(found), tables, facts, lambda figure: _draw(figure, found))


def _found(
    material: StudyMaterial,
    number: int,
    settings: LengthSettings,
    sizes: Sequence[int],
    read_lists: int,
    order_lists: int,
    on_progress: Advance,
) -> _Found:
    from teachers.features import judged_lists
    from teachers.studies.length import carried, held_out_quality, quality_from, relevant_place

    entry = material.collections[number]
    lists, prompt = entry.texts(), entry.section.prompt
    drawn = sorted(random.Random(settings.seed).sample(range(len(lists)), min(read_lists, len(lists))))
    refuse_fewer_lists_than_folds(len(drawn), settings.folds, "--limit")
    longest = max(len(documents) for _, documents in lists)
    kept = sorted({min(size, longest) for size in sizes})
    whole = entry.lists()
    places = [relevant_place(q, docs, gains, prompt) for (q, docs), gains in zip(lists, entry.gains, strict=True)]
    single = [at for at, place in enumerate(places) if place is not None]
    quality = held_out_quality(whole, settings)[single]
    by_size = {size: _of_size(material, number, drawn, size, on_progress) for size in kept}
    # as many as the folds are left to find heads on; a single list would have no interval
    one_seeded = prompt.order == "seeded" and prompt.orders == 1
    spare = min(order_lists, len(lists) - settings.folds) if one_seeded else 0
    orders, again = {}, drawn[:spare] if spare > 1 else []
    if again:
        second = _second_order(material, number, again, on_progress)
        rest = whole.take([at for at in range(len(lists)) if at not in set(again)])
        features, gains = entry.section.routehead.features, [entry.gains[at] for at in again]
        read = {
            name: judged_lists(scores, gains, features)
            for name, scores in {
                "one order": [entry.scores[at] for at in again],
                "another": second,
                "both averaged": _averaged([entry.scores[at] for at in again], second),
            }.items()
        }
        orders = dict(zip(read, quality_from(rest, list(read.values()), settings), strict=True))
    return _Found(
        len(drawn), carried(by_size, settings), [p for p in places if p is not None], quality, orders,
        [places[at] for at in again],
    )  # fmt: skip


def _of_size(
    material: StudyMaterial, number: int, drawn: Sequence[int], size: int, on_progress: Advance
) -> JudgedLists:
    """The drawn questions' lists cut to ``size`` documents, read anew: attention depends on the whole list."""
    from teachers.features import judged_lists
    from teachers.studies.length import shortened

    entry = material.collections[number]
    texts, kept = entry.texts(), [shortened(entry.gains[at], size) for at in drawn]
    lists = [(texts[at][0], [texts[at][1][place] for place in own]) for at, own in zip(drawn, kept, strict=True)]
    gains = [[entry.gains[at][place] for place in own] for at, own in zip(drawn, kept, strict=True)]
    scores = stored_scores(material.readers, entry.section, lists, entry.teacher, on_progress)
    return judged_lists(scores, gains, entry.section.routehead.features)


def _second_order(material: StudyMaterial, number: int, again: Sequence[int], on_progress: Advance) -> list[Any]:
    """Head scores of lists in their second seeded order; kept in the store under its number."""
    from teachers.score_store import read_lists

    entry = material.collections[number]
    first = material.reader(number)
    reader = first.with_prompt(entry.section.prompt, first_order=1)
    texts = entry.texts()
    return list(read_lists(reader, [texts[at] for at in again], material.store(number), on_progress))


def _averaged(one: Sequence[Any], other: Sequence[Any]) -> list[Any]:
    from teachers.head_scores import mean_scores

    return [mean_scores(pair) for pair in zip(one, other, strict=True)]


def _carried(found: Mapping[str, _Found]) -> StudyTable:
    rows: list[tuple[Cell, ...]] = []
    for name, entry in found.items():
        for (one, other), quality in entry.carried.items():
            own = entry.carried[other, other]
            for column, how in enumerate(_HOW):
                change = paired_difference(quality[:, column].tolist(), own[:, column].tolist(), 2000)
                rows.append((name, entry.n, how, one, other, span(mean_of(quality[:, column])), *difference(change)))
    columns = (
        "collection", "n", "how", "found on lists of", "used on lists of", "nDCG@10", "less own length's, 95 %", "p"
    )  # fmt: skip
    return StudyTable("Held-out nDCG@10 of heads carried between lengths of list", columns, rows)


def _by_place(found: Mapping[str, _Found]) -> StudyTable:
    from teachers.studies.length import PARTS, part_of

    rows: list[tuple[Cell, ...]] = []
    for name, entry in found.items():
        parts = [part_of(place) for place in entry.places]
        for part in PARTS:
            at = [row for row, own in enumerate(parts) if own == part]
            if len(at) > 1:
                figures = (span(mean_of(entry.quality[at, column])) for column in (0, 1))
                rows.append((name, part, len(at), *figures))
    title = "Held-out nDCG@10 by where the one relevant document stood in the prompt (drawn at random), 95 % intervals"
    return StudyTable(title, ("collection", "place", "n", *_HOW), rows)


def _orders(found: Mapping[str, _Found]) -> StudyTable:
    rows: list[tuple[Cell, ...]] = []
    for name, entry in found.items():
        if not entry.orders:
            rows.append((name, 0, "", _ONE_ORDER, *[None] * 5))
        for what, quality in entry.orders.items():
            for column, how in enumerate(_HOW):
                first = entry.orders["one order"][:, column].tolist()
                change = paired_difference(quality[:, column].tolist(), first, 2000)
                middle, ends = _middle(quality[:, column], entry.order_places)
                figures = (span(mean_of(quality[:, column])), *difference(change), middle, ends)
                rows.append((name, len(quality), how, what, *figures))
    columns = (
        "collection", "n", "how", "read in", "nDCG@10", "less one order, 95 %", "p", "relevant in the middle",
        "in the outer fifths",
    )  # fmt: skip
    return StudyTable("Two orders against one; heads and weights from other lists", columns, rows)


def _middle(quality: Tensor, places: Sequence[float | None]) -> tuple[float | None, float | None]:
    """Mean over lists whose relevant document stood in the middle three fifths, and over the others."""
    inner = [row for row, place in enumerate(places) if place is not None and 0.2 <= place < 0.8]
    outer = [row for row, place in enumerate(places) if place is not None and not 0.2 <= place < 0.8]
    return tuple(float(quality[rows].mean()) if rows else None for rows in (inner, outer))  # type: ignore[return-value]


def _answer(found: Mapping[str, _Found]) -> list[str]:
    sentences = []
    for name, entry in found.items():
        sizes = sorted({size for size, _ in entry.carried})
        short, long = sizes[0], sizes[-1]
        up = _lost(entry, short, long)
        down = _lost(entry, long, short)
        inner, outer = _middle(entry.quality[:, 1], entry.places)
        sentences.append(
            f"{name}: learned weights found on lists of {short} change nDCG@10 on lists of {long} by {up}, those found "
            f"on {long} change it on {short} by {down}, against the length's own ({entry.n} questions)."
        )
        if inner is not None and outer is not None:
            sentences.append(
                f"{name}: lists whose relevant document stood in the middle three fifths of the prompt reach "
                f"{inner:.3f}, in the outer fifths {outer:.3f} ({len(entry.places)} lists)."
            )
    return sentences[:4]


def _lost(entry: _Found, one: int, other: int) -> str:
    own, foreign = entry.carried[other, other][:, 1].tolist(), entry.carried[one, other][:, 1].tolist()
    return span(paired_difference(foreign, own, 2000).interval, "+.3f")


def _facts(entry: _Found) -> dict[str, Any]:
    return {
        "n": entry.n,
        "carried": [
            {"found_on": one, "used_on": other, **{
                how: asdict(mean_of(quality[:, column])) for column, how in enumerate(_HOW)
            }}
            for (one, other), quality in entry.carried.items()
        ],
        "places": {"n": len(entry.places), "place": entry.places, "ndcg": entry.quality.tolist()},
        "orders": {what: {"n": len(q), "ndcg": q.mean(0).tolist()} for what, q in entry.orders.items()},
    }  # fmt: skip


def _draw(figure: Figure, found: Mapping[str, _Found]) -> None:
    from teachers.studies.length import PARTS, part_of

    figure.set_size_inches(12, 4.8)
    lengths, places = figure.subplots(1, 2)
    slot = 0
    for number, (name, entry) in enumerate(found.items()):
        sizes = sorted({size for size, _ in entry.carried})
        for size in sizes:
            drawn = [float(entry.carried[size, other][:, 1].mean()) for other in sizes]
            lengths.plot(
                sizes, drawn, marker="o", color=COLOURS[slot % len(COLOURS)], linestyle="-" if number == 0 else "--",
                label=f"{label(name)} (n={entry.n}), found on {size}",
            )  # fmt: skip
            slot += 1
        parts = [part_of(place) for place in entry.places]
        shown = [(at, mean_of(entry.quality[[r for r, own in enumerate(parts) if own == part], 1]))
                 for at, part in enumerate(PARTS) if parts.count(part) > 1]  # fmt: skip
        means = [interval.mean for _, interval in shown]
        errors = [[i.mean - i.low for _, i in shown], [i.high - i.mean for _, i in shown]]
        at = [place + 0.08 * number for place, _ in shown]
        colour, told = COLOURS[number % len(COLOURS)], f"{label(name)} (n={len(parts)})"
        places.errorbar(at, means, yerr=errors, marker="o", capsize=3, color=colour, label=told)
    lengths.set(
        xlabel="documents of the list that is ranked", ylabel="held-out nDCG@10", title="learned weights carried"
    )
    places.set_xticks(range(len(PARTS)), PARTS)
    places.set(
        xlabel="where the relevant document stood in the prompt", ylabel="held-out nDCG@10",
        title="learned weights by place, 95 % intervals",
    )  # fmt: skip
    for axes in (lengths, places):
        axes.grid(alpha=0.3)
        axes.legend(fontsize="small")
