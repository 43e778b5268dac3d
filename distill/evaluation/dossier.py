"""Everything that a comparison's report tells, gathered: differences, depth, agreement, changed queries, texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from distill.evaluation.agreement import Agreement
from distill.evaluation.budget import Budget
from distill.evaluation.changes import QueryChange
from distill.evaluation.comparison import Comparison
from distill.evaluation.resampling import RESAMPLES

DEPTHS = (1, 3, 5, 10, 20, 50, 100)


@dataclass(frozen=True, slots=True)
class SystemFacts:
    """What is told of one run beside its measures.

    Args:
        judged: mean share of its first 10 documents that have a judgment.
        recall: mean share of a query's relevant documents among its candidates, however deep.
        depth: most documents of a query.
        by_depth: mean nDCG at each of `DEPTHS`.
        milliseconds: median per query; None where it was not measured.
    """

    judged: float
    recall: float
    depth: int
    by_depth: Mapping[int, float]
    milliseconds: float | None = None


@dataclass(frozen=True)
class Dossier:
    """A comparison with all that is told beside it.

    Args:
        title: names the comparison.
        comparison: the figures.
        system: the run that may be shipped.
        reference: the run that it is to beat.
        verdict: one sentence.
        judgments: where the judgments come from, as "qrels/test.tsv".
        from_teacher: whether these are a teacher's labels, not people's.
        facts: by system.
        worst: queries on which the system loses most.
        best: queries on which it gains most.
        agreements: with the teacher, by system.
        ceiling: the teacher's agreement with itself under another order of the candidates.
        beside_teacher: the teacher's and the system's scores of documents, in standard deviations within their list.
        teacher: the teacher's name; None where no teacher's run was given.
        queries: texts of the queries in `worst` and `best`; empty where no collection was given.
        documents: texts of their documents, likewise.
        first_stage: name of the run that the candidates come from; None where it is not known.
        resamples: of the comparison's tests and intervals, so that the report can name them.
        seed: likewise.
        budgets: labels that each run's student was trained on, by system, as far as they are known.
    """

    title: str
    comparison: Comparison
    system: str
    reference: str
    verdict: str
    judgments: str
    from_teacher: bool
    facts: Mapping[str, SystemFacts]
    worst: list[QueryChange]
    best: list[QueryChange]
    agreements: Mapping[str, Agreement] = field(default_factory=dict)
    ceiling: Agreement | None = None
    beside_teacher: Sequence[tuple[float, float]] = ()
    teacher: str | None = None
    queries: Mapping[str, str] = field(default_factory=dict)
    documents: Mapping[str, str] = field(default_factory=dict)
    first_stage: str | None = None
    resamples: int = RESAMPLES
    seed: int = 0
    budgets: Mapping[str, Budget] = field(default_factory=dict)
