"""`distill report`: a recipe's finished run as pages for people."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console


def report(
    folder: Annotated[Path, typer.Argument(metavar="RUN_FOLDER", help="folder of a `distill run`")],
    out: Annotated[Path | None, typer.Option(help="folder for the pages; default: RUN_FOLDER/report")] = None,
) -> None:
    """Tell a run from its data to its exported models, with a comparison of each student with the first stage."""
    from distill.commands.terminal import visible
    from distill.report.run_page import refuse_other_pages, write_run_pages
    from distill.stages.finished_run import open_finished
    from distill.stages.run_story import tell

    console = Console()
    finished = open_finished(folder)
    if out is not None:
        refuse_other_pages(finished.recipe, out)
    story = tell(finished)
    pages = write_run_pages(story, out or folder / "report")
    for student in story.students:
        console.print(student.says, highlight=False, soft_wrap=True, markup=False)
    if story.comparison is not None:
        console.print(story.comparison.verdict, highlight=False, soft_wrap=True, markup=False)
    names = ", ".join(page.name for page in pages[1:])
    beside = f", and beside it {names}" if names else ""
    console.print(visible(f"{pages[0]}{beside}"), highlight=False, soft_wrap=True, markup=False)
