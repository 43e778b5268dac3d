"""`distill data`: make, look at and convert collections, judgments and runs."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from distill.collections.beir import read_beir, write_beir
from distill.collections.collection import DataError
from distill.collections.files import refuse_existing
from distill.collections.msmarco import read_msmarco
from distill.collections.summary import Summary, summarize
from distill.collections.trec import read_qrels, read_run, write_qrels, write_run
from distill.commands.tail import tail
from distill.commands.terminal import visible

app = typer.Typer(no_args_is_help=True, help="Make, look at and convert collections, judgments and runs.")
app.command()(tail)
console = Console()

Out = Annotated[Path, typer.Option("--out", help="where the result goes")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="replace what is there")]


class Form(StrEnum):
    """What `convert` can write."""

    BEIR = "beir"
    BEIR_QRELS = "beir-qrels"
    TREC_QRELS = "trec-qrels"
    TREC_RUN = "trec-run"


@app.command()
def docstrings(
    out: Out,
    documents: Annotated[int, typer.Option(min=100, help="most documents")] = 6000,
    train: Annotated[int, typer.Option(min=0, help="training queries")] = 200,
    unjudged: Annotated[int, typer.Option(min=0, help="further training queries, without judgments")] = 120,
    dev: Annotated[int, typer.Option(min=0, help="development queries")] = 40,
    test: Annotated[int, typer.Option(min=0, help="test queries")] = 100,
    seed: Annotated[int, typer.Option(help="chooses queries and documents")] = 0,
    overwrite: Overwrite = False,
) -> None:
    """Make the embedded collection out of the docstrings of installed packages, and a made-up query log beside it."""
    from distill.collections.docstrings import DocstringSettings, build_docstring_collection, write_query_log

    refuse_existing(out, overwrite)
    settings = DocstringSettings(documents=documents, train=train, unjudged=unjudged, dev=dev, test=test, seed=seed)
    collection = build_docstring_collection(settings)
    write_beir(collection, out)
    write_query_log(collection, out / "query_log.tsv")
    console.print(_summary_table(str(out), summarize(collection)))


@app.command()
def show(folder: Annotated[Path, typer.Argument(help="a collection in BEIR's layout")]) -> None:
    """Read a collection, check it whole, and print its sizes."""
    console.print(_summary_table(str(folder), summarize(read_beir(folder))))


@app.command()
def convert(
    source: Annotated[Path, typer.Argument(help="BEIR folder, MS MARCO collection.tsv, file of judgments, or run")],
    to: Annotated[Form, typer.Option(help="what to write")],
    out: Out,
    queries: Annotated[Path | None, typer.Option(help="MS MARCO: queries.tsv")] = None,
    qrels: Annotated[list[str] | None, typer.Option(help="MS MARCO: judgments, as SPLIT=FILE; repeatable")] = None,
    overwrite: Overwrite = False,
) -> None:
    """Check a collection, judgments or a run, and write it in another form.

    --to beir takes a BEIR folder, or MS MARCO's collection.tsv with --queries and --qrels; --to trec-qrels and
    --to beir-qrels take judgments of either kind; --to trec-run takes a run, and puts its lines in order.
    """
    refuse_existing(out, overwrite)
    if to is not Form.BEIR and (queries or qrels):
        raise DataError(f"--queries and --qrels go with --to beir; got --to {to}")
    if to is Form.TREC_RUN:
        write_run(read_run(source), out)
    elif to is not Form.BEIR:
        write_qrels(read_qrels(source), out, "trec" if to is Form.TREC_QRELS else "beir")
    elif source.is_dir():
        if queries or qrels:
            raise DataError(
                f"{source}: a folder has its queries and judgments in it; --queries and --qrels go with a file"
            )
        write_beir(read_beir(source), out)
    elif not source.exists():
        raise DataError(f"{source}: no such file or folder")
    elif queries is None:
        raise DataError(f"{source}: not a folder; MS MARCO's collection.tsv needs --queries beside it")
    else:
        write_beir(read_msmarco(source, queries, _by_split(qrels or [])), out)
    console.print(f"wrote {visible(str(out))}", soft_wrap=True, highlight=False, markup=False)


def _by_split(qrels: list[str]) -> dict[str, Path]:
    """``["dev=qrels.dev.tsv"]`` as a mapping."""
    paths: dict[str, Path] = {}
    for text in qrels:
        split, equals, path = text.partition("=")
        # a split is a file's name in the folder that is written, and no way out of it
        named = Path(split).name == split and split != ".."
        if not (split and equals and path and named) or split in paths:
            raise DataError(f"--qrels {text!r}; SPLIT=FILE is accepted, once a split, which has no / in its name")
        paths[split] = Path(path)
    return paths


def _summary_table(title: str, summary: Summary) -> Table:
    table = Table(title=Text(visible(title), "table.title"), title_justify="left", show_header=False)
    table.add_row("documents", f"{summary.documents:,}, of them empty {summary.empty_documents:,}")
    table.add_row("words in a document", f"{summary.median_document_words:g} (median)")
    table.add_row("queries", f"{summary.queries:,}")
    table.add_row("words in a query", f"{summary.median_query_words:g} (median)")
    for name, split in summary.splits.items():
        counts = f"{split.queries:,} queries, {split.with_relevant:,} of them with a relevant document"
        table.add_row(f"split {name}", f"{counts}; {split.judgments:,} judgments, {split.relevant:,} relevant")
    return table
