"""`distill labels`: look at label folders, check them, join them, and write them for other tools."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console

from distill.commands.terminal import table_console, visible

app = typer.Typer(no_args_is_help=True, help="Look at labels, check them, join them, write them for other tools.")

_Folder = Annotated[Path, typer.Argument(help="label folder")]


@app.command()
def show(
    folder: _Folder,
    query: Annotated[str | None, typer.Option(help="id of the query; default: the first one")] = None,
    collection: Annotated[Path | None, typer.Option(help="BEIR folder: shows the texts too")] = None,
) -> None:
    """Print one list: rank, group, score and, with its collection, what the teacher looked at."""
    from distill.collections.beir import read_beir
    from distill.commands.label_displays import LIST_COLUMNS, show_list
    from labeling import LabelingError
    from labeling.label_lists import check_rows
    from labeling.reading import LabelReader

    reader = LabelReader(folder, unfinished=True)
    if query is None and not len(reader.query_ids):
        raise LabelingError(f"{folder}: no list at all; there is nothing to show")
    rows = reader.list_of(query if query is not None else reader.query_ids[0].as_py(), LIST_COLUMNS).to_pylist()
    if rows[0]["status"] == "ok":
        check_rows(folder, rows)
    show_list(table_console(), rows, read_beir(collection) if collection else None)


@app.command()
def stats(
    folder: _Folder,
    as_json: Annotated[bool, typer.Option("--json", help="print the numbers as JSON")] = False,
) -> None:
    """Print what a label folder holds: lists, errors, groups, confidence, times, sizes, and the teacher."""
    from distill.commands.label_displays import summary_table
    from labeling.summary import summarize_labels

    summary = summarize_labels(folder)
    if as_json:
        typer.echo(json.dumps(summary.model_dump(), indent=2))
    else:
        table_console().print(summary_table(str(folder), summary))


@app.command()
def export(
    folder: _Folder,
    form: Annotated[
        Literal[
            "st-list", "st-pair", "st-triple", "flagembedding", "tevatron", "rank_llm", "qrels", "run", "judgments"
        ],
        typer.Option("--format", help="what to write; st is sentence-transformers"),
    ],
    out: Annotated[Path, typer.Option(help="the file; its ending tells .parquet from .jsonl")],
    collection: Annotated[
        Path | None, typer.Option(help="BEIR folder that was labelled; not for qrels and run")
    ] = None,
    values: Annotated[
        Literal["grades", "scores", "standardised", "unit"] | None,
        typer.Option(help="labels or teacher scores; default: scores for flagembedding and rank_llm, else grades"),
    ] = None,
    positives: Annotated[int, typer.Option(min=1, help="the best so many ranked documents are positive")] = 1,
    random: Annotated[int, typer.Option(min=0, help="documents of other queries added to each list")] = 0,
    max_ranked: Annotated[
        int | None, typer.Option(min=1, help="the best so many ranked documents of a list; a recipe spaces them evenly")
    ] = None,
    max_missing: Annotated[int | None, typer.Option(min=0, help="so many missing documents of a list, drawn")] = None,
    max_rows: Annotated[int | None, typer.Option(min=1, help="pairs or triples of a list, drawn")] = None,
    seed: Annotated[int, typer.Option(help="of every draw")] = 0,
    min_confidence: Annotated[float | None, typer.Option(min=-1, max=1, help="leave out lists below it")] = None,
    known_confidence: Annotated[bool, typer.Option("--known-confidence", help="and those without any")] = False,
    max_grade: Annotated[int | None, typer.Option(min=1, help="qrels, judgments: spread grades over 0 to this")] = None,
    margin: Annotated[bool, typer.Option("--margin", help="st-triple: difference of the values as a label")] = False,
    prompt: Annotated[str | None, typer.Option(help="flagembedding: instruction beside each query")] = None,
    details: Annotated[bool, typer.Option("--details", help="judgments: columns beyond query, docid, rating")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="replace what is there")] = False,
) -> None:
    """Write labels as another tool reads them; lists that failed are left out."""
    from distill.collections.beir import read_beir
    from distill.collections.files import refuse_existing
    from distill.stages.label_folders import CollectionTexts
    from labeling.exports.export import export_labels, find_format, refuse_useless
    from labeling.exports.selection import ExportSettings

    refuse_existing(out, overwrite)
    find_format(form, out, collection is not None)
    settings = ExportSettings(
        random=random, seed=seed, min_confidence=min_confidence, known_confidence=known_confidence,
        max_ranked=max_ranked, max_missing=max_missing, positives=positives, max_rows=max_rows, values=values,
        margin=margin, max_grade=max_grade, prompt=prompt, details=details,
    )  # fmt: skip
    refuse_useless(form, settings)
    texts = CollectionTexts(read_beir(collection)) if collection else None
    report = export_labels(folder, form, out, texts, settings)
    _line(
        f"{out}: {report.rows} rows of {report.lists} lists; left out: {report.low_confidence} of low confidence, "
        f"{report.unknown_confidence} of unknown, {report.without_rows} that give no row"
    )


@app.command()
def merge(
    out: Annotated[Path, typer.Argument(help="label folder to write; must not exist")],
    folders: Annotated[list[Path], typer.Argument(help="label folders of one teacher, such as the shards of a job")],
    unfinished: Annotated[bool, typer.Option("--unfinished", help="take the whole lists of unfinished jobs")] = False,
) -> None:
    """Join label folders of the same teacher into one; the inputs are only read."""
    from distill.collections.files import refuse_existing, whole_folder
    from labeling.merge import merge_labels

    refuse_existing(out, overwrite=None)
    with whole_folder(out) as beside:
        report = merge_labels(folders, beside, unfinished)
    _line(
        f"{out}: {report.lists} lists of {len(folders)} folders, {report.documents} documents, {report.failed} lists "
        f"failed; {report.repeated} stood more than once and were taken once"
    )


@app.command()
def verify(
    folder: _Folder,
    collection: Annotated[Path | None, typer.Option(help="BEIR folder: also tells which texts have changed")] = None,
    repair: Annotated[
        bool, typer.Option("--repair", help="set aside what is broken, so that the label job makes it again")
    ] = False,
) -> None:
    """Read every page of a label folder and check every list; a line for each problem, exit code 1 if there is one."""
    from distill.collections.beir import read_beir
    from distill.stages.label_folders import CollectionTexts
    from labeling.verify import repair_labels, verify_labels

    texts = CollectionTexts(read_beir(collection)) if collection else None
    found, done = repair_labels(folder, texts) if repair else (verify_labels(folder, texts), [])
    for problem in found.problems:
        _line(visible(f"{problem.place}: {problem.message}"))
    for note in [*done, *found.notes]:
        _line(visible(f"note: {note}"))
    count = len(found.problems)
    _line(f"{folder}: {found.lists} lists, {found.rows} rows, {count or 'no'} problem{'' if count == 1 else 's'}")
    if count:
        raise typer.Exit(1)


def _line(text: str) -> None:
    Console().print(text, markup=False, highlight=False, soft_wrap=True)
