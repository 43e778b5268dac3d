"""Measures every way of using a teacher's heads on judged queries, each fitted on other queries than it ranks."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from distill.collections.collection import Collection, DataError, Qrels, Run
from distill.collections.trec import write_run
from distill.evaluation.measures import evaluate
from distill.evaluation.statistics import Interval, PairedDifference, mean_interval, paired_difference
from distill.progress import Advance
from distill.stages.candidates import answerable, scored, texts
from distill.stages.opinions import open_opinions
from distill.stages.teacher import open_reader, read_section

if TYPE_CHECKING:
    from torch import Tensor

    from distill.recipe.settings import MixSection
    from teachers.comparison import ComparisonSettings
    from teachers.fitting import RouteHeadSettings
    from teachers.head_scores import HeadScores

MEASURE = "nDCG@10"


@dataclass(frozen=True, slots=True)
class MethodRow:
    """One way of using heads: its quality over both populations, and its difference to the reference."""

    judged: Interval
    answerable: Interval
    difference: PairedDifference


@dataclass(frozen=True, slots=True)
class MethodComparison:
    """Held-out nDCG@10 of every method.

    Args:
        judged: number of judged queries; ``answerable``: of those with a relevant candidate, the only ones whose lists
            are read. The others count 0 for every method.
        candidates: documents read for each query.
        reference: the method that ``difference`` of each row is taken to, over the answerable queries.
        runs: each method's ranking of the answerable queries.
    """

    judged: int
    answerable: int
    candidates: int
    reference: str
    rows: dict[str, MethodRow]
    runs: dict[str, Run]

    def write(self, folder: Path) -> None:
        """Write ``evaluation.json`` and one TREC run a method under ``runs/``."""
        (folder / "runs").mkdir(parents=True, exist_ok=True)
        for name, run in self.runs.items():
            write_run(run, folder / "runs" / f"{name}.run", tag=name)
        content = {
            "measure": MEASURE, "judged": self.judged, "answerable": self.answerable,
            "candidates": self.candidates, "reference": self.reference,
            "methods": {name: asdict(row) for name, row in self.rows.items()},
        }  # fmt: skip
        (folder / "evaluation.json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


@dataclass(frozen=True, slots=True)
class ReadLists:
    """Judged lists as a teacher's model read them.

    Args:
        candidates: the lists that hold a relevant document.
        scores: head scores of each.
        others: by name, the first stage's scores of each list (documents,), and the pre-ranker's if one is asked for.
        routehead: the settings that the folder's teacher was fitted with.
    """

    candidates: Run
    scores: list[HeadScores]
    others: dict[str, list[Tensor]]
    routehead: RouteHeadSettings


def read_judged(
    collection: Collection, run: Run, qrels: Qrels, folder: Path, mix: MixSection | None, on_progress: Advance
) -> ReadLists:
    """Read the lists of the run that hold a relevant document.

    Args:
        collection: gives the texts.
        run: candidates of judged queries.
        qrels: their judgments; what is not judged counts as not relevant.
        folder: a fitted teacher's, whose stored head scores are used and added to. Its own fit plays no part.
        mix: a pre-ranker to measure and to mix in beside the first stage.
        on_progress: told how many lists are read.

    Raises:
        DataError: no list holds a relevant document.
        TeacherError: the folder holds no teacher.
    """
    import torch

    from teachers.score_store import HeadScoreStore, read_lists

    found = answerable(run, qrels)
    if not found:
        raise DataError(f"none of {len(run)} candidate lists holds a relevant document; give deeper lists")
    section = read_section(folder)
    lists = texts(collection, found)
    # opened first: a pre-ranker that is missing is known before hours of reading, not after
    opinions = open_opinions(mix, collection, run) if mix else {}
    reader, model = open_reader(section)
    scores = list(read_lists(reader, lists, HeadScoreStore(folder / "scores", model), on_progress))
    others = {"first_stage": [torch.tensor(list(docs.values())) for docs in found.values()]}
    for name, opinion in opinions.items():
        others[name] = [torch.tensor(list(opinion.score_pairs(query, documents))) for query, documents in lists]
    return ReadLists(found, scores, others, section.routehead)


def compare_methods(
    read: ReadLists, qrels: Qrels, settings: ComparisonSettings, on_progress: Advance
) -> MethodComparison:
    """Cross-validated nDCG@10 of every method, the first stage beside them.

    Args:
        read: the lists.
        qrels: judgments of all queries that the lists were chosen from.
        settings: of the comparison.
        on_progress: told how many folds are ranked.

    Raises:
        TeacherError: too few lists.
    """
    from teachers.comparison import REFERENCE, rank_out_of_fold
    from teachers.fitting import gains_of

    found = read.candidates
    gains = [gains_of(list(docs), qrels[query_id]) for query_id, docs in found.items()]
    ranked = rank_out_of_fold(read.scores, gains, read.others, read.routehead, settings, on_progress)
    runs = {name: scored(found, [row.tolist() for row in rows]) for name, rows in ranked.items()}
    return MethodComparison(
        judged=len(qrels), answerable=len(found), candidates=max(len(docs) for docs in found.values()),
        reference=REFERENCE, rows=_rows(runs, qrels, REFERENCE), runs=runs,
    )  # fmt: skip


def _rows(runs: Mapping[str, Run], qrels: Qrels, reference: str) -> dict[str, MethodRow]:
    judged = {
        name: {q: row[MEASURE] for q, row in evaluate(run, qrels, [MEASURE]).items()} for name, run in runs.items()
    }
    answerable = {name: [values[q] for q in runs[name]] for name, values in judged.items()}
    return {
        name: MethodRow(
            mean_interval(list(judged[name].values())),
            mean_interval(values),
            paired_difference(values, answerable[reference]),
        )
        for name, values in answerable.items()
    }
