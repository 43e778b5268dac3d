"""Which heads copy and paste, how often, and how many of them are among those that rank."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distill.progress import Advance
from distill.studies.journal import Journal, journal_key
from distill.studies.material import StudyMaterial
from distill.studies.needle_questions import NeedleGrid, NeedleQuestion, build_prompts, draw_questions
from distill.studies.study import COLOURS, StudyResult, StudyTable, label
from teachers.heads import Head

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from torch import Tensor

    from teachers.copying import CopySettings

SIZES = (8, 16, 32, 64)
# The paper's own line between heads that copy and all others.
_THRESHOLD = 0.1
_SHOWN_HEADS = 12


@dataclass(frozen=True, slots=True)
class Detection:
    """Copy scores and the trials behind them.

    Args:
        scores: share of needle tokens copied, (layers, heads) in [0, 1], over the trials that count.
        trials: length, depth, recall and whether it counts, of each.
    """

    scores: Tensor
    trials: list[dict[str, Any]]


def detect_copy_heads(
    material: StudyMaterial,
    questions: Sequence[NeedleQuestion],
    grid: NeedleGrid,
    settings: CopySettings,
    journal: Journal,
    on_progress: Advance,
) -> Detection:
    """Ask for every needle at every length and depth; trials that the journal holds are not made again.

    Raises:
        TeacherError: in no trial was enough of the needle written.
    """
    import torch

    from teachers.copying import CopyTrial, copy_scores, copy_trial
    from teachers.needles import NeedleBuilder, NeedleSettings

    reader = material.reader()
    prompts = build_prompts(NeedleBuilder(reader.prompts.tokenizer, NeedleSettings()), questions, grid)
    model = [material.identity, str(reader.model.dtype)]
    trials: list[CopyTrial] = []
    told: list[dict[str, Any]] = []
    stood = 0
    for done, (question, length, depth, prompt) in enumerate(prompts, start=1):
        key = journal_key("copying", model, settings.model_dump(), prompt.ids, prompt.needle)
        kept = journal.get(key)
        if kept is None:
            trial = copy_trial(reader.model, prompt, settings)
            copied = [[round(float(value), 6) for value in row] for row in trial.copied]
            journal.put(key, {"copied": copied, "recall": trial.recall, "counts": trial.counts})
        else:
            stood += 1
            trial = CopyTrial(torch.tensor(kept["copied"]), [], kept["recall"], kept["counts"])
        trials.append(trial)
        told.append({"query_id": question.query_id, "length": length, "depth": depth,
                     "recall": trial.recall, "counts": trial.counts})  # fmt: skip
        on_progress(done, len(prompts), stood=stood)
    return Detection(copy_scores(trials), told)


def study_copying(
    material: StudyMaterial,
    needles: int,
    grid: NeedleGrid,
    settings: CopySettings,
    folder: Path,
    on_progress: Advance,
) -> StudyResult:
    """Detect copy-paste heads over all layers of the model and compare them with the sets that rank.

    Args:
        material: judged lists; the first collection's give needles, and its other lists the sets that rank.
        needles: questions asked, each at every length and depth.
        grid: lengths and depths.
        settings: of the detection.
        folder: where trials are kept while the study runs.
        on_progress: told the trials made.

    Raises:
        DataError: too few questions have a needle.
        TeacherError: in no trial was enough of the needle written.
    """
    from teachers.copying import copy_heads
    from teachers.head_sets import HeadSetSettings, find_head_sets

    entry = material.collections[0]
    questions = draw_questions(entry, needles, grid.most_words)
    found = detect_copy_heads(material, questions, grid, settings, Journal(folder / "copying.jsonl"), on_progress)
    asked = {question.query_id for question in questions}
    others = [place for place, query_id in enumerate(entry.candidates) if query_id not in asked]
    sets = find_head_sets(
        [entry.scores[place] for place in others], [entry.gains[place] for place in others],
        HeadSetSettings(count=max(SIZES), features=entry.section.routehead.features),
        copy=copy_heads(found.scores, max(SIZES)),
    )  # fmt: skip
    overlaps = _overlaps({str(name): heads for name, heads in sets.items()}, material)
    counted = sum(trial["counts"] for trial in found.trials)
    facts = {
        **material.facts(), "needles": needles, "grid": asdict(grid), "settings": settings.model_dump(),
        "trials": found.trials, "trials_counted": counted,
        "heads_that_copied": int((found.scores > 0).sum()), "lists_for_sets": len(others),
        "scores": {str(head): float(found.scores[head.layer, head.index]) for head in _heads(found.scores)},
        "sets": {name: [str(head) for head in heads] for name, heads in sets.items()}, "overlaps": overlaps,
    }  # fmt: skip

    def draw(figure: Figure) -> None:
        _draw(figure, found, overlaps, material, counted)

    return StudyResult(
        "copying",
        "Which heads copy the needle while the model writes it, and are they the heads that rank?",
        _answer(found, overlaps, material, counted),
        [_head_table(found, sets, material), _overlap_table(overlaps), _trial_table(found, grid)],
        facts,
        draw,
    )


def _heads(scores: Tensor) -> list[Head]:
    """All heads, the one that copies most first."""
    order = scores.flatten().double().argsort(descending=True, stable=True)
    return [Head.of_flat(flat, scores.shape[1]) for flat in order.tolist()]


def _overlaps(sets: Mapping[str, list[Head]], material: StudyMaterial) -> list[dict[str, Any]]:
    """Heads that the first k copy heads share with the first k of each set, against chance.

    Chance: k heads drawn from those that were read, of which the copy heads within the read layers are some.
    """
    from scipy import stats

    rows = []
    for size in [size for size in SIZES if size <= material.heads] or [material.heads]:
        copy = set(sets["copy"][:size])
        within = sum(head.layer < material.layers for head in copy)
        for name in ("query_focused", "contrastive", "routed"):
            shared = len(copy & set(sets[name][:size]))
            p_value = float(stats.hypergeom.sf(shared - 1, material.heads, within, size))
            rows.append({"set": name, "size": size, "shared": shared, "copy_heads_within_depth": within,
                         "chance": within * size / material.heads, "p_value": p_value})  # fmt: skip
    return rows


def _answer(found: Detection, overlaps: list[dict[str, Any]], material: StudyMaterial, counted: int) -> list[str]:
    total = found.scores.numel()
    copying = int((found.scores > _THRESHOLD).sum())
    best = _heads(found.scores)[0]
    deep = [head for head in _heads(found.scores)[:copying] if head.layer >= material.layers]
    row = [entry for entry in overlaps if entry["set"] == "query_focused" and entry["size"] <= 16][-1]
    return [
        f"{copying} of {total} heads copy more than {_THRESHOLD:.0%} of the needle's tokens; the first, {best}, copies "
        f"{float(found.scores.max()):.0%} (mean over the {counted} of {len(found.trials)} trials that count).",
        f"{len(deep)} of those {copying} lie in layers from {material.layers} on, which the teacher does not read; "
        f"{int((found.scores > 0).sum())} heads copied anything: a larger set of copy heads has no more.",
        f"Of the first {row['size']} copy heads {row['shared']} are among the first {row['size']} query-focused ones, "
        f"where chance gives {row['chance']:.1f} (one-sided p {row['p_value']:.2g}).",
    ]


def _head_table(found: Detection, sets: Mapping[Any, list[Head]], material: StudyMaterial) -> StudyTable:
    names = ("query_focused", "contrastive", "routed")
    rows = []
    for head in _heads(found.scores)[:_SHOWN_HEADS]:
        places = [sets[name].index(head) + 1 if head in sets[name] else None for name in names]
        read = "yes" if head.layer < material.layers else "no"
        rows.append((str(head), float(found.scores[head.layer, head.index]), read, *places))
    columns = ("head", "needle tokens copied", "layer is read", *(f"place among {name}" for name in names))
    return StudyTable(f"heads that copy most; places within the first {max(SIZES)}", columns, rows)


def _overlap_table(overlaps: list[dict[str, Any]]) -> StudyTable:
    columns = ("set", "heads", "shared with copy heads", "by chance", "p (one-sided)", "copy heads in layers read")
    names = ("set", "size", "shared", "chance", "p_value", "copy_heads_within_depth")
    return StudyTable("overlap", columns, [tuple(row[name] for name in names) for row in overlaps])


def _trial_table(found: Detection, grid: NeedleGrid) -> StudyTable:
    rows: list[tuple[str | int | float | None, ...]] = []
    for length in grid.lengths:
        for depth in grid.depths:
            own = [trial for trial in found.trials if (trial["length"], trial["depth"]) == (length, depth)]
            recall = sum(trial["recall"] for trial in own) / len(own)
            rows.append((length, depth, len(own), sum(trial["counts"] for trial in own), recall))
    return StudyTable("trials", ("tokens", "depth", "trials", "that count", "mean recall of the needle"), rows)


def _draw(
    figure: Figure, found: Detection, overlaps: list[dict[str, Any]], material: StudyMaterial, counted: int
) -> None:
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.4))
    image = left.imshow(found.scores.numpy(), cmap="Blues", vmin=0, aspect="auto", interpolation="nearest")
    left.axhline(material.layers - 0.5, color=COLOURS[5], linestyle="--", linewidth=1)
    left.set(xlabel="head", ylabel="layer", title=f"needle tokens copied (n = {counted} trials)")
    figure.colorbar(image, ax=left, label="share of needle tokens")
    sizes = sorted({row["size"] for row in overlaps})
    names = list(dict.fromkeys(row["set"] for row in overlaps))
    width = 0.8 / len(names)
    for number, name in enumerate(names):
        own = [row for row in overlaps if row["set"] == name]
        at = [place + (number - (len(names) - 1) / 2) * width for place in range(len(sizes))]
        right.bar(at, [row["shared"] / row["size"] for row in own], width, color=COLOURS[number], label=label(name))
        chance = [row["chance"] / row["size"] for row in own]
        right.plot(at, chance, "_", color="black", markersize=14, label="chance" if number == 0 else None)
    right.set_xticks(range(len(sizes)), [str(size) for size in sizes])
    right.set(xlabel="heads in each set", ylabel="share also among the copy heads", ylim=(0, 1))
    right.set_title(f"sets found on {label(material.collections[0].name)}; dashed left: last layer read")
    right.legend()
