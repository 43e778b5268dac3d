"""Loss and dev quality over a training's steps, as a picture."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from distill.collections.files import whole_file

CURVES = "curves.png"
HISTORY = "history.json"

# the last is what a soup logs, see students/soup.py; importing it from there would load torch for a picture
_LOSS, _DEV, _SOUP = "loss", "eval_dev_ndcg", "soup_dev_ndcg"
_WHOLE = {_LOSS: "training loss", "base": "of the student's scores", "term_control": "of the term control layer's"}

Points = list[tuple[int, float]]
"""Steps and values."""


def curves(history: Sequence[Mapping[str, Any]]) -> dict[str, Points]:
    """The curves that a training's history holds, by the name of what was logged, in the order of the steps.

    Args:
        history: what the trainer logged, as a student's report has it; entries without a step are left out.
    """
    named = [_LOSS, *sorted(_parts(history)), _DEV, _SOUP]
    found: dict[str, Points] = {
        name: sorted((int(entry["step"]), float(entry[name])) for entry in history if {"step", name} <= entry.keys())
        for name in named
    }
    return {name: points for name, points in found.items() if points}


def write_curves(history: Sequence[Mapping[str, Any]], title: str, path: Path, measured: str = "dev nDCG@10") -> None:
    """Write the curves as a PNG: losses above, dev nDCG@10 with its best step below; what was not logged is left out.

    Of a soup the trainings stand one behind the other, and dev nDCG@10 of their mean is a star at the end. A picture
    that stands at ``path`` is replaced, but only once the new one is whole. ``measured`` is what the lower panel is
    called: where a teacher's labels stood in for judgments, it must say so.
    """
    from matplotlib.figure import Figure

    drawn = curves(history)
    soup = drawn.pop(_SOUP, [])
    losses = {name: points for name, points in drawn.items() if name != _DEV}
    panels = [panel for panel in (losses, {_DEV: drawn[_DEV]} if _DEV in drawn else {}) if panel]
    figure = Figure(figsize=(7, 2.6 * max(1, len(panels)) + 0.4), layout="constrained")
    axes = figure.subplots(max(1, len(panels)), sharex=True, squeeze=False)[:, 0]
    for axis, panel in zip(axes, panels, strict=False):
        for name, points in panel.items():
            steps, values = zip(*points, strict=True)
            axis.plot(steps, values, marker="o" if len(points) < 30 else "", label=_WHOLE.get(name, name))
        axis.grid(alpha=0.3)
        if _DEV in panel:
            best_step, best = max(panel[_DEV], key=lambda point: point[1])
            axis.axvline(best_step, color="grey", linestyle=":")
            told = f"best {best:.3f} at step {best_step}"
            for step, averaged in soup:
                axis.plot(step, averaged, marker="*", markersize=12, color="black")
                told += f"; of the averaged weights {averaged:.3f} (star)"
            axis.set(ylabel="\n".join(textwrap.wrap(measured, 36)), title=told)
        else:
            axis.set(ylabel="loss")
            axis.legend()
    axes[-1].set(xlabel="step")
    figure.suptitle(title)
    with whole_file(path) as beside:
        figure.savefig(beside, dpi=120, format="png")


def write_history(history: Sequence[Mapping[str, Any]], folder: Path) -> None:
    """Write what was logged, as JSON and as a picture, beside a student's other files."""
    with whole_file(folder / HISTORY) as beside:
        beside.write_text(json.dumps(list(history), indent=1) + "\n", encoding="utf-8")
    write_curves(history, folder.name, folder / CURVES)


def _parts(history: Sequence[Mapping[str, Any]]) -> set[str]:
    """Names of the terms that an objective of several terms logs beside their sum."""
    steady = {"loss", "grad_norm", "learning_rate", "epoch", "step"}
    return {name for entry in history if _LOSS in entry for name in entry.keys() - steady}
