"""`distill recipes`: list the packaged recipes, show one, check one before it runs, and its schema for editors."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from distill.commands.terminal import table_console

app = typer.Typer(no_args_is_help=True, help="List recipes, show them, check one before it runs, schema for editors.")

_Recipe = Annotated[str, typer.Argument(help="a recipe file, or the name of a packaged one")]
_Set = Annotated[
    list[str] | None, typer.Option("--set", help="a setting over the recipe's, as section.key=value; repeatable")
]


@app.command("list")
def list_() -> None:
    """Print the packaged recipes: what each is, its hardware and its models."""
    from distill.commands.recipe_displays import recipes_table
    from distill.recipe.header import packaged_headers

    table_console(150).print(recipes_table(packaged_headers()))


@app.command()
def show(
    recipe: _Recipe,
    resolved: Annotated[
        bool, typer.Option("--resolved", help="with all that it extends and every default filled in")
    ] = False,
    set_: _Set = None,
) -> None:
    """Print a recipe: the file as it stands, or --resolved as a run would write it."""
    from distill.recipe.places import find_recipe

    if resolved:
        from distill.recipe.file import load_recipe, resolved_text

        typer.echo(resolved_text(load_recipe(recipe, set_ or [])), nl=False)
        return
    if set_:
        raise typer.BadParameter("the file as it stands knows no settings; add --resolved", param_hint="--set")
    typer.echo(find_recipe(recipe).read_text(encoding="utf-8", errors="replace"), nl=False)


@app.command()
def check(
    recipe: _Recipe,
    set_: _Set = None,
    hardware: Annotated[
        list[str] | None,
        typer.Option(help="to estimate the time on, such as cpu2 or h100; repeatable; default: by the teacher's size"),
    ] = None,
) -> None:
    """Print everything that is wrong with a recipe, each with its line, or else its models, tokens, memory and time.

    Nothing is loaded, downloaded or written. Exit code 0: it can run here; 2: it cannot.
    """
    from distill.checking.rates import find_hardware
    from distill.checking.report import check_recipe
    from distill.commands.recipe_displays import show_checked

    chosen = [find_hardware(name) for name in hardware or []]
    checked = check_recipe(recipe, set_ or [])
    show_checked(table_console(150), recipe, checked, chosen)
    if checked.problems:
        raise typer.Exit(2)


@app.command()
def schema() -> None:
    """Print the JSON schema of recipes, which editors complete and check them by."""
    from distill.recipe.json_schema import recipe_schema

    typer.echo(json.dumps(recipe_schema(), indent=1, ensure_ascii=False))
