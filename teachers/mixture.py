"""Mixes a teacher's score with other opinions on the same list: the first stage's score, a light pre-ranker's.

A small teacher's heads miss what a retriever knows. How much each opinion counts is learned on judged queries whose
head scores are held out, so that heads fitted on the same judgments do not look better than they are.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from teachers.baselines import learn_weights
from teachers.errors import TeacherError
from teachers.features import JudgedLists, zscore
from teachers.folds import fold_places
from teachers.head_scores import HeadScores
from teachers.head_search import ndcg
from teachers.teacher import HeadTeacher

HEADS = "heads"
"""The name of the teacher's own score in a mixture."""


class Opinion(Protocol):
    """Another ranker of the same list."""

    def score_pairs(self, query: str, documents: Sequence[str]) -> Sequence[float]:
        """One score per document, higher is better, in the order given."""
        ...

    def describe(self) -> Mapping[str, Any]:
        """What changes its scores, as JSON values."""
        ...


@dataclass(frozen=True, slots=True)
class MixtureReport:
    """Mean held-out nDCG@10 over the queries fitted on: of each opinion alone, and of the mixture."""

    queries: int
    alone: dict[str, float]
    mixed: float


@dataclass(frozen=True, slots=True)
class Mixture:
    """The weight of each opinion's z-score, by name; `HEADS` is the teacher's own."""

    weights: dict[str, float]

    def score(self, scores: Mapping[str, Tensor]) -> Tensor:
        """Mixed score of each document, (documents,), from each opinion's scores (documents,)."""
        return torch.stack([weight * zscore(scores[name].double()) for name, weight in self.weights.items()]).sum(0)

    def save(self, path: Path, fit: MixtureReport) -> None:
        """Write the weights, and beside them what the fit measured, as JSON that a person can read."""
        path.write_text(json.dumps({"weights": self.weights, "fit": asdict(fit)}, indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> Mixture:
        """Read what `save` wrote.

        Raises:
            TeacherError: the file is missing or holds no weights.
        """
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            return cls({str(name): float(weight) for name, weight in content["weights"].items()})
        except OSError as error:
            raise TeacherError(f"{path}: no mixture can be read here ({error.strerror})") from None
        except (ValueError, KeyError, TypeError, AttributeError):
            raise TeacherError(
                f'{path}: no mixture; expected is JSON with the weight of each opinion: {{"weights": {{"heads": 0.2}}}}'
            ) from None


def fit_mixture(
    scores: Mapping[str, Sequence[Tensor]], gains: Sequence[Sequence[float]], folds: int, seed: int
) -> tuple[Mixture, MixtureReport]:
    """Learn the weights by the listwise cross-entropy of the mixed ranking.

    Args:
        scores: for each opinion one tensor (documents,) a list; those of `HEADS` must be held out.
        gains: relevance of each list's documents; every list holds a relevant one.
        folds: parts of the lists, each held out once for the report.
        seed: of the folds.

    Raises:
        TeacherError: fewer lists than folds.
    """
    lists = _stacked(scores, gains)
    if len(lists) < folds:
        raise TeacherError(f"{len(lists)} candidate lists hold a relevant document; a mixture takes at least {folds}")
    mixed = torch.zeros(len(lists))
    for train, places in fold_places(len(lists), folds, seed):
        weights, held = learn_weights(lists.take(train), 0.0), lists.take(places)
        mixed[places] = ndcg(torch.einsum("h,qhd->qd", weights, held.features)[:, None], held, 10)[:, 0]
    alone = dict(zip(scores, ndcg(lists.features, lists, 10).mean(0).tolist(), strict=True))
    return learn_mixture(scores, gains), MixtureReport(len(lists), alone, float(mixed.mean()))


def learn_mixture(scores: Mapping[str, Sequence[Tensor]], gains: Sequence[Sequence[float]]) -> Mixture:
    """The weights that minimise the listwise cross-entropy of the mixed ranking; arguments as for `fit_mixture`."""
    weights = learn_weights(_stacked(scores, gains), 0.0)
    return Mixture(dict(zip(scores, weights.tolist(), strict=True)))


class MixedTeacher:
    """A head teacher whose score is mixed with other opinions; what is missing is still for its heads to say.

    Args:
        teacher: reads the heads.
        mixture: the weights.
        opinions: by the names of ``mixture``, without `HEADS`.

    Raises:
        TeacherError: the names are not those of the mixture.
    """

    def __init__(self, teacher: HeadTeacher, mixture: Mixture, opinions: Mapping[str, Opinion]) -> None:
        if {HEADS, *opinions} != set(mixture.weights):
            raise TeacherError(f"the mixture weighs {', '.join(mixture.weights)}; got {', '.join([HEADS, *opinions])}")
        self.teacher = teacher
        self.mixture = mixture
        self.opinions = dict(opinions)

    def judge(self, query: str, documents: Sequence[str]) -> list[dict[str, Any]]:
        """As `HeadTeacher.judge`, with the mixed score."""
        return self.judge_many([(query, documents)])[0]

    def judge_many(self, lists: Sequence[tuple[str, Sequence[str]]]) -> list[list[dict[str, Any]]]:
        """As `HeadTeacher.judge_many`, with the mixed score; ``confidence`` stays that of the heads alone."""
        read = self.teacher.judge_many(lists)
        return [self._mixed(*entry, answers) for entry, answers in zip(lists, read, strict=True)]

    def _mixed(self, query: str, documents: Sequence[str], answers: list[dict[str, Any]]) -> list[dict[str, Any]]:
        judged = dict(zip(documents, answers, strict=True))
        # mixed in a fixed order: means over documents then round alike, whatever order the caller gave
        texts = sorted(judged)
        mixed = self._mix(query, texts, torch.tensor([judged[text]["score"] for text in texts])).tolist()
        scores = dict(zip(texts, mixed, strict=True))
        return [{**judged[document], "score": scores[document]} for document in documents]

    def score_read(self, query: str, documents: Sequence[str], read: HeadScores) -> Tensor:
        """Mixed score of each document, (documents,), from a list that was read before."""
        return self._mix(query, documents, self.teacher.score_read(query, documents, read))

    def _mix(self, query: str, documents: Sequence[str], heads: Tensor) -> Tensor:
        scores = {HEADS: heads}
        for name, opinion in self.opinions.items():
            scores[name] = torch.tensor(list(opinion.score_pairs(query, documents)))
        return self.mixture.score(scores)

    def describe(self) -> dict[str, Any]:
        """The teacher's provenance, the weights, and what each opinion is."""
        opinions = {name: dict(opinion.describe()) for name, opinion in self.opinions.items()}
        return {**self.teacher.describe(), "mixture": self.mixture.weights, "opinions": opinions}


def _stacked(scores: Mapping[str, Sequence[Tensor]], gains: Sequence[Sequence[float]]) -> JudgedLists:
    width = max(len(row) for row in gains)
    features = torch.zeros(len(gains), len(scores), width)
    valid = torch.zeros(len(gains), width, dtype=torch.bool)
    relevance = torch.zeros(len(gains), width)
    for row, gain in enumerate(gains):
        valid[row, : len(gain)] = True
        relevance[row, : len(gain)] = torch.tensor(gain)
        for column, name in enumerate(scores):
            features[row, column, : len(gain)] = zscore(scores[name][row].float())
    return JudgedLists(features, valid, relevance, torch.zeros(len(gains), 1))
