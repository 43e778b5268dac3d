"""Study: how alike are heads, which pairs help or conflict, and why do more heads hurt?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from distill.collections.collection import DataError
from distill.evaluation.statistics import Interval, paired_difference
from distill.progress import Advance
from distill.studies.intervals import mean_of, span
from distill.studies.material import StudyMaterial
from distill.studies.study import COLOURS, Cell, StudyResult, StudyTable, label
from teachers.heads import Head

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from torch import Tensor

    from teachers.studies.redundancy import GrowingSet, Pair, RedundancySettings

NAME = "redundancy"
_QUESTION = "How alike are heads, which pairs help or conflict, and why do more heads hurt?"
_SHOWN = 6
_SIZES = (1, 2, 4, 8, 16, 32, 64)


@dataclass(frozen=True, slots=True)
class _Found:
    """One collection's figures.

    Args:
        order: the pool's heads correlations are drawn of, best first; ``alike``: of all heads.
        helped: rank correlation of a pair's correlation with its mean gain.
    """

    n: int
    order: list[int]
    alike: Tensor
    pairs: list[Pair]
    sets: dict[str, GrowingSet]
    helped: float


def redundancy(material: StudyMaterial, settings: RedundancySettings, on_progress: Advance) -> StudyResult:
    """Correlations of head scores, pairs against their better member, and sets as they grow, held out.

    Raises:
        DataError: no two heads are among the best of every fold.
    """
    from scipy import stats

    from teachers.head_search import rank_heads
    from teachers.studies.redundancy import correlations, growing_sets, pairs

    found: dict[str, _Found] = {}
    for place, entry in enumerate(material.collections):
        lists = entry.lists()
        paired = pairs(lists, settings)
        if not paired:
            raise DataError(
                f"{entry.name}: no two heads are among the {settings.pool} best of every fold; give a larger --pool"
            )
        on_progress(2 * place + 1, 2 * len(material.collections))
        means = [float(pair.gains.mean()) for pair in paired]
        helped = float(stats.spearmanr([pair.correlation for pair in paired], means).statistic)
        order = rank_heads(lists, settings.cutoff)[: settings.pool].tolist()
        found[entry.name] = _Found(
            len(lists), order, correlations(lists), paired, growing_sets(lists, settings), helped
        )
        on_progress(2 * place + 2, 2 * len(material.collections))
    width = material.heads_per_layer
    tables = [_summary(found), _alike(found, width), _helping(found, width), _growing(found)]
    facts = {
        **material.facts(), "settings": settings.model_dump(mode="json"),
        "found": {name: _facts(entry, width) for name, entry in found.items()},
    }  # fmt: skip
    return StudyResult(NAME, _QUESTION, _answer(found), tables, facts, lambda figure: _draw(figure, found, width))


def _summary(found: Mapping[str, _Found]) -> StudyTable:
    rows: list[tuple[Cell, ...]] = []
    for name, entry in found.items():
        sure = [_normal(pair.gains) for pair in entry.pairs]
        rows.append((
            name, entry.n, len(entry.pairs), sum(p.correlation for p in entry.pairs) / len(entry.pairs),
            sum(interval.low > 0 for interval in sure), sum(interval.high < 0 for interval in sure),
            round(0.025 * len(entry.pairs), 1), entry.helped,
        ))  # fmt: skip
    columns = (
        "collection", "n", "pairs", "mean correlation", "help", "conflict", "of each by chance",
        "rank correlation of alikeness and gain",
    )  # fmt: skip
    title = "Pairs of the best heads; help and conflict: the 95 % interval of the gain over the better lies off zero"
    return StudyTable(title, columns, rows)


def _alike(found: Mapping[str, _Found], width: int) -> StudyTable:
    rows: list[tuple[Cell, ...]] = [
        (name, *_names(pair, width), pair.correlation, span(mean_of(pair.gains), "+.3f"))
        for name, entry in found.items()
        for pair in sorted(entry.pairs, key=lambda pair: -pair.correlation)[:_SHOWN]
    ]
    return StudyTable(
        "The most redundant pairs of the best heads", ("collection", "head", "head", "correlation", "gain, 95 %"), rows
    )


def _helping(found: Mapping[str, _Found], width: int) -> StudyTable:
    rows: list[tuple[Cell, ...]] = []
    for name, entry in found.items():
        ordered = sorted(entry.pairs, key=lambda pair: -float(pair.gains.mean()))
        for what, chosen in (("helps", ordered[:_SHOWN]), ("conflicts", ordered[: -_SHOWN - 1 : -1])):
            rows += [
                (name, what, *_names(pair, width), pair.correlation, span(mean_of(pair.gains), "+.3f"))
                for pair in chosen
            ]
    columns = ("collection", "pair", "head", "head", "correlation", "gain, 95 %")
    title = "nDCG@10 of two heads' sum less that of the better one; picked as extremes, so somewhat too large"
    return StudyTable(title, columns, rows)


def _growing(found: Mapping[str, _Found]) -> StudyTable:
    rows: list[tuple[Cell, ...]] = []
    for name, entry in found.items():
        best, greedy = entry.sets["best"], entry.sets["greedy"]
        for size in (size for size in _SIZES if size <= best.ndcg.shape[1]):
            at = size - 1
            change = paired_difference(greedy.ndcg[:, at].tolist(), best.ndcg[:, at].tolist(), 2000).interval
            rows.append((
                name, entry.n, size, span(mean_of(best.ndcg[:, at])), span(mean_of(greedy.ndcg[:, at])),
                span(change, "+.3f"), float(best.alone[:, at].mean()), float(best.effective[at]),
                float(greedy.effective[at]),
            ))  # fmt: skip
    columns = (
        "collection", "n", "heads", "next best single", "greedy", "greedy less next best", "the last head alone",
        "effective heads, next best", "effective heads, greedy",
    )  # fmt: skip
    return StudyTable("Held-out nDCG@10 of sets as heads are added, 95 % intervals", columns, rows)


def _answer(found: Mapping[str, _Found]) -> list[str]:
    sentences = []
    for name, entry in found.items():
        best, greedy = entry.sets["best"].ndcg.mean(0), entry.sets["greedy"].ndcg.mean(0)
        size = int(best.argmax()) + 1
        sure = [_normal(pair.gains) for pair in entry.pairs]
        sentences.append(
            f"{name}: of {len(entry.pairs)} pairs of the best heads {sum(i.low > 0 for i in sure)} rank better than "
            f"their better member and {sum(i.high < 0 for i in sure)} worse; the best single head reaches "
            f"{float(best[0]):.3f}, next-best sets peak at {size} heads ({float(best.max()):.3f}) and fall to "
            f"{float(best[-1]):.3f} at {len(best)}; sets grown greedily reach {float(greedy.max()):.3f}."
        )
        grown = entry.sets["best"]
        sentences.append(
            f"{name}: {len(best)} best heads count as {float(grown.effective[-1]):.1f} that do not repeat each other, "
            f"and the last of them alone ranks at {float(grown.alone[:, -1].mean()):.3f}: added with an equal weight, "
            "it pulls the mean towards its own quality."
        )
    return sentences[:4]


def _facts(entry: _Found, width: int) -> dict[str, object]:
    return {
        "n": entry.n,
        "rank_correlation_of_alikeness_and_gain": entry.helped,
        "pairs": [
            {"heads": _names(p, width), "correlation": p.correlation, "gain": asdict(_normal(p.gains))}
            for p in entry.pairs
        ],
        "sets": {
            name: {
                "ndcg": [asdict(mean_of(column)) for column in grown.ndcg.T],
                "last_head_alone": grown.alone.mean(0).tolist(),
                "effective_heads": grown.effective.tolist(),
            }
            for name, grown in entry.sets.items()
        },
    }


def _draw(figure: Figure, found: Mapping[str, _Found], width: int) -> None:
    figure.set_size_inches(5.2 * (len(found) + 2), 5)
    panels = figure.subplots(1, len(found) + 2)
    for axes, (name, entry) in zip(panels, found.items(), strict=False):
        image = axes.imshow(entry.alike[entry.order][:, entry.order], cmap="PuOr", vmin=-1, vmax=1)
        ticks = range(0, len(entry.order), 4)
        names = [str(Head.of_flat(entry.order[tick], width)) for tick in ticks]
        axes.set_xticks(ticks, names, rotation=90)
        axes.set_yticks(ticks, names)
        axes.set(
            title=f"{label(name)} (n={entry.n}): correlation", xlabel="head, best first", ylabel="head, best first"
        )
        figure.colorbar(image, ax=axes, shrink=0.7, label="mean over lists")
    scatter, growing = panels[-2], panels[-1]
    for slot, (name, entry) in enumerate(found.items()):
        colour, told = COLOURS[slot % len(COLOURS)], f"{label(name)} (n={entry.n})"
        scatter.scatter(
            [p.correlation for p in entry.pairs], [float(p.gains.mean()) for p in entry.pairs], s=9, alpha=0.6,
            color=colour, label=told, edgecolors="none",
        )  # fmt: skip
        for which, line in (("greedy", "-"), ("best", "--")):
            means = entry.sets[which].ndcg.mean(0).tolist()
            what = "greedy" if which == "greedy" else "next best single"
            growing.plot(range(1, len(means) + 1), means, color=colour, linestyle=line, label=f"{told}, {what}")
    scatter.axhline(0, color="grey", linewidth=0.8)
    scatter.set(xlabel="correlation of the two heads", ylabel="nDCG@10 of the pair less its better head", title="pairs")
    growing.set(xlabel="heads in the set", ylabel="held-out nDCG@10", title="sets as they grow (equal weights)")
    for axes in (scatter, growing):
        axes.grid(alpha=0.3)
        axes.legend(fontsize="small")


def _names(pair: Pair, width: int) -> tuple[str, str]:
    one, other = (str(Head.of_flat(flat, width)) for flat in pair.heads)
    return one, other


def _normal(values: Tensor) -> Interval:
    """The mean with its normal interval: hundreds of pairs are judged, and a bootstrap of each takes minutes."""
    mean, error = float(values.mean()), float(values.std()) / len(values) ** 0.5
    return Interval(mean, mean - 1.96 * error, mean + 1.96 * error)
