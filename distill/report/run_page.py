"""The story of a recipe's run as one page: data, teacher, labels, training, comparison, exported models."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import asdict
from io import BytesIO
from pathlib import Path

from distill.chain import COMPARISON
from distill.collections.collection import DataError
from distill.progress import duration
from distill.recipe.settings import Recipe
from distill.report.comparison_page import write_comparison_page
from distill.report.disagreement_page import write_disagreement_page
from distill.report.head_map import write_map
from distill.report.page import write_page
from distill.stages.run_story import RunStory, StudentFacts
from teachers.heads import Head

INDEX = "index.html"

# how each page of this package begins to say what it allows itself, as jinja writes it
_MARK = b"default-src &#39;none&#39;; style-src &#39;sha256-"
_MARKED_WITHIN = 400


def run_pages(recipe: Recipe, folder: Path) -> dict[str, Path]:
    """Pages beside the index by what they tell of: each student, or without a teacher the systems' comparison."""
    names = [COMPARISON] if recipe.teacher is None else list(recipe.students())
    return {name: folder / f"{name}.html" for name in names}


def refuse_other_pages(recipe: Recipe, folder: Path) -> None:
    """Stop before any work where a page would take the place of a file that is none of ours.

    Raises:
        DataError: there is one.
    """
    for path in (folder / INDEX, *run_pages(recipe, folder).values()):
        if path.exists() and not (path.is_file() and _is_ours(path)):
            raise DataError(f"{path}: was not written by `distill report`, and is not replaced; choose another --out")


def _is_ours(path: Path) -> bool:
    with path.open("rb") as file:
        return _MARK in file.read(_MARKED_WITHIN)


def write_run_pages(story: RunStory, folder: Path) -> list[Path]:
    """Write ``index.html`` and a page a student into the folder; pages that stand there are replaced.

    A student's page is its comparison, or where nobody has judged the queries, its ranking beside the teacher's labels.
    Without a teacher there is one page, the systems' comparison.

    Returns:
        The pages, the index first.
    """
    folder.mkdir(parents=True, exist_ok=True)
    pages = run_pages(story.finished.recipe, folder)
    for student in story.students:
        if student.dossier is not None:
            write_comparison_page(student.dossier, pages[student.name])
        elif student.beside_labels is not None:
            write_disagreement_page(student.beside_labels, pages[student.name])
    if story.comparison is not None:
        write_comparison_page(story.comparison, pages[COMPARISON])
    index, metrics = folder / INDEX, story.finished.metrics
    write_page(
        "run.html", "comparison.css", "comparison.js", index,
        story=story,
        finished=story.finished,
        metrics=metrics,
        measures=list(metrics["measures"]),
        says=metrics.get("says"),
        answerable=metrics.get("answerable"),
        own_candidates=metrics.get("own_candidates", {}),
        without_labels=metrics.get("without_labels", 0),
        roles={role: len(query_ids) for role, query_ids in asdict(story.finished.plan).items()},
        fit=story.fit,
        labels=story.labels,
        curves={student.name: _curves(student) for student in story.students},
        head_map=_head_map(story.heads),
        pages={name: page.name for name, page in pages.items()},
        duration=duration,
    )  # fmt: skip
    return [index, *pages.values()]


def _curves(student: StudentFacts) -> str | None:
    return None if student.curves is None else _address(student.curves.read_bytes())


def _head_map(weights: Mapping[Head, float]) -> str | None:
    if not weights:
        return None
    picture = BytesIO()
    layers, heads = (max(places) + 1 for places in ((h.layer for h in weights), (h.index for h in weights)))
    write_map(weights, layers, heads, "learned weights", picture)
    return _address(picture.getvalue())


def _address(picture: bytes) -> str:
    """A PNG as an address that holds the picture itself."""
    return f"data:image/png;base64,{base64.b64encode(picture).decode()}"
