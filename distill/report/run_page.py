"""The story of a recipe's run as one page: data, teacher, labels, training, comparison, exported models."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import asdict
from io import BytesIO
from pathlib import Path

from distill.progress import duration
from distill.report.comparison_page import write_comparison_page
from distill.report.head_map import write_map
from distill.report.page import write_page
from distill.stages.run_story import RunStory, StudentFacts
from teachers.heads import Head

INDEX = "index.html"


def write_run_pages(story: RunStory, folder: Path) -> list[Path]:
    """Write ``index.html`` and a comparison page a student into the folder; pages that stand there are replaced.

    Returns:
        The pages, the index first.
    """
    folder.mkdir(parents=True, exist_ok=True)
    pages = {student.name: folder / f"{student.name}.html" for student in story.students}
    for student in story.students:
        write_comparison_page(student.dossier, pages[student.name])
    index = folder / INDEX
    write_page(
        "run.html", "comparison.css", "comparison.js", index,
        story=story,
        finished=story.finished,
        metrics=story.finished.metrics,
        measures=list(story.finished.metrics["measures"]),
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
