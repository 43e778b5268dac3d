"""`distill run`: a recipe from its collection to exported, measured students."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console


def run(
    recipe: Annotated[str, typer.Argument(help="a recipe file, or the name of a packaged one such as quickstart")],
    out: Annotated[Path, typer.Option(help="folder of the run; stages that it holds already are skipped")],
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="a setting over the recipe's, as section.key=value; repeatable")
    ] = None,
) -> None:
    """Carry out a recipe: collection, first stage, teacher, labels, students, evaluation, export.

    A recipe without a teacher compares runs and models.
    """
    from distill.chain import COMPARISON
    from distill.checking.report import checked_recipe
    from distill.commands.tables import metrics_table
    from distill.commands.terminal import visible
    from distill.pipeline import run_recipe
    from distill.report.comparison_files import PAGE
    from distill.steps import read_metrics

    console = Console()
    carried_out = run_recipe(checked_recipe(recipe, set_ or []), out, console)
    metrics = read_metrics(out)
    console.print()
    console.print(metrics_table(metrics))
    if (out / COMPARISON / PAGE).is_file():
        console.print(visible(str(out / COMPARISON / PAGE)), highlight=False, soft_wrap=True, markup=False)
    for name in carried_out.recipe.students():
        for exported in sorted((out / "export" / name).glob("model")):
            console.print(visible(f"ready to deploy: {exported}"), highlight=False, soft_wrap=True, markup=False)
