"""What the ablations of training share: equal lists to train on, lists to measure on, and a line for each variant."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import typer
from datasets import Dataset

from distill.collections.collection import Collection, Qrels, Run
from distill.collections.trec import check_run, read_run, write_run
from distill.evaluation.measures import evaluate
from distill.evaluation.statistics import mean_interval, paired_difference
from distill.recipe.settings import ListSection
from distill.stages.candidates import answerable, top
from distill.stages.rankers import rerank
from distill.stages.training_lists import training_lists
from students.encoder import EncoderSettings, train_encoder

MEASURE = "nDCG@10"
# documents of other queries below each list
RANDOM = 2


@dataclass(frozen=True)
class Held:
    """The lists that students are measured on, with their judgments."""

    collection: Collection
    run: Run
    qrels: Qrels

    def per_query(self, run: Run) -> list[float]:
        """nDCG@10 of each list."""
        return [row[MEASURE] for row in evaluate(run, self.qrels, [MEASURE]).values()]


def held_lists(collection: Collection, run: Path, split: str, candidates: int, queries: int | None) -> Held:
    """The split's candidate lists that hold a relevant document: elsewhere no order is better than another."""
    ranked, qrels = read_run(run), collection.split(split)
    check_run(ranked, collection, str(run))
    kept = answerable(top(ranked, qrels, candidates), qrels)
    kept = {query_id: kept[query_id] for query_id in list(kept)[:queries]}
    return Held(collection, kept, {query_id: qrels[query_id] for query_id in kept})


def lists_to_learn(collection: Collection, labels: Path, lists: int, documents: int, judged: str | None) -> Dataset:
    """The label folder's first lists, cut to so many documents.

    Args:
        collection: that was labelled.
        labels: the folder.
        lists: most lists.
        documents: of a list, `RANDOM` of other queries among them.
        judged: a split: only lists of queries that it judges, whose answer the collection holds; None: all.
    """
    whole = training_lists(collection, [labels], ListSection(random=RANDOM))
    if judged is not None:
        known = collection.split(judged)
        whole = whole.select([place for place, query_id in enumerate(whole["query_id"]) if query_id in known])
    return cut_lists(whole, lists, documents)


def cut_lists(whole: Dataset, lists: int, documents: int) -> Dataset:
    """The first lists with enough documents: of those that the teacher judged, evenly spaced from the best on."""
    rows: list[dict[str, Any]] = []
    for row in whole:
        judged = [place for place, group in enumerate(row["groups"]) if group != "random"]
        drawn = [place for place, group in enumerate(row["groups"]) if group == "random"]
        if len(rows) < lists and len(judged) >= documents - len(drawn):
            spaced = np.linspace(0, len(judged) - 1, documents - len(drawn)).round().astype(int)
            kept = [*(judged[place] for place in spaced), *drawn]
            rows.append({k: [v[place] for place in kept] if isinstance(v, list) else v for k, v in row.items()})
    return Dataset.from_list(rows, features=whole.features)


def check_sizes(out: Path, sizes: dict[str, Any]) -> None:
    """Figures of other sizes in the same folder would be taken for these."""
    out.mkdir(parents=True, exist_ok=True)
    file, text = out / "sizes.json", json.dumps(sizes)
    if file.exists() and file.read_text() != text:
        raise typer.BadParameter(f"{out} holds figures of other sizes, see {file}; choose another folder")
    file.write_text(text)


def encoder_figure(
    name: str, start: str, train: Dataset, held: dict[str, Held], settings: EncoderSettings, out: Path
) -> dict[str, Any]:
    """nDCG@10 of each measured query of each run and the seconds of training, read from OUT where they stand.

    The student's order of each run is written beside them, for `distill compare`.
    """
    file = out / f"{name}.json"
    if file.exists():
        known: dict[str, Any] = json.loads(file.read_text())
        return known
    # a folder of its own, as several processes may share the work
    student = out / f"{name}.student"
    shutil.rmtree(student, ignore_errors=True)
    begun = time.perf_counter()
    report = train_encoder(start, train, [], settings, student)
    seconds = time.perf_counter() - begun
    orders = {run: rerank(student, lists.collection, lists.run) for run, lists in held.items()}
    shutil.rmtree(student)
    for run, order in orders.items():
        write_run(order, out / f"{name}.{run}.run", tag="student")
    values = {run: lists.per_query(orders[run]) for run, lists in held.items()}
    found = {"values": values, "train_seconds": seconds, "steps": report.steps, "pairs": report.pairs}
    file.write_text(json.dumps(found))
    shown = ", ".join(f"{run} {np.mean(row):.4f}" for run, row in values.items())
    print(f"{name}: {MEASURE} {shown}; {report.steps} steps, {seconds:.0f} s", flush=True)
    return found


def compared(name: str, seeds: Sequence[Sequence[float]], reference: str, others: Sequence[Sequence[float]]) -> str:
    """A line: the mean over seeds of each query's figure, with the interval over queries, paired with the reference.

    Args:
        name: of the variant.
        seeds: its figure of each query, for each seed.
        reference: name of the variant that it is compared with.
        others: that variant's figures of the same queries.
    """
    values, against = (np.mean(np.asarray(group), axis=0).tolist() for group in (seeds, others))
    mean, difference = mean_interval(values), paired_difference(values, against)
    by_seed, gain = ", ".join(f"{np.mean(row):.4f}" for row in seeds), difference.interval
    return (
        f"{name}: {MEASURE} {mean.mean:.4f} [{mean.low:.4f}, {mean.high:.4f}] (seeds {by_seed}); minus {reference}:"
        f" {gain.mean:+.4f} [{gain.low:+.4f}, {gain.high:+.4f}], p={difference.p_value:.3f}, n={len(values)}"
    )
