"""Which heads rank well: one by one over many queries, and as sets for each query (the router's pseudo labels)."""

from __future__ import annotations

import torch
from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, NonNegativeInt, PositiveInt
from torch import Tensor

from teachers.features import JudgedLists

# Queries searched at once: bounds memory at about chunk x heads x documents numbers.
_CHUNK = 512
# A step must gain more than rounding noise.
_LEAST_GAIN = 1e-6


class SearchSettings(BaseModel):
    """How the head set of one query is searched."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    pool_size: PositiveInt = Field(32, description="best single heads that a set is searched among")
    cutoff: PositiveInt = Field(10, description="k of the nDCG@k that a set must raise")
    max_heads: PositiveInt = Field(8, description="most heads in one query's set")
    likelihood_weight: NonNegativeFloat = Field(
        0.1, description="weight of the smooth tie-breaker: log-likelihood of the relevant documents"
    )
    swap_rounds: NonNegativeInt = Field(2, description="rounds of swapping a chosen head for a better one")
    bootstraps: PositiveInt = Field(
        8, description="searches per query, each over a resample of its candidates; the label is how often a head won"
    )
    seed: int = Field(0, description="of the resamples")


def ndcg(scores: Tensor, lists: JudgedLists, cutoff: int) -> Tensor:
    """nDCG@cutoff with linear gains of each ranking, the ideal taken over the candidates.

    A document tied with others gets the mean of the ranks they share, so that constant scores earn no luck.

    Args:
        scores: (queries, rankings, documents).
        lists: the judged lists that were ranked.
        cutoff: ranks beyond it earn nothing.

    Returns:
        (queries, rankings); 0 for a list without a relevant document.
    """
    gains, at = _positives(lists)
    scores = scores.masked_fill(~lists.valid[:, None], -torch.inf)
    total = torch.zeros(scores.shape[:2])
    for column in range(gains.shape[1]):
        own = scores.gather(2, at[:, None, column, None].expand(-1, scores.shape[1], 1))
        rank = 0.5 + (scores > own).sum(-1) + 0.5 * (scores == own).sum(-1)
        total += gains[:, None, column] / (1 + rank).log2() * (rank <= cutoff)
    ideal = (gains / torch.arange(2, gains.shape[1] + 2).log2())[:, :cutoff].sum(1)
    return torch.where(ideal[:, None] > 0, total / ideal[:, None].clamp_min(1e-12), 0.0)


def listwise_log_likelihood(scores: Tensor, lists: JudgedLists) -> Tensor:
    """Mean log-probability of the relevant documents, weighted by gain, under a softmax of ``scores``.

    Args:
        scores: (queries, rankings, documents).
        lists: the judged lists that were ranked.

    Returns:
        (queries, rankings), at most 0; 0 for a list without a relevant document.
    """
    log_p = scores.masked_fill(~lists.valid[:, None], -torch.inf).log_softmax(-1)
    share = lists.gains / lists.gains.sum(-1, keepdim=True).clamp_min(1e-12)
    return (log_p.masked_fill(~lists.valid[:, None], 0.0) * share[:, None]).sum(-1)


def rank_heads(lists: JudgedLists, cutoff: int = 10) -> Tensor:
    """Heads from best to worst by mean single-head nDCG@cutoff, ties by place; (heads,) indices."""
    return single_head_ndcg(lists, cutoff).double().mean(0).argsort(descending=True, stable=True)


def single_head_ndcg(lists: JudgedLists, cutoff: int = 10) -> Tensor:
    """nDCG@cutoff of each list under each head alone, (queries, heads)."""
    return torch.cat([ndcg(chunk.features, chunk, cutoff) for chunk in _chunks(lists)])


def rank_heads_by_mass(lists: JudgedLists) -> Tensor:
    """Heads from best to worst by mean mass on a list's relevant documents; (heads,) indices.

    ``lists`` hold masses, not z-scores: `QRHEAD_FEATURES` gives the published rule.

    Source: Zhang, Xiong et al., Query-Focused Retrieval Heads Improve Long-Context Reasoning and Re-ranking, EMNLP
    2025 (the first of the two rules in its public code).
    """
    relevant = (lists.gains > 0).float()
    mass = torch.einsum("qhd,qd->qh", lists.features, relevant) / relevant.sum(1, keepdim=True).clamp_min(1)
    return mass.double().mean(0).argsort(descending=True, stable=True)


def rank_heads_contrastively(lists: JudgedLists, temperature: float) -> Tensor:
    """Heads from best to worst by mean `contrastive_shares`; (heads,) indices."""
    return contrastive_shares(lists, temperature).double().mean(0).argsort(descending=True, stable=True)


def contrastive_shares(lists: JudgedLists, temperature: float) -> Tensor:
    """Share of a relevant document among itself and the others under each head, (queries, heads).

    The share is that of a softmax of mass / ``temperature`` over the one relevant document and all that are not
    relevant, averaged over a list's relevant documents. ``lists`` hold masses under the query
    alone: `CORE_FEATURES`.

    Source: CoRe heads (arXiv 2510.02219).
    """
    logits = lists.features / temperature
    relevant = (lists.gains > 0) & lists.valid
    others = logits.masked_fill((relevant | ~lists.valid)[:, None], -torch.inf).logsumexp(-1, keepdim=True)
    share = (logits - torch.logaddexp(logits, others)).exp() * relevant[:, None]
    return share.sum(-1) / relevant.sum(1, keepdim=True).clamp_min(1)


def search_static_set(lists: JudgedLists, settings: SearchSettings, max_heads: int) -> list[int]:
    """One head set for all queries, by the forward selection that `search_sets` makes for each query.

    Selection stops at ``max_heads`` or when no head raises the mean objective.
    """
    chosen: list[int] = []
    total = torch.zeros(len(lists), 1, lists.features.shape[2])
    best = -torch.inf
    while len(chosen) < min(max_heads, lists.features.shape[1]):
        value = _objective((total + lists.features) / (len(chosen) + 1), lists, settings).double().mean(0)
        value[chosen] = -torch.inf
        if float(value.max()) <= best + _LEAST_GAIN:
            break
        best, head = float(value.max()), int(value.argmax())
        chosen.append(head)
        total = total + lists.features[:, head, None]
    return chosen


def search_sets(lists: JudgedLists, settings: SearchSettings) -> Tensor:
    """The head set of each query by forward selection and swaps, bool, (queries, heads).

    Every head of ``lists`` may be chosen: narrow the lists to a pool first. A set scores a document by the mean of
    its heads' features. Selection stops at ``max_heads`` or when no head raises the objective, nDCG@cutoff plus the
    weighted log-likelihood.
    """
    return torch.cat([_search_chunk(chunk, settings) for chunk in _chunks(lists)])


def soft_labels(lists: JudgedLists, settings: SearchSettings) -> Tensor:
    """How often each head is chosen over bootstraps of the candidates, (queries, heads), in [0, 1].

    With one relevant document the best set is mostly luck of the negatives at hand; a head that wins against many
    samples of them is not. The relevant documents stay in every sample.
    """
    generator = torch.Generator().manual_seed(settings.seed)
    total = torch.zeros(lists.features.shape[:2])
    for _ in range(settings.bootstraps):
        drawn = _bootstrap(lists.valid, generator) | (lists.gains > 0)
        total += search_sets(JudgedLists(lists.features, drawn, lists.gains, lists.states), settings)
    return total / settings.bootstraps


def _search_chunk(lists: JudgedLists, settings: SearchSettings) -> Tensor:
    queries, heads, documents = lists.features.shape
    chosen = torch.zeros(queries, heads, dtype=torch.bool)
    total = torch.zeros(queries, documents)
    best = _objective(torch.zeros(queries, 1, documents), lists, settings)[:, 0]
    for size in range(1, min(settings.max_heads, heads) + 1):
        value, head = _best_addition(total, chosen, size, lists, settings)
        better = (value > best + _LEAST_GAIN) & (chosen.sum(1) == size - 1)
        best = torch.where(better, value, best)
        chosen[better, head[better]] = True
        total[better] += lists.features[better, head[better]]
    for _ in range(settings.swap_rounds):
        if not _swap_each(chosen, total, best, lists, settings):
            break
    return chosen


def _best_addition(
    total: Tensor, barred: Tensor, size: Tensor | int, lists: JudgedLists, settings: SearchSettings
) -> tuple[Tensor, Tensor]:
    """The best head to bring each query's set to ``size``, and the objective then; both (queries,)."""
    divisor = size[:, None, None] if isinstance(size, Tensor) else size
    value = _objective((total[:, None] + lists.features) / divisor, lists, settings)
    found = value.masked_fill(barred, -torch.inf).max(1)
    return found.values, found.indices


