"""Study: do different kinds of queries call for different heads, and does routing them gain anything?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from distill.evaluation.statistics import PairedDifference, paired_difference
from distill.progress import Advance
from distill.stages.inspection import first_word_slices
from distill.studies.intervals import difference, span
from distill.studies.material import JudgedCollection, StudyMaterial
from distill.studies.study import COLOURS, Cell, StudyResult, StudyTable, label
from teachers.heads import Head

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from torch import Tensor

    from teachers.features import JudgedLists
    from teachers.studies.routing import KindTest, Routed, RoutingSettings

NAME = "routing"
_QUESTION = "Do different kinds of queries call for different heads, and does routing them gain anything?"
_LEAST_KIND = 10
_LIKELY = 0.05

Kinds = Mapping[tuple[str, str], Sequence[str]]
"""By collection and kind: the kind of each query."""


def routing(material: StudyMaterial, settings: RoutingSettings, on_progress: Advance) -> StudyResult:
    """Searched sets by kind of query against kinds dealt out at random, and routed rankings by kind, out of fold."""
    from teachers.studies.routing import kind_test, route_out_of_fold, searched_sets

    # first: a router that does not fit its teacher's prompt is known before minutes of searching, not after
    gates = {entry.name: fitted_gates(material, place) for place, entry in enumerate(material.collections)}
    kinds: dict[tuple[str, str], list[str]] = {}
    tests: dict[tuple[str, str], KindTest] = {}
    routed: dict[str, Routed] = {}
    steps = len(material.collections) + 1
    for place, entry in enumerate(material.collections):
        lists = entry.lists()
        pool, labels = searched_sets(lists, settings)
        for kind, names in query_kinds(entry).items():
            if len(set(names)) > 1:
                kinds[entry.name, kind] = names
                tests[entry.name, kind] = kind_test(labels, pool, names, settings)
        routed[entry.name] = route_out_of_fold(lists, settings)
        on_progress(place + 1, steps)
    everything = joined([entry.lists() for entry in material.collections])
    pool, labels = searched_sets(everything, settings)
    origin = [entry.name for entry in material.collections for _ in entry.scores]
    if len(material.collections) > 1:
        tests["all", "collection"] = kind_test(labels, pool, origin, settings)
    on_progress(steps, steps)
    gains = {
        (name, kind, value): _gain(routed[name], [place for place, own in enumerate(values) if own == value])
        for (name, kind), values in kinds.items()
        for value in sorted(set(values))
        if values.count(value) >= _LEAST_KIND
    }
    whole = {name: _gain(found, range(len(found.static))) for name, found in routed.items()}
    width = material.heads_per_layer
    tables = [_tests(tests), _heads(tests, width), _gains(routed, whole, gains), _gates(gates, routed)]
    facts = {
        **material.facts(), "settings": settings.model_dump(mode="json"),
        "tests": [{"collection": name, "kind": kind, **asdict(test)} for (name, kind), test in tests.items()],
        "gains": [
            {"collection": name, "kind": kind, "value": value, "n": gain[0], **asdict(gain[1])}
            for (name, kind, value), gain in gains.items()
        ],
        "gains_of_all": {name: {"n": gain[0], **asdict(gain[1])} for name, gain in whole.items()},
        "fitted_gates": gates,
    }  # fmt: skip
    # of one collection the last kind that tells its queries apart: the question word, where it does
    shown = origin if len(material.collections) > 1 else next(reversed(kinds.values()), origin)
    return StudyResult(
        NAME, _QUESTION, _answer(tests, whole), tables, facts,
        lambda figure: _draw(figure, pool, labels, everything.states, shown, width),
    )  # fmt: skip


def query_kinds(entry: JudgedCollection) -> dict[str, list[str]]:
    """The kind of each query: by its number of words (thirds), and by its first word where many begin with it."""
    queries = entry.queries()
    counts = [len(query.split()) for query in queries]
    ordered = sorted(counts)
    low, high = ordered[len(ordered) // 3], ordered[2 * len(ordered) // 3]
    words = [
        f"to {low} words" if count <= low else f"{low + 1} to {high} words" if count <= high else f"over {high} words"
        for count in counts
    ]
    return {"number of words": words, "question word": first_word_slices(queries)}


def joined(parts: Sequence[JudgedLists]) -> JudgedLists:
    """The lists of several collections as one, padded to the longest."""
    import torch
    from torch.nn.functional import pad

    from teachers.features import JudgedLists

    width = max(part.valid.shape[1] for part in parts)
    rows = [[pad(t, (0, width - t.shape[-1])) for t in (p.features, p.valid, p.gains)] for p in parts]
    features, valid, gains = (torch.cat(column) for column in zip(*rows, strict=True))
    return JudgedLists(features, valid, gains, torch.cat([part.states for part in parts]))


def fitted_gates(material: StudyMaterial, place: int) -> dict[str, float] | None:
    """How far the fitted teacher's own router varies over the collection's queries; None where it has none.

    ``spread`` is the standard deviation over queries of a head's weight over the mean size of a weight.
    """
    import torch

    from distill.stages.teacher import fitted_on, head_teachers, open_reader

    entry = material.collections[place]
    if not fitted_on(entry.teacher):
        return None
    reader, model = open_reader(entry.section, weights=False)
    router = head_teachers(entry.teacher, reader, model)["routehead"].ranker.router  # type: ignore[attr-defined]
    weights = router.head_weights(torch.stack([scores.state for scores in entry.scores]))
    return {
        "heads": float(weights.shape[1]),
        "open_per_query": float((weights != 0).float().sum(1).mean()),
        "spread": float(weights.std(0).mean() / weights.abs().mean().clamp_min(1e-12)),
    }


def _gain(routed: Routed, places: Sequence[int]) -> tuple[int, PairedDifference]:
    at = list(places)
    return len(at), paired_difference(routed.routed[at].tolist(), routed.static[at].tolist(), 5000)


def _tests(tests: Mapping[tuple[str, str], KindTest]) -> StudyTable:
    rows: list[tuple[Cell, ...]] = [
        (name, kind, sum(test.counts.values()), len(test.counts), test.share, test.chance, test.p_value)
        for (name, kind), test in tests.items()
    ]
    columns = ("collection", "kind of query", "n", "kinds", "share between kinds", "by chance", "p")
    return StudyTable("Variation of the searched sets that lies between kinds of queries", columns, rows)


def _heads(tests: Mapping[tuple[str, str], KindTest], width: int) -> StudyTable:
    rows: list[tuple[Cell, ...]] = [
        (name, kind, value, test.counts[value], _named(test.largest[value][:2], width),
         _named(test.largest[value][2:], width))
        for (name, kind), test in tests.items()
        for value in test.counts
    ]  # fmt: skip
    columns = ("collection", "kind of query", "value", "n", "heads picked more", "heads picked less")
    return StudyTable(
        "Heads in more, or fewer, of a kind's sets than of all queries' (difference of shares)", columns, rows
    )


def _gains(
    routed: Mapping[str, Routed],
    whole: Mapping[str, tuple[int, PairedDifference]],
    gains: Mapping[tuple[str, str, str], tuple[int, PairedDifference]],
) -> StudyTable:
    rows: list[tuple[Cell, ...]] = [
        (name, "all", "", n, float(routed[name].static.mean()), *difference(gain)) for name, (n, gain) in whole.items()
    ]
    rows += [(name, kind, value, n, None, *difference(gain)) for (name, kind, value), (n, gain) in gains.items()]
    columns = ("collection", "kind of query", "value", "n", "learned weights", "routed less learned, 95 %", "p")
    return StudyTable(f"Out-of-fold nDCG@10 of a trained router, kinds of {_LEAST_KIND} queries or more", columns, rows)


def _gates(gates: Mapping[str, dict[str, float] | None], routed: Mapping[str, Routed]) -> StudyTable:
    rows: list[tuple[Cell, ...]] = []
    for name, own in gates.items():
        fitted = (own["open_per_query"], own["spread"]) if own else (None, None)
        rows.append((name, *fitted, routed[name].spread))
    columns = ("collection", "heads open, fitted teacher", "spread of its weights", "spread of this study's router")
    return StudyTable(
        "Routers: spread of a head's weight over queries, over the mean size of a weight; 0 is static", columns, rows
    )


def _answer(tests: Mapping[tuple[str, str], KindTest], whole: Mapping[str, tuple[int, PairedDifference]]) -> list[str]:
    told = [
        f"{kind} ({name}): {test.share:.1%} against {test.chance:.1%} by chance, p {test.p_value:.3f}"
        for (name, kind), test in tests.items()
    ]
    likely = sum(test.p_value < _LIKELY for test in tests.values())
    sentences = [
        f"The searched sets differ between kinds of queries in {likely} of {len(tests)} tests at p < {_LIKELY}: "
        f"{'; '.join(told)}."
        if told
        else "No kind of query is tested: all queries are of one."
    ]
    for name, (n, gain) in whole.items():
        sure = "which is more than chance" if gain.p_value < _LIKELY else "which chance alone can give"
        sentences.append(
            f"{name}: a trained router ranks {span(gain.interval, '+.3f')} nDCG@10 against "
            f"learned weights over {n} lists, {sure} (p {gain.p_value:.3f})."
        )
    return sentences[:4]


def _draw(
    figure: Figure, pool: Sequence[int], labels: Tensor, states: Tensor, kinds: Sequence[str], width: int
) -> None:
    from teachers.features import zscore
    from teachers.studies.routing import plane

    figure.set_size_inches(12, 5.4)
    heads, queries = figure.subplots(1, 2)
    # standardised, or the map would show little but how often a head is picked
    placed, shares = plane(zscore(labels.T))
    named = set(labels.mean(0).argsort(descending=True)[:12].tolist())
    drawn = heads.scatter(
        placed[:, 0], placed[:, 1], c=[Head.of_flat(flat, width).layer for flat in pool], cmap="viridis",
        s=(30 + 300 * labels.mean(0)).tolist(),
    )  # fmt: skip
    for place, (flat, (x, y)) in enumerate(zip(pool, placed.tolist(), strict=True)):
        if place not in named:
            continue
        heads.annotate(str(Head.of_flat(flat, width)), (x, y), fontsize=7, xytext=(3, 3), textcoords="offset points")
    figure.colorbar(drawn, ax=heads, label="layer")
    _axes(heads, shares, f"heads by the queries that pick them (n={len(labels)}); size: how often")
    placed, shares = plane(states)
    for slot, name in enumerate(sorted(set(kinds))):
        own = [place for place, kind in enumerate(kinds) if kind == name]
        queries.scatter(
            placed[own, 0], placed[own, 1], s=9, alpha=0.6, color=COLOURS[slot % len(COLOURS)], edgecolors="none",
            label=f"{label(name)} (n={len(own)})",
        )  # fmt: skip
    queries.legend(fontsize="small")
    _axes(queries, shares, f"query states (n={len(kinds)})")


def _axes(axes: Any, shares: tuple[float, float], title: str) -> None:
    axes.set(
        title=title, xlabel=f"component 1 ({shares[0]:.0%} of the variation)",
        ylabel=f"component 2 ({shares[1]:.0%})",
    )  # fmt: skip
    axes.grid(alpha=0.3)


def _named(heads: Sequence[tuple[int, float]], width: int) -> str:
    return ", ".join(f"{Head.of_flat(flat, width)} {more:+.2f}" for flat, more in heads)
