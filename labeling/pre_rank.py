"""A pre-ranker's cut: the teacher reads the likely best and the likely worst candidates in one list."""

from __future__ import annotations

from collections.abc import Mapping

from labeling import LabelingError


def pre_rank(scores: Mapping[str, float], top: int, bottom: int = 0) -> list[str]:
    """The ids of the ``top`` best and the ``bottom`` worst documents, best first.

    Equal scores are ordered by document id, descending, as trec_eval does. No more than ``top + bottom`` candidates
    means all of them.

    Raises:
        LabelingError: ``top`` or ``bottom`` is negative, or both are zero.

    Source: Choi et al., RRADistill, EMNLP 2024 industry track: a pre-ranker's top-k and bottom-k go to the teacher.
    """
    if min(top, bottom) < 0 or top + bottom == 0:
        raise LabelingError(f"top and bottom must not be negative and not both zero; got top={top}, bottom={bottom}")
    ranking = sorted(scores, key=lambda doc_id: (scores[doc_id], doc_id), reverse=True)
    if top + bottom >= len(ranking):
        return ranking
    return ranking[:top] + ranking[len(ranking) - bottom :]
