"""Layer-by-head maps of a teacher's heads, for the terminal and as a picture."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

from rich.text import Text

from teachers.heads import Head

# Eight steps of one cell, from hardly used to used most.
_STEPS = "▁▂▃▄▅▆▇█"


def terminal_map(weights: Mapping[Head, float], layers: int, heads_per_layer: int) -> Text:
    """One line a layer, deepest last; a bar's height is the head's share of the largest weight, red where negative."""
    largest = max((abs(weight) for weight in weights.values()), default=0.0) or 1.0
    shown = Text(f"layer  heads 0 to {heads_per_layer - 1}\n")
    for layer in range(layers):
        shown.append(f"{layer:>5}  ")
        for index in range(heads_per_layer):
            weight = weights.get(Head(layer, index))
            if weight is None:
                shown.append("·", style="dim")
                continue
            step = _STEPS[min(len(_STEPS) - 1, int(abs(weight) / largest * len(_STEPS)))]
            shown.append(step, style="red" if weight < 0 else "blue")
        shown.append("\n")
    return shown


def write_map(
    weights: Mapping[Head, float], layers: int, heads_per_layer: int, title: str, place: Path | BinaryIO
) -> None:
    """Write the map as a PNG to a path or an open file.

    Blue is a positive weight, orange a negative one, white a head that is not used.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(2 + 0.22 * heads_per_layer, 1.6 + 0.18 * layers), layout="constrained")
    grid = [[weights.get(Head(layer, index), 0.0) for index in range(heads_per_layer)] for layer in range(layers)]
    largest = max((abs(weight) for weight in weights.values()), default=0.0) or 1.0
    axes = figure.subplots()
    image = axes.imshow(grid, cmap="PuOr", vmin=-largest, vmax=largest, aspect="auto", interpolation="nearest")
    axes.set(xlabel="head", ylabel="layer", title=title)
    figure.colorbar(image, ax=axes, label="mean weight")
    figure.savefig(place, dpi=150, format="png")
