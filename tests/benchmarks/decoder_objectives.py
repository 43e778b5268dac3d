"""What the decoder's label and reason terms are worth: nDCG@10 with and without each, over seeds, on equal lists.

`python -m tests.benchmarks.decoder_objectives COLLECTION LABELS RUN OUT` trains a cut of the embedded model once per
objective and seed; `--help` has the sizes. A training whose figures stand in OUT is not done again.
"""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from datasets import Dataset
from transformers.utils import logging

from distill.collections.beir import read_beir
from distill.models import ModelReference, save_first_layers
from distill.stages.rankers import rerank
from students.decoder import DecoderSettings, train_decoder
from students.losses import LossName
from tests.benchmarks.ablation import MEASURE, Held, check_sizes, compared, held_lists, lists_to_learn
from tests.benchmarks.teacher_variants import MODEL

Objective = tuple[float, float]
"""Weights of the label (a) and of the reason (b)."""


def main(
    collection: Annotated[Path, typer.Argument(help="BEIR folder that was labelled")],
    labels: Annotated[Path, typer.Argument(help="label folder, with evidence")],
    run: Annotated[Path, typer.Argument(help="TREC run with candidates of the measured queries")],
    out: Annotated[Path, typer.Argument(help="folder for figures, one file a training")],
    split: Annotated[str, typer.Option(help="split that is measured")] = "test",
    judged: Annotated[str | None, typer.Option(help="learn from lists of this split's queries alone")] = None,
    start: Annotated[str, typer.Option(help="a decoder; cut to its first layers")] = MODEL,
    layers: int = 6,
    lists: Annotated[int, typer.Option(help="label lists, the first of the folder")] = 300,
    documents: Annotated[int, typer.Option(help="documents of a list, two of other queries among them")] = 10,
    candidates: Annotated[int, typer.Option(help="documents of a measured query")] = 20,
    queries: Annotated[int | None, typer.Option(help="most measured queries")] = None,
    label_weight: float = 0.1,
    reason_weight: float = 0.1,
    seeds: int = 3,
    loss: LossName = "margin_mse",
    max_tokens: int = 128,
    max_steps: Annotated[int, typer.Option(help="to try the script; below 1: two epochs")] = -1,
) -> None:
    """Train every objective with every seed, and print the figures and each objective's difference from the first."""
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    loaded = read_beir(collection)
    train = lists_to_learn(loaded, labels, lists, documents, judged)
    held = held_lists(loaded, run, split, candidates, queries)
    same: dict[str, Any] = {"loss": loss, "layers": layers, "max_tokens": max_tokens}
    if max_steps > 0:
        same["trainer"] = {"max_steps": max_steps}
    sizes = {**same, "start": start, "lists": len(train), "documents": documents, "judged": judged}
    check_sizes(out, {**sizes, "measured": list(held.run)})
    plain = out / "start"
    if not plain.exists():
        save_first_layers(ModelReference.parse(start), layers, plain)
    objectives = [(0.0, 0.0), (label_weight, 0.0), (0.0, reason_weight), (label_weight, reason_weight)]
    figures: dict[Objective, list[dict[str, Any]]] = {objective: [] for objective in objectives}
    # seed by seed, so that an ablation that is cut short has compared all objectives on whole seeds
    for seed in range(seeds):
        for label, reason in objectives:
            settings = DecoderSettings(seed=seed, label_weight=label, reason_weight=reason, **same)
            figures[label, reason].append(figure(plain, train, held, settings, out))
    print(f"{len(train)} lists of {documents}, {layers} layers, {len(held.run)} {split} queries of {candidates}")
    print(f"as given: {MEASURE} {np.mean(held.per_query(held.run)):.4f}")
    for objective in objectives:
        print(summary(objective, figures[objective], figures[objectives[0]]))


def figure(plain: Path, train: Dataset, held: Held, settings: DecoderSettings, out: Path) -> dict[str, Any]:
    """nDCG@10 of each measured query and the seconds of training, read from OUT where they stand."""
    name = f"a{settings.label_weight}-b{settings.reason_weight}-seed{settings.seed}"
    file = out / f"{name}.json"
    if file.exists():
        known: dict[str, Any] = json.loads(file.read_text())
        return known
    student = out / name
    shutil.rmtree(student, ignore_errors=True)
    begun = time.perf_counter()
    report = train_decoder(str(plain), train, [], settings, student)
    seconds = time.perf_counter() - begun
    values = held.per_query(rerank(student, held.collection, held.run))
    shutil.rmtree(student)
    found = {"values": values, "train_seconds": seconds, "steps": report.steps}
    file.write_text(json.dumps(found))
    print(f"{name}: {MEASURE} {np.mean(values):.4f}, {report.steps} steps, {seconds:.0f} s", flush=True)
    return found


def summary(objective: Objective, figures: list[dict[str, Any]], reference: list[dict[str, Any]]) -> str:
    """A line of one objective, paired with the first."""
    seconds = np.median([found["train_seconds"] / found["steps"] for found in figures])
    values, against = ([found["values"] for found in group] for group in (figures, reference))
    name = f"a={objective[0]} b={objective[1]}"
    return f"{compared(name, values, 'a=0 b=0', against)}; {seconds:.2f} s a step"


if __name__ == "__main__":
    typer.run(main)
