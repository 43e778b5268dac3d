"""Study: in which layers do the heads that rank lie, how many are worth using, and where would you cut the pass?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from distill.evaluation.statistics import paired_difference
from distill.progress import Advance
from distill.studies.intervals import mean_of, span
from distill.studies.material import StudyMaterial, refuse_fewer_lists_than_folds
from distill.studies.study import COLOURS, Cell, StudyResult, StudyTable, label

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from torch import Tensor

    from teachers.studies.layers import LayerQuality, LayerSettings, TriedSets

NAME = "layers"
_QUESTION = "In which layers do the heads that rank lie, how many are worth using, and where would you cut the pass?"
# Of nDCG: what a shallower pass may lose against the whole depth.
_LITTLE = 0.01


@dataclass(frozen=True, slots=True)
class _Found:
    """One collection's figures; ``seconds`` by depth, ``deep`` of the few lists that were read deeper."""

    n: int
    layers: LayerQuality
    counts: TriedSets
    depths: TriedSets
    seconds: dict[int, float]
    deep: LayerQuality | None


def layers(
    material: StudyMaterial, settings: LayerSettings, timed_lists: int, deeper_lists: int, on_progress: Advance
) -> StudyResult:
    """Quality by layer, by number of heads and by depth, with the seconds of a pass at each depth.

    Args:
        material: judged lists; layers below its depth are known.
        settings: of the computation.
        timed_lists: lists of each collection that are read at every depth to be timed; 0 for none.
        deeper_lists: lists of each collection that are read through all layers, for the bell alone; 0 for none.
        on_progress: told the steps done: three of each collection, and one for its timing.
    """
    from teachers.studies.layers import by_count, by_depth, by_layer, seconds_by_depth, tried_depths

    for entry in material.collections if deeper_lists else ():
        refuse_fewer_lists_than_folds(min(deeper_lists, len(entry.gains)), settings.folds, "--deeper-lists")
    found: dict[str, _Found] = {}
    steps = 4 * len(material.collections)
    for place, entry in enumerate(material.collections):
        lists = entry.lists()
        bell = by_layer(lists, material.heads_per_layer, settings)
        on_progress(4 * place + 1, steps)
        counts = by_count(lists, settings)
        on_progress(4 * place + 2, steps)
        depths = by_depth(lists, material.heads_per_layer, settings)
        on_progress(4 * place + 3, steps)
        timed = entry.texts()[:timed_lists]
        tried = tried_depths(material.layers, settings)
        seconds = seconds_by_depth(material.reader(place), timed, tried) if timed else {}
        deep = _deeper(material, place, deeper_lists, settings, on_progress) if deeper_lists else None
        found[entry.name] = _Found(len(lists), bell, counts, depths, seconds, deep)
        on_progress(4 * place + 4, steps)
    tables = [_bell(found, material), _counts(found), _depths(found, timed_lists)]
    facts = {
        **material.facts(), "settings": settings.model_dump(mode="json"), "timed_lists": timed_lists,
        "found": {name: _facts(entry) for name, entry in found.items()},
    }  # fmt: skip
    answer = _answer(found, material)
    return StudyResult(NAME, _QUESTION, answer, tables, facts, lambda figure: _draw(figure, found, settings))


def _deeper(
    material: StudyMaterial, place: int, count: int, settings: LayerSettings, on_progress: Advance
) -> LayerQuality:
    """The bell over all of the model's layers, on the first lists only."""
    from teachers.features import judged_lists
    from teachers.score_store import read_lists
    from teachers.studies.layers import by_layer

    entry = material.collections[place]
    reader = material.reader(place).at_depth(material.model_layers)
    store = material.store(place)
    scores = read_lists(reader, entry.texts()[:count], store, on_progress)
    lists = judged_lists(scores, entry.gains[:count], entry.section.routehead.features)
    return by_layer(lists, material.heads_per_layer, settings)


def _bell(found: Mapping[str, _Found], material: StudyMaterial) -> StudyTable:
    rows: list[tuple[Cell, ...]] = []
    for name, entry in found.items():
        bell = entry.layers if entry.deep is None else entry.deep
        n = len(bell.mean)
        for layer in range(bell.mean.shape[1]):
            best = mean_of(bell.best[:, layer])
            rows.append(
                (name, n, layer, float(bell.mean[:, layer].mean()), span(best), float(bell.together[:, layer].mean()))
            )
    columns = ("collection", "n", "layer", "mean head alone", "best head (held out)", "all its heads together")
    told = f"{material.layers} of the model's {material.model_layers} layers were read"
    return StudyTable(f"nDCG@10 by layer, 95 % intervals over lists; {told}", columns, rows)


def _counts(found: Mapping[str, _Found]) -> StudyTable:
    rows: list[tuple[Cell, ...]] = [
        (name, entry.n, count, span(mean_of(entry.counts.equal[:, column])),
         span(mean_of(entry.counts.learned[:, column])))
        for name, entry in found.items()
        for column, count in enumerate(entry.counts.tried)
    ]  # fmt: skip
    columns = ("collection", "n", "heads", "equal weights", "learned weights")
    return StudyTable("Held-out nDCG@10 by number of heads, best single heads first, 95 % intervals", columns, rows)


