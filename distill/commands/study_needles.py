"""`distill teacher study masking` and `copying`: what heads do in needle-in-a-haystack prompts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from distill.commands.study_options import (
    Candidates,
    Collections,
    Limit,
    Out,
    Overwrite,
    Runs,
    Splits,
    Teachers,
    opened_from,
    run_study,
)

if TYPE_CHECKING:
    from distill.studies.material import StudyMaterial
    from distill.studies.needle_questions import NeedleGrid
    from distill.studies.study import StudyResult

# A pass of SmolLM2-135M takes 1.5 ms a token on two cores, and a written token 0.07 s. copying: 10 needles x 9 places x
# (530 tokens x 1.5 ms + 50 written x 0.07 s) = 6 min. masking: those 6 min, unless copying ran into the same folder,
# and 15 sets x 90 prompts x 0.8 s = 18 min and 14 sets x 12 lists x 2 s = 6 min.
Lengths = Annotated[list[int] | None, typer.Option("--length", help="tokens of a context; default: 200, 400, 800")]
Depths = Annotated[
    list[float] | None, typer.Option("--depth", help="share of it before the needle; default: 0.1, 0.5, 0.9")
]
Words = Annotated[int, typer.Option("--needle-words", help="longer texts are neither needle nor hay", min=5)]
CopyNeedles = Annotated[int, typer.Option(help="questions on which copy heads are found", min=1)]
Forced = Annotated[bool, typer.Option(help="copy heads: force the needle, for a model that does not answer with it")]
Recall = Annotated[float, typer.Option(help="share of a needle that an answer must hold to count", min=0, max=1)]


def copying(
    teacher: Teachers,
    collection: Collections,
    run: Runs,
    out: Out,
    split: Splits = None,
    candidates: Candidates = 20,
    limit: Limit = None,
    length: Lengths = None,
    depth: Depths = None,
    copy_needles: CopyNeedles = 10,
    needle_words: Words = 40,
    least_recall: Recall = 0.5,
    teacher_forced: Forced = False,
    overwrite: Overwrite = False,
) -> None:
    """Which heads copy the needle while the model writes it, and are they those that rank? About 6 minutes."""

    def study(material: StudyMaterial, console: Console) -> StudyResult:
        from distill.progress import progress_bar
        from distill.studies.copying import study_copying
        from teachers.copying import CopySettings

        settings = CopySettings(teacher_forced=teacher_forced, least_recall=least_recall)
        with progress_bar(console, "copying", "prompts") as advance:
            return study_copying(material, copy_needles, _grid(length, depth, needle_words), settings, out, advance)

    run_study("copying", out, overwrite, opened_from(teacher, collection, run, split, candidates, limit), study)


def masking(
    teacher: Teachers,
    collection: Collections,
    run: Runs,
    out: Out,
    split: Splits = None,
    candidates: Candidates = 20,
    limit: Limit = None,
    length: Lengths = None,
    depth: Depths = None,
    needles: Annotated[int, typer.Option(help="questions whose needle is asked for", min=2)] = 10,
    copy_needles: CopyNeedles = 10,
    lists: Annotated[int, typer.Option(help="lists ranked again without the heads", min=2)] = 12,
    heads: Annotated[list[int] | None, typer.Option(help="heads of a masked set; default: 16, 64", min=1)] = None,
    random_draws: Annotated[int, typer.Option(help="random sets of each size, averaged", min=1)] = 3,
    needle_words: Words = 40,
    least_recall: Recall = 0.5,
    teacher_forced: Forced = False,
    overwrite: Overwrite = False,
) -> None:
    """Which heads does the model need, to find a needle and to rank? About 24 minutes after copying, else 30."""

    def study(material: StudyMaterial, console: Console) -> StudyResult:
        from distill.progress import progress_bar
        from distill.studies.masking import MaskingSizes, study_masking
        from teachers.copying import CopySettings

        settings = CopySettings(teacher_forced=teacher_forced, least_recall=least_recall)
        sizes = MaskingSizes(needles, copy_needles, lists, tuple(sorted(set(heads or (16, 64)))), random_draws)
        grid = _grid(length, depth, needle_words)
        with progress_bar(console, "masking", "readings") as advance:
            return study_masking(material, sizes, grid, settings, out, advance)

    run_study("masking", out, overwrite, opened_from(teacher, collection, run, split, candidates, limit), study)


def _grid(lengths: list[int] | None, depths: list[float] | None, words: int) -> NeedleGrid:
    from distill.studies.needle_questions import NeedleGrid

    return NeedleGrid(tuple(lengths or (200, 400, 800)), tuple(depths or (0.1, 0.5, 0.9)), words)
