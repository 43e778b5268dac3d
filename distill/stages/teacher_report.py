"""Compares every way of using a teacher's heads on judged queries, each fitted on other queries than it ranks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from distill.collections.collection import Collection, Qrels, Run
from distill.progress import Advance
from distill.stages.candidates import texts
from distill.stages.teacher import open_reader, read_section

if TYPE_CHECKING:
    from teachers.comparison import Comparison, ComparisonSettings


def compare_methods(
    collection: Collection, run: Run, qrels: Qrels, folder: Path, settings: ComparisonSettings, on_progress: Advance
) -> Comparison:
    """Cross-validated nDCG@10 of every method on the run's queries, the first stage beside them.

    Args:
        collection: gives the texts.
        run: candidates of judged queries.
        qrels: their judgments; what is not judged counts as not relevant.
        folder: a fitted teacher's, whose stored head scores are used and added to. Its own fit plays no part.
        settings: of the comparison.
        on_progress: told how many lists are read.

    Raises:
        TeacherError: the folder holds no teacher, or too few lists hold a relevant document.
    """
    import torch

    from teachers.comparison import compare_rankers
    from teachers.fitting import gains_of
    from teachers.score_store import HeadScoreStore, read_lists

    section = read_section(folder)
    reader, _ = open_reader(section)
    scores = list(read_lists(reader, texts(collection, run), HeadScoreStore(folder / "scores"), on_progress))
    gains = [gains_of(list(candidates), qrels.get(query_id, {})) for query_id, candidates in run.items()]
    first = [torch.tensor(list(candidates.values())) for candidates in run.values()]
    return compare_rankers(scores, gains, {"first_stage": first}, section.routehead, settings)
