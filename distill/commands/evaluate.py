"""`distill evaluate`: runs measured against judgments, side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def evaluate(
    runs: Annotated[list[Path], typer.Argument(help="TREC run files")],
    qrels: Annotated[Path, typer.Option(help="judgments, BEIR's or TREC's columns")],
    first_stage: Annotated[
        Path | None, typer.Option(help="the run that the others re-rank: its row comes first, and its candidates count")
    ] = None,
    measure: Annotated[
        list[str] | None,
        typer.Option(help="as nDCG@10, judged@10, or trec_eval's name; repeatable; default: nDCG@10, RR@10, AP"),
    ] = None,
    intervals: Annotated[bool, typer.Option("--intervals", help="95 % bootstrap interval under each mean")] = False,
    per_query: Annotated[
        Path | None, typer.Option(help="also write every query's figures to this file, .csv or .parquet")
    ] = None,
    queries: Annotated[
        Path | None,
        typer.Option("--queries", "--collection", help="BEIR folder or queries.jsonl: --per-query gets the texts"),
    ] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="also write what is shown to this file")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="replace what is there")] = False,
) -> None:
    """Measure runs over all judged queries, as `trec_eval -c` does; one that a run lacks scores 0 and is named.

    judged@k, the share of the first k documents that have a judgment, stands beside each nDCG@k; of a list shorter
    than k it is the share of that list.
    """
    from distill.collections.beir import read_queries
    from distill.collections.collection import DataError
    from distill.collections.trec import read_qrels, read_run
    from distill.commands.evaluation_displays import show_evaluation
    from distill.evaluation.measures import DEFAULT_MEASURES, with_judged_share
    from distill.evaluation.per_query import check_ending, check_texts, write_per_query
    from distill.evaluation.run_evaluation import evaluate_runs
    from distill.report.json_files import write_json

    _refuse_places(per_query, json_file, overwrite)
    if per_query is not None:
        check_ending(per_query)
    elif queries is not None:
        raise DataError("--queries gives texts to --per-query FILE, which is not there")
    measures = with_judged_share(measure or DEFAULT_MEASURES)
    judged = read_qrels(qrels)
    texts = None if queries is None else read_queries(queries)
    paths = [*([first_stage] if first_stage else []), *runs]
    read = {str(path): read_run(path) for path in dict.fromkeys(paths)}
    if len(judged) < (least := 2 if intervals else 1):
        what = "--intervals take" if intervals else "a mean takes"
        raise DataError(f"{qrels}: {len(judged)} judged queries; {what} at least {least}")
    evaluation = evaluate_runs(read, judged, measures, str(first_stage) if first_stage else None, intervals)
    if per_query is not None:
        if texts is not None and queries is not None:
            check_texts(evaluation, texts, queries)
        write_per_query(evaluation, per_query, texts)
    if json_file is not None:
        write_json({"judgments": str(qrels), **evaluation.as_json()}, json_file)
    show_evaluation(evaluation)


def _refuse_places(per_query: Path | None, json_file: Path | None, overwrite: bool) -> None:
    """Stop before any work where a file would be lost to another."""
    from distill.collections.collection import DataError
    from distill.collections.files import refuse_existing

    places = [path for path in (per_query, json_file) if path is not None]
    for path in places:
        refuse_existing(path, overwrite)
    if len({path.resolve() for path in places}) < len(places):
        raise DataError(f"{per_query}: both --per-query and --json write it; give each a file of its own")
