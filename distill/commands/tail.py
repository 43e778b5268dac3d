"""`distill data tail`: the tail queries of a query log."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from distill.collections.collection import DataError
from distill.collections.files import refuse_existing
from distill.commands.terminal import table_console, visible

if TYPE_CHECKING:
    from labeling.tail.report import TailReport

_LINES_BETWEEN_NOTES = 2_000_000


def tail(
    log: Annotated[Path, typer.Argument(help="query log: .csv, .tsv, .jsonl (each also .gz) or .parquet")],
    out: Annotated[Path, typer.Option("--out", help="folder for queries.jsonl and report.json")],
    query: Annotated[str, typer.Option(help="column of the query")],
    frequency: Annotated[
        str | None, typer.Option(help="column of how often it was asked; without, each line counts once")
    ] = None,
    clicks: Annotated[str | None, typer.Option(help="column of clicks")] = None,
    impressions: Annotated[str | None, typer.Option(help="column of impressions")] = None,
    head_share: Annotated[
        float, typer.Option(help="the most frequent queries with this share of the traffic are head; 0: none")
    ] = 0.5,
    max_frequency: Annotated[int | None, typer.Option(help="leave out queries asked more often")] = None,
    min_frequency: Annotated[int, typer.Option(help="leave out queries asked more rarely")] = 1,
    max_clicks: Annotated[int | None, typer.Option(help="leave out queries with more clicks")] = None,
    max_click_rate: Annotated[float | None, typer.Option(help="leave out those with more clicks an impression")] = None,
    min_words: Annotated[int, typer.Option(help="leave out shorter queries")] = 0,
    max_words: Annotated[int | None, typer.Option(help="leave out longer queries")] = None,
    near_duplicates: Annotated[
        bool, typer.Option("--near-duplicates", help="keep one of queries with the same words")
    ] = False,
    language: Annotated[str, typer.Option(help="for endings and stop words; or none")] = "english",
    sample: Annotated[int | None, typer.Option(help="keep this many, as varied as can be")] = None,
    seed: Annotated[int, typer.Option(help="of the sample")] = 0,
    memory: Annotated[int, typer.Option(help="MiB for the database; beyond, it works in files", min=256)] = 512,
    examples: Annotated[bool, typer.Option("--examples", help="show queries that each cut took")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="replace what is there")] = False,
) -> None:
    """Find the tail queries of a query log: merge duplicates, cut the head, thin and sample; say what was left out.

    Cuts are made in the order of their options here, and each is counted by itself.
    """
    from pydantic import ValidationError

    from distill.collections.files import whole_folder
    from labeling.tail.from_log import write_tail_queries
    from labeling.tail.query_log import LogColumns
    from labeling.tail.settings import TailSettings

    _refuse_what_is_no_tail(out, overwrite)
    try:
        settings = TailSettings(
            head_share=head_share, max_frequency=max_frequency, min_frequency=min_frequency, max_clicks=max_clicks,
            max_click_rate=max_click_rate, min_words=min_words, max_words=max_words, near_duplicates=near_duplicates,
            language=language, sample=sample, seed=seed,
        )  # fmt: skip
    except ValidationError as error:
        problem = error.errors()[0]
        option = "".join(f"--{name}: ".replace("_", "-") for name in problem["loc"])
        # a rule over several options names their values itself
        got = f"; got {problem['input']!r}" if option else ""
        raise DataError(option + problem["msg"].removeprefix("Value error, ") + got) from None
    console = Console()
    columns, notes = LogColumns(query, frequency, clicks, impressions), _Notes(console)
    with whole_folder(out) as beside:
        read, report = write_tail_queries(log, columns, settings, beside, memory, examples, notes.step, notes.lines)
    table_console(120).print(_table(report))
    console.print(
        f"{visible(str(out))}: {report.chosen:,} of {read.queries:,} queries, in {read.spellings:,} spellings on "
        f"{read.lines:,} lines ({read.empty:,} of them empty)",
        highlight=False, soft_wrap=True, markup=False,
    )  # fmt: skip
    if examples:
        for cut in report.cuts:
            for example in cut.examples:
                console.print(f"  {cut.name}: {example.frequency:,} x {example.text!r}", highlight=False, markup=False)


class _Notes:
    """A line for each step as it begins, and for every two million lines read, with the seconds passed so far."""

    def __init__(self, console: Console) -> None:
        self._console, self._started, self._noted = console, time.monotonic(), 0

    def step(self, name: str) -> None:
        """Say that a step begins."""
        self._console.print(f"{time.monotonic() - self._started:7.1f} s  {name}", highlight=False)

    def lines(self, read: int) -> None:
        """Say how many lines have been read, now and then."""
        if read // _LINES_BETWEEN_NOTES > self._noted:
            self._noted = read // _LINES_BETWEEN_NOTES
            self.step(f"{read:,} lines")


def _refuse_what_is_no_tail(out: Path, overwrite: bool) -> None:
    """Stop before an existing result, or anything else, is replaced; ``--overwrite`` is for results only."""
    refuse_existing(out, overwrite)
    other = out if out.is_file() else _no_tail(out) if out.is_dir() else None
    if other is not None:
        raise DataError(f"{other}: is not what `data tail` writes, and is not replaced; choose another place")


def _no_tail(folder: Path) -> Path | None:
    """The first file of a folder that is no part of a tail, if there is one; a report may be one of anything."""
    from labeling.tail.from_log import QUERIES, REPORT

    there = sorted(folder.iterdir())
    others = [path for path in there if path.name not in (QUERIES, REPORT) or not path.is_file()]
    if others or not there:
        return others[0] if others else None
    try:
        report = json.loads(there[-1].read_bytes())
    except (ValueError, RecursionError):
        report = None
    return None if isinstance(report, dict) and {"log", "settings", "tail"} <= report.keys() else there[-1]


def _table(report: TailReport) -> Table:
    """One row a cut: what it took, and what it left."""
    table = Table()
    table.add_column("cut")
    table.add_column("left out", overflow="fold")
    for name in ("queries", "left", "traffic left"):
        table.add_column(name, justify="right")
    table.add_row("", "", "", f"{report.queries:,}", "100.0 %")
    for cut in report.cuts:
        share = f"{100 * cut.traffic_left / report.traffic:.1f} %"
        table.add_row(cut.name, cut.says, f"{cut.queries:,}", f"{cut.queries_left:,}", share)
    if report.sample_words is not None:
        table.caption = (
            f"different words in the sample: {report.sample_words:,}; in a plain draw: {report.plain_sample_words:,}"
        )
    return table
