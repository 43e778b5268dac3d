"""What the label job's bookkeeping costs, beside the lightest judge that one would use."""

from __future__ import annotations

import random
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import BertConfig, BertForSequenceClassification

from labeling.job import run_label_job
from labeling.judge import ScoreAdapter
from labeling.label_lists import CandidateList

LISTS, DOCUMENTS, WORDS, REPEATS = 25, 50, 60, 5


class TimedScorer:
    """The shape of the smallest BERT in use (2 layers, width 128), with random weights: lighter than any teacher."""

    def __init__(self) -> None:
        self.seconds = 0.0
        torch.manual_seed(0)
        config = BertConfig(
            hidden_size=128, num_hidden_layers=2, num_attention_heads=2, intermediate_size=512, num_labels=1
        )
        self._model = BertForSequenceClassification(config).eval()

    def score(self, query: str, documents: Sequence[str]) -> list[float]:
        """One score per document; a word's id is its length, as what it means costs no time."""
        begun = time.perf_counter()
        ids = torch.tensor([[len(word) for word in f"{query} {document}".split()] for document in documents])
        with torch.inference_mode():
            scores: list[float] = self._model(input_ids=ids).logits[:, 0].tolist()
        self.seconds += time.perf_counter() - begun
        return scores


def label_overhead() -> dict[str, Any]:
    """Seconds of a job over the seconds that its judge's calls take, the median over repetitions.

    Both are taken in one pass, because on a busy machine two passes differ by more than the bookkeeping.
    """
    scorer = TimedScorer()
    judge = ScoreAdapter(scorer, {"name": "smallest cross-encoder"})
    lists = _lists()
    _job(lists[:5], judge)
    jobs, calls = [], []
    for _ in range(REPEATS):
        scorer.seconds = 0.0
        jobs.append(_job(lists, judge))
        calls.append(scorer.seconds)
    extra = statistics.median(job - call for job, call in zip(jobs, calls, strict=True)) / LISTS
    return {
        "name": "label_overhead",
        "value": statistics.median(job / call for job, call in zip(jobs, calls, strict=True)),
        "unit": "seconds of the job over seconds in the judge",
        "against": f"at most 1.03; for a list of {DOCUMENTS} documents {1000 * extra:.2f} ms "
        f"beside {1000 * statistics.median(calls) / LISTS:.0f} ms in the judge",
        "n": REPEATS,
    }


def _lists() -> list[CandidateList]:
    draw = random.Random(0)
    words = ["x" * draw.randint(1, 12) for _ in range(1000)]
    texts = [" ".join(draw.choices(words, k=WORDS)) for _ in range(500)]
    made = []
    for number in range(LISTS):
        chosen = draw.sample(range(len(texts)), DOCUMENTS)
        query = " ".join(draw.choices(words, k=4))
        made.append(CandidateList(f"q{number}", query, [f"d{i}" for i in chosen], [texts[i] for i in chosen]))
    return made


def _job(lists: list[CandidateList], judge: ScoreAdapter) -> float:
    with tempfile.TemporaryDirectory() as folder:
        begun = time.perf_counter()
        run_label_job(lists, judge, Path(folder))
        return time.perf_counter() - begun
