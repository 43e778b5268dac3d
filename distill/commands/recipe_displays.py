"""The tables of `distill recipes`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from distill.commands.terminal import visible
from distill.progress import duration

if TYPE_CHECKING:
    from distill.checking.estimate import Step
    from distill.checking.models import ModelFacts
    from distill.checking.rates import Hardware
    from distill.checking.report import CheckedRecipe
    from distill.recipe.header import RecipeHeader

_SMALL_TEACHER = 5e8


def recipes_table(headers: Sequence[RecipeHeader]) -> Table:
    """One row a recipe."""
    table = Table(title="packaged recipes; `distill recipes show NAME` prints one", title_justify="left")
    for column in ("recipe", "what it is", "hardware", "models"):
        table.add_column(column, overflow="fold", min_width=12, no_wrap=column == "recipe")
    for header in headers:
        said = (header.what, header.fields.get("Hardware", ""), header.fields.get("Models", ""))
        table.add_row(header.name, *map(escape, said))
    return table


def show_checked(console: Console, name: str, checked: CheckedRecipe, hardware: Sequence[Hardware]) -> None:
    """All problems, a line each; or where there are none what the recipe is and will take."""
    for problem in checked.problems:
        _line(console, str(problem))
    for note in checked.notes:
        _line(console, f"note: {note}")
    if checked.problems:
        count = len(checked.problems)
        _line(console, f"{name}: {count} problem{'' if count == 1 else 's'}")
        return
    if checked.models:
        console.print(_models_table(checked.models))
    _show_memory(console, checked)
    if checked.steps:
        _show_time(console, checked, list(hardware) or _fitting_hardware(checked))
    _line(console, f"{name}: no problem found")


def _models_table(models: Sequence[ModelFacts]) -> Table:
    table = Table(title="models; no weight was loaded, no network asked", title_justify="left")
    for column in ("key", "model", "where", "family"):
        table.add_column(column, overflow="fold")
    table.add_column("parameters", justify="right")
    for facts in models:
        size = "" if facts.parameters is None else f"{facts.parameters / 1e6:,.0f} M"
        table.add_row(*map(escape, (facts.key, visible(facts.reference), facts.where, facts.family or "?", size)))
    return table


def _show_memory(console: Console, checked: CheckedRecipe) -> None:
    if not checked.memory:
        return
    table = Table(title="memory of weights; activations and keys and values come on top", title_justify="left")
    for column in ("model", "arithmetic"):
        table.add_column(column, overflow="fold")
    table.add_column("memory", justify="right")
    for part in checked.memory:
        table.add_row(part.name, part.arithmetic, f"{part.bytes / 1e9:.1f} GB")
    console.print(table)


def _show_time(console: Console, checked: CheckedRecipe, hardware: Sequence[Hardware]) -> None:
    from distill.checking.rates import shares

    counted = "counted in the collection's files" if checked.load and checked.load.counted else "the recipe's limits"
    table = Table(title=f"time, about; lists are {counted}, words of a document read or assumed", title_justify="left")
    for column in ("stage", "arithmetic"):
        table.add_column(column, overflow="fold")
    for column in ("tokens", "parameters", *(f"on {each.name}" for each in hardware)):
        table.add_column(column, justify="right")
    for step in checked.steps:
        tokens = "?" if step.tokens is None else f"{step.tokens / 1e6:,.1f} M"
        parameters = "?" if step.parameters is None else f"{step.parameters / 1e6:,.1f} M x {2 * step.passes}"
        table.add_row(step.name, step.arithmetic, tokens, parameters, *(_time(step, each) for each in hardware))
    table.add_row("all", "", "", "", *(_total(checked.steps, each) for each in hardware), style="bold")
    console.print(table)
    _line(console, "time = tokens x parameters x operations each / rate; 2 to read, 4 or 6 to train")
    for each in hardware:
        source = (
            "measured"
            if each.measured
            else f"arithmetic, not measured: {shares()['read']:.0%} and "
            + (f"{shares()['train']:.0%} of the card's bf16 rate are assumed")
        )
        teacher = next((part.bytes for part in checked.memory if part.name == "teacher"), 0.0)
        if not each.measured and teacher > each.gigabytes * 1e9:
            source += f"; the teacher's weights alone fill {teacher / 1e9 / each.gigabytes:.1f} of them"
        read, train = each.operations["read"] / 1e9, each.operations["train"] / 1e9
        _line(console, f"{each.name}: {each.what}: {read:,.0f} and {train:,.0f} billion a second ({source})")


def _fitting_hardware(checked: CheckedRecipe) -> list[Hardware]:
    from distill.checking.rates import find_hardware

    teacher = next((facts for facts in checked.models if facts.key == "teacher.model"), None)
    small = teacher is None or teacher.parameters is None or teacher.parameters <= _SMALL_TEACHER
    return [find_hardware(name) for name in (["cpu2", "cpu2-bf16"] if small else ["a100", "h100"])]


def _time(step: Step, hardware: Hardware) -> str:
    seconds = step.seconds(hardware)
    return "?" if seconds is None else duration(seconds)


def _total(steps: Sequence[Step], hardware: Hardware) -> str:
    each = [step.seconds(hardware) for step in steps]
    return "?" if None in each else duration(sum(seconds for seconds in each if seconds is not None))


def _line(console: Console, text: str) -> None:
    console.print(visible(text), markup=False, highlight=False, soft_wrap=True)
