"""The gate of a quantised model: it may not change rankings, by real lists, more than its limits allow."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from distill.collections.collection import Qrels, Run
from distill.errors import ModelError
from distill.evaluation.agreement import agreement
from distill.evaluation.comparison import Contrast, compare

MEASURE = "nDCG@10"
FEWEST_LISTS = 10
"""Fewer lists than this say nothing about a ranking, whatever they say."""


class GateError(ModelError):
    """A quantised model that changes rankings more than its limits allow."""


@dataclass(frozen=True, slots=True)
class GateLimits:
    """What a quantised model has to keep of the fp32 model's rankings.

    Args:
        tau_b: least mean Kendall's tau-b.
        overlap: least mean share of the first ten documents in common.
        ndcg_loss: most nDCG@10 that may be lost, at the lower end of the difference's 95 % interval.

    The defaults part what was measured on 40 lists of WikiQA with the quickstart's encoder: one scale a matrix lost
    .012 and .043 of nDCG@10 at tau-b .84; one scale a channel lost nothing that could be seen (.004, gained .001) at
    tau-b .91 and overlap .94. A tau-b of .87 leaves 93.5 % of all pairs of documents in their order. With fifty judged
    lists the interval reaches about .03 to either side of any graph: a lower limit on it would refuse by chance.
    """

    tau_b: float = 0.87
    overlap: float = 0.9
    ndcg_loss: float = 0.05


@dataclass(frozen=True, slots=True)
class GateReport:
    """How a quantised model ranks beside its fp32 original, and what of that is not enough.

    Args:
        scheme: how the graph was quantised.
        lists: how many were ranked by both; ``documents`` in all.
        tau_b: mean Kendall's tau-b; ``top_1`` and ``overlap`` are the shares of lists with the same first document, and
            of the first ten documents in common.
        judged: lists with judgments; the figures of nDCG@10 are None where there are fewer than two.
        failures: what falls short, a sentence each.
        limits: what was asked for.
    """

    scheme: str
    lists: int
    documents: int
    tau_b: float
    top_1: float
    overlap: float
    judged: int
    ndcg_fp32: float | None
    ndcg: float | None
    difference: float | None
    low: float | None
    high: float | None
    failures: tuple[str, ...]
    limits: GateLimits

    @property
    def passed(self) -> bool:
        """Whether nothing falls short."""
        return not self.failures

    def to_json(self) -> dict[str, Any]:
        """Everything as JSON values."""
        return {**asdict(self), "failures": list(self.failures), "passed": self.passed}

    def summary(self) -> str:
        """The figures in one line."""
        shown = (
            f"{self.scheme}: {self.lists} lists, {self.documents} documents, Kendall tau-b {self.tau_b:.3f}, top-10 "
            f"overlap {self.overlap:.3f}, same first document {self.top_1:.3f}"
        )
        if self.difference is None:
            return f"{shown}; no judgments"
        return (
            f"{shown}; nDCG@10 {self.difference:+.4f} [{self.low:+.4f}, {self.high:+.4f}] from {self.ndcg_fp32:.4f} "
            f"over {self.judged} judged lists"
        )


def judge(fp32: Run, quantised: Run, qrels: Qrels, limits: GateLimits, scheme: str = "int8") -> GateReport:
    """Compare two scorings of the same lists.

    Args:
        fp32: the original's scores by query and document.
        quantised: the quantised model's.
        qrels: judgments of some of these queries.
        limits: what is asked for.
        scheme: how the graph was quantised, for the report.

    Raises:
        DataError: the runs share no query.
    """
    found = agreement(fp32, quantised, depth=10)
    contrast = _contrast(fp32, quantised, {query_id: qrels[query_id] for query_id in fp32 if query_id in qrels})
    failures = [
        f"{name} {value:.3f}, below {least}"
        for name, value, least in (
            ("Kendall tau-b", found.tau_b, limits.tau_b),
            ("top-10 overlap", found.overlap, limits.overlap),
        )
        if not value >= least
    ]
    if contrast is not None and contrast.low < -limits.ndcg_loss:
        failures.append(
            f"nDCG@10 {contrast.difference:+.4f}, down to {contrast.low:+.4f} at the lower end of its 95 % interval, "
            f"below -{limits.ndcg_loss}"
        )
    if found.queries < FEWEST_LISTS:
        failures.append(f"{found.queries} lists, fewer than {FEWEST_LISTS}: too few to tell")
    return GateReport(
        scheme=scheme,
        lists=found.queries,
        documents=sum(map(len, fp32.values())),
        tau_b=found.tau_b,
        top_1=found.top_1,
        overlap=found.overlap,
        judged=0 if contrast is None else contrast.queries,
        ndcg_fp32=None if contrast is None else contrast.reference_mean,
        ndcg=None if contrast is None else contrast.system_mean,
        difference=None if contrast is None else contrast.difference,
        low=None if contrast is None else contrast.low,
        high=None if contrast is None else contrast.high,
        failures=tuple(failures),
        limits=limits,
    )


def _contrast(fp32: Run, quantised: Run, qrels: Qrels) -> Contrast | None:
    if len(qrels) < 2:
        return None
    return compare({"fp32": fp32, "int8": quantised}, qrels, [MEASURE]).contrast("int8", "fp32")
