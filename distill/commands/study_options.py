"""Options that all studies share, and what stands before and after every study's own work."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from distill.commands.terminal import table_console

if TYPE_CHECKING:
    from distill.studies.material import StudyMaterial
    from distill.studies.study import StudyResult

Teachers = Annotated[
    list[Path], typer.Argument(help="folder of a fitted teacher; or one for each --collection, in their order")
]
Collections = Annotated[list[Path], typer.Option("--collection", help="BEIR folder; repeatable")]
Runs = Annotated[
    list[Path], typer.Option("--run", help="TREC run with its candidates; one for each --collection, in their order")
]
Splits = Annotated[
    list[str] | None, typer.Option("--split", help="split of judged queries; repeatable; default: all there are")
]
Candidates = Annotated[int, typer.Option(help="documents of each list", min=2)]
Limit = Annotated[int | None, typer.Option(help="most lists of each collection, drawn by a fixed seed", min=1)]
Out = Annotated[Path, typer.Option(help="folder for NAME.json, NAME.png and NAME.md; several studies may share it")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="replace what is there")]


def run_study(
    name: str,
    out: Path,
    overwrite: bool,
    opened: Callable[[Console], StudyMaterial],
    study: Callable[[StudyMaterial, Console], StudyResult],
) -> None:
    """Refuse what would be overwritten, then open the material, make the study, write it and show it."""
    from distill.studies.study import refuse_existing_study, show_study, write_study

    refuse_existing_study(name, out, overwrite)
    console = Console()
    result = study(opened(console), console)
    _, picture, _ = write_study(result, out, overwrite)
    show_study(table_console(140), result)
    console.print(f"picture: {picture}", markup=False, highlight=False, soft_wrap=True)


def opened_from(
    teachers: list[Path],
    collections: list[Path],
    runs: list[Path],
    splits: list[str] | None,
    candidates: int,
    limit: int | None = None,
) -> Callable[[Console], StudyMaterial]:
    """Opens the material that the shared options name, with progress where lists must be read."""

    def opened(console: Console) -> StudyMaterial:
        from distill.progress import progress_bar
        from distill.studies.material import open_material, sources

        given = sources(teachers, collections, runs)
        with progress_bar(console, "teacher", "lists") as advance:
            return open_material(given, splits, candidates, limit, advance)

    return opened