def _depths(found: Mapping[str, _Found], timed_lists: int) -> StudyTable:
    rows: list[tuple[Cell, ...]] = []
    for name, entry in found.items():
        whole = entry.depths.learned[:, -1].tolist()
        for column, depth in enumerate(entry.depths.tried):
            own = entry.depths.learned[:, column]
            change = paired_difference(own.tolist(), whole).interval
            seconds = entry.seconds.get(depth)
            part = seconds / entry.seconds[entry.depths.tried[-1]] if seconds else None
            rows.append(
                (name, entry.n, depth, span(mean_of(entry.depths.equal[:, column])), span(mean_of(own)),
                 span(change, "+.3f"), seconds, part)
            )  # fmt: skip
    columns = (
        "collection", "n", "depth", "best heads, equal", "all heads, learned", "against whole depth", "seconds a list",
        "of whole",
    )  # fmt: skip
    title = f"Held-out nDCG@10 of heads above the cut, 95 % intervals; seconds: median of {timed_lists} lists"
    return StudyTable(title, columns, rows)


def _answer(found: Mapping[str, _Found], material: StudyMaterial) -> list[str]:
    sentences = []
    for name, entry in found.items():
        means = entry.layers.best.mean(0)
        peak, equal, learned = int(means.argmax()), entry.counts.equal.mean(0), entry.counts.learned.mean(0)
        most, full = entry.counts.tried[int(equal.argmax())], float(learned.max())
        shallow = next(
            depth
            for column, depth in enumerate(entry.depths.tried)
            if float(entry.depths.learned[:, column].mean()) >= float(entry.depths.learned[:, -1].mean()) - _LITTLE
        )
        whole = entry.depths.tried[-1]
        saved = f", in {entry.seconds[shallow] / entry.seconds[whole]:.0%} of the time" if entry.seconds else ""
        sentences.append(
            f"{name}: the best single head lies in layer {peak} ({float(means[peak]):.3f}); with equal weights {most} "
            f"heads are best ({float(equal.max()):.3f}) and all {entry.counts.tried[-1]} reach {float(equal[-1]):.3f}; "
            f"learned weights reach {full:.3f} with {entry.counts.tried[int(learned.argmax())]}. "
            + (
                f"A pass of {shallow} layers is within {_LITTLE} of one of {whole}{saved}."
                if shallow < whole
                else f"Every cut that was tried above layer {whole} loses more than {_LITTLE}."
            )
        )
    return [*sentences, *_about_deeper(found, material)]


def _about_deeper(found: Mapping[str, _Found], material: StudyMaterial) -> list[str]:
    """What the layers beyond the teacher's depth say, or that they were not read."""
    if material.layers == material.model_layers:
        return []
    sentences = []
    for name, entry in found.items():
        if entry.deep is not None:
            best = entry.deep.best.mean(0)
            sentences.append(
                f"{name}, read through all {material.model_layers} layers on {len(entry.deep.best)} lists: the best "
                f"head lies in layer {int(best.argmax())} ({float(best.max()):.3f}); the best beyond layer "
                f"{material.layers - 1} reaches {float(best[material.layers :].max()):.3f}."
            )
    read = "stand in the first table alone" if sentences else "were not read"
    return [*sentences, f"Layers from {material.layers} on {read}: whether a set with them is better is not told here."]


def _facts(entry: _Found) -> dict[str, Any]:
    def rows(values: Tensor) -> list[Any]:
        return [asdict(mean_of(column)) for column in values.T]

    def bell(found: LayerQuality) -> dict[str, Any]:
        parts = {"mean": found.mean, "best": found.best, "together": found.together}
        return {"n": len(found.mean), **{name: rows(values) for name, values in parts.items()}}

    def tried(found: TriedSets, what: str) -> dict[str, Any]:
        return {what: found.tried, "equal": rows(found.equal), "learned": rows(found.learned)}

    return {
        "n": entry.n,
        "by_layer": bell(entry.layers),
        "by_count": tried(entry.counts, "heads"),
        "by_depth": tried(entry.depths, "depth"),
        "seconds": entry.seconds,
        "deeper": None if entry.deep is None else bell(entry.deep),
    }


def _draw(figure: Figure, found: Mapping[str, _Found], settings: LayerSettings) -> None:
    figure.set_size_inches(14, 4.6)
    bell, counts, depths = figure.subplots(1, 3)
    for slot, (name, entry) in enumerate(found.items()):
        colour, told = COLOURS[slot % len(COLOURS)], f"{label(name)} (n={entry.n})"
        shown = entry.layers if entry.deep is None else entry.deep
        layers = range(shown.mean.shape[1])
        for values, line, what in ((shown.best, "-", "best head"), (shown.mean, ":", "mean head")):
            bell.plot(
                layers,
                values.mean(0).tolist(),
                color=colour,
                linestyle=line,
                label=f"{label(name)} (n={len(shown.mean)}), {what}",
            )
        for axes, tried in ((counts, entry.counts), (depths, entry.depths)):
            for values, line, what in ((tried.learned, "-", "learned weights"), (tried.equal, "--", "equal weights")):
                drawn = [mean_of(column) for column in values.T]
                axes.plot(tried.tried, [i.mean for i in drawn], color=colour, linestyle=line, marker="o", ms=3,
                          label=f"{told}, {what}")  # fmt: skip
                axes.fill_between(tried.tried, [i.low for i in drawn], [i.high for i in drawn], color=colour, alpha=0.1)
    bell.set(xlabel="layer", ylabel="nDCG@10 of a head alone", title="by layer")
    counts.set(xlabel="number of heads", xscale="log", title="by number of heads (held out, 95 %)")
    counts.xaxis.set_major_formatter("{x:.0f}")
    equal = f"equal: best {settings.set_size}; learned: all"
    depths.set(xlabel="layers run before the cut", title=f"by depth of the pass ({equal})")
    for axes in (bell, counts, depths):
        axes.grid(alpha=0.3)
        axes.legend(fontsize="x-small")