def _swap_each(chosen: Tensor, total: Tensor, best: Tensor, lists: JudgedLists, settings: SearchSettings) -> bool:
    """Try to replace each chosen head once, in place; whether any query's set changed."""
    order = chosen.float().argsort(dim=1, descending=True, stable=True)
    sizes = chosen.sum(1)
    changed = False
    for slot in range(int(sizes.max())):
        head = order[:, slot]
        rows = torch.arange(len(chosen))
        rest = total - lists.features[rows, head]
        value, replacement = _best_addition(rest, chosen, sizes.clamp_min(1), lists, settings)
        better = (value > best + _LEAST_GAIN) & (slot < sizes)
        best[better] = value[better]
        chosen[rows[better], head[better]] = False
        chosen[rows[better], replacement[better]] = True
        total[better] = rest[better] + lists.features[better, replacement[better]]
        changed = changed or bool(better.any())
    return changed


def _objective(scores: Tensor, lists: JudgedLists, settings: SearchSettings) -> Tensor:
    return ndcg(scores, lists, settings.cutoff) + settings.likelihood_weight * listwise_log_likelihood(scores, lists)


def _bootstrap(valid: Tensor, generator: torch.Generator) -> Tensor:
    """Documents that a sample with replacement of each list's own size would hold, bool, (queries, documents)."""
    queries, documents = valid.shape
    counts = valid.sum(1, keepdim=True)
    draws = (torch.rand(queries, documents, generator=generator) * counts).long()
    live = torch.arange(documents)[None] < counts
    # valid documents stand first in their row, so a draw below the count is a valid document
    return torch.zeros(queries, documents).scatter_add(1, draws, live.float()) > 0


def _positives(lists: JudgedLists) -> tuple[Tensor, Tensor]:
    """Gains from high to low and the places of their documents, (queries, most relevant documents of a list)."""
    gains, at = (lists.gains * lists.valid).sort(dim=1, descending=True, stable=True)
    width = max(1, int((gains > 0).sum(1).max())) if len(gains) else 1
    return gains[:, :width], at[:, :width]


def _chunks(lists: JudgedLists) -> list[JudgedLists]:
    return [lists.take(range(start, min(start + _CHUNK, len(lists)))) for start in range(0, len(lists), _CHUNK)]
