"""`distill evaluate`: runs measured against judgments, side by side."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from distill.collections.collection import Qrels, Run
from distill.collections.files import refuse_existing, whole_file
from distill.collections.trec import read_qrels, read_run
from distill.evaluation.measures import DEFAULT_MEASURES, candidate_recall, mean_measures
from distill.evaluation.measures import evaluate as evaluate_run

console = Console()

PerQuery = Mapping[str, Mapping[str, float]]


def evaluate(
    runs: Annotated[list[Path], typer.Argument(help="TREC run files")],
    qrels: Annotated[Path, typer.Option(help="judgments, BEIR's or TREC's columns")],
    measure: Annotated[list[str] | None, typer.Option(help="as nDCG@10, or trec_eval's name; repeatable")] = None,
    per_query: Annotated[Path | None, typer.Option(help="also write every query's figures to this CSV file")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="replace what is there")] = False,
) -> None:
    """Measure runs over all judged queries; one that a run lacks scores 0."""
    if per_query is not None:
        refuse_existing(per_query, overwrite)
    judged = read_qrels(qrels)
    measures = measure or list(DEFAULT_MEASURES)
    read = {str(path): read_run(path) for path in runs}
    scored = {name: evaluate_run(run, judged, measures) for name, run in read.items()}
    if per_query is not None:
        _write_per_query(scored, measures, per_query)
    console.print(_table(read, scored, judged))


def _table(runs: Mapping[str, Run], scored: Mapping[str, PerQuery], qrels: Qrels) -> Table:
    """One row a run: judged queries that it answers, its depth, what its candidates hold, and each mean."""
    table = Table(title=f"means over all {len(qrels)} judged queries", title_justify="left")
    table.add_column("run", overflow="fold")
    measures = list(next(iter(next(iter(scored.values())).values())))
    for heading in ("n", "in run", "depth", "R@depth", *measures):
        table.add_column(heading, justify="right")
    for name, run in runs.items():
        depth = max((len(scores) for scores in run.values()), default=0)
        means = mean_measures(scored[name]).values()
        counts = (str(len(qrels)), str(len(qrels.keys() & run.keys())), str(depth))
        table.add_row(name, *counts, f"{candidate_recall(run, qrels):.4f}", *(f"{mean:.4f}" for mean in means))
    return table


def _write_per_query(scored: Mapping[str, PerQuery], measures: Sequence[str], path: Path) -> None:
    with whole_file(path) as beside, beside.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["run", "query_id", *measures])
        for name, rows in scored.items():
            for query_id, row in rows.items():
                writer.writerow([name, query_id, *(row[measure] for measure in measures)])
