"""What the decoder's label and reason terms are worth: nDCG@10 with and without each, over seeds, on equal lists.

`python -m tests.benchmarks.decoder_objectives COLLECTION LABELS RUN OUT` trains a cut of the embedded model once per
objective and seed; `--help` has the sizes. A training whose figures stand in OUT is not done again.
"""

from __future__ import annotations

import json
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from datasets import Dataset
from transformers.utils import logging

from distill.collections.beir import read_beir
from distill.collections.collection import Collection, Qrels, Run
from distill.collections.trec import check_run, read_run
from distill.evaluation.measures import evaluate
from distill.evaluation.statistics import mean_interval, paired_difference
from distill.models import ModelReference, save_first_layers
from distill.recipe import ListSection
from distill.stages.candidates import answerable, top
from distill.stages.labels import training_lists
from distill.stages.students import rerank
from students.decoder import DecoderSettings, train_decoder
from tests.benchmarks.teacher_variants import MODEL

MEASURE = "nDCG@10"
RANDOM = 2

Objective = tuple[float, float]
"""Weights of the label (a) and of the reason (b)."""


@dataclass(frozen=True)
class Held:
    """The lists that students are measured on, with their judgments."""

    collection: Collection
    run: Run
    qrels: Qrels

    def per_query(self, run: Run) -> list[float]:
        """nDCG@10 of each list."""
        return [row[MEASURE] for row in evaluate(run, self.qrels, [MEASURE]).values()]


def main(
    collection: Annotated[Path, typer.Argument(help="BEIR folder that was labelled")],
    labels: Annotated[Path, typer.Argument(help="label folder, with evidence")],
    run: Annotated[Path, typer.Argument(help="TREC run with candidates of the measured queries")],
    out: Annotated[Path, typer.Argument(help="folder for figures, one file a training")],
    split: Annotated[str, typer.Option(help="split that is measured")] = "test",
    start: Annotated[str, typer.Option(help="a decoder; cut to its first layers")] = MODEL,
    layers: int = 6,
    lists: Annotated[int, typer.Option(help="label lists, the first of the folder")] = 300,
    documents: Annotated[int, typer.Option(help="documents of a list, two of other queries among them")] = 10,
    candidates: Annotated[int, typer.Option(help="documents of a measured query")] = 20,
    queries: Annotated[int | None, typer.Option(help="most measured queries")] = None,
    label_weight: float = 0.1,
    reason_weight: float = 0.1,
    seeds: int = 3,
    max_tokens: int = 128,
    max_steps: Annotated[int, typer.Option(help="to try the script; below 1: two epochs")] = -1,
) -> None:
    """Train every objective with every seed, and print the figures and each objective's difference from the first."""
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    loaded = read_beir(collection)
    train = cut_lists(training_lists(loaded, labels, ListSection(random=RANDOM)), lists, documents)
    held = held_lists(loaded, run, split, candidates, queries)
    out.mkdir(parents=True, exist_ok=True)
    same: dict[str, Any] = {"layers": layers, "max_tokens": max_tokens}
    if max_steps > 0:
        same["trainer"] = {"max_steps": max_steps}
    check_sizes(out, {**same, "start": start, "lists": len(train), "documents": documents, "measured": list(held.run)})
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


def check_sizes(out: Path, sizes: dict[str, Any]) -> None:
    """Figures of other sizes in the same folder would be taken for these."""
    file, text = out / "sizes.json", json.dumps(sizes)
    if file.exists() and file.read_text() != text:
        raise typer.BadParameter(f"{out} holds figures of other sizes, see {file}; choose another folder")
    file.write_text(text)


def cut_lists(whole: Dataset, lists: int, documents: int) -> Dataset:
    """The first lists with enough documents: of those that the teacher judged, evenly spaced from the best on."""
    rows = []
    for row in whole:
        judged = [place for place, group in enumerate(row["groups"]) if group != "random"]
        drawn = [place for place, group in enumerate(row["groups"]) if group == "random"]
        if len(rows) < lists and len(judged) >= documents - len(drawn):
            spaced = np.linspace(0, len(judged) - 1, documents - len(drawn)).round().astype(int)
            kept = [*(judged[place] for place in spaced), *drawn]
            rows.append({k: [v[place] for place in kept] if isinstance(v, list) else v for k, v in row.items()})
    return Dataset.from_list(rows, features=whole.features)


def held_lists(collection: Collection, run: Path, split: str, candidates: int, queries: int | None) -> Held:
    """The split's candidate lists that hold a relevant document: elsewhere no order is better than another."""
    ranked, qrels = read_run(run), collection.split(split)
    check_run(ranked, collection, str(run))
    kept = answerable(top(ranked, qrels, candidates), qrels)
    kept = {query_id: kept[query_id] for query_id in list(kept)[:queries]}
    return Held(collection, kept, {query_id: qrels[query_id] for query_id in kept})


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
    """A line: the mean over seeds of each query's figure, with the interval over queries, paired with the reference."""
    values, against = (np.mean([found["values"] for found in group], axis=0).tolist() for group in (figures, reference))
    mean, difference = mean_interval(values), paired_difference(values, against)
    by_seed = ", ".join(f"{np.mean(found['values']):.4f}" for found in figures)
    seconds = np.median([found["train_seconds"] / found["steps"] for found in figures])
    return (
        f"a={objective[0]} b={objective[1]}: {MEASURE} {mean.mean:.4f} [{mean.low:.4f}, {mean.high:.4f}]"
        f" (seeds {by_seed}); minus a=0 b=0: {difference.interval.mean:+.4f}"
        f" [{difference.interval.low:+.4f}, {difference.interval.high:+.4f}], p={difference.p_value:.3f};"
        f" {seconds:.2f} s a step, n={len(values)}"
    )


if __name__ == "__main__":
    typer.run(main)
