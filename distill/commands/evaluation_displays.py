"""How `distill evaluate` shows its figures, and what a reader must know before believing them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from distill.commands.terminal import table_console, visible
from distill.evaluation.run_evaluation import EvaluatedRun, Evaluation

# Ids of missing queries that are shown; the files hold all.
_SHOWN_IDS = 10


def show_evaluation(evaluation: Evaluation) -> None:
    """Print the table and, under it, whose candidates they are and which queries are missing."""
    console = Console()
    table_console().print(evaluation_table(evaluation))
    for note in notes(evaluation):
        console.print(visible(note), markup=False, highlight=False, soft_wrap=True)


def evaluation_table(evaluation: Evaluation) -> Table:
    """One row a run: judged queries that it answers, its depth, what its candidates hold, and each mean."""
    count = len(evaluation.query_ids)
    has_intervals = any(run.intervals for run in evaluation.runs)
    below = "; under each its 95 % interval" if has_intervals else ""
    table = Table(title=f"means over all {count} judged queries{below}", title_justify="left")
    table.add_column("run", overflow="fold")
    for heading in ("n", "in run", "depth", "R@depth", *evaluation.measures):
        table.add_column(heading, justify="right")
    short = short_names(evaluation)
    for run in evaluation.runs:
        name = short[run.name] + (" (first stage)" if run.name == evaluation.first_stage else "")
        counts = (str(count), str(count - len(run.missing)), str(run.depth), f"{run.recall:.4f}")
        table.add_row(Text(visible(name)), *counts, *(_figure(run, measure) for measure in evaluation.measures))
    return table


def notes(evaluation: Evaluation) -> Iterator[str]:
    """What the table cannot say, a line each."""
    first, short = evaluation.runs[0], short_names(evaluation)
    count = len(evaluation.query_ids)
    if evaluation.first_stage is None:
        yield "candidates: no --first-stage was given, so R@depth is of each run's own documents"
    else:
        yield (
            f"candidates: those of {short[first.name]}, up to {first.depth} documents a query, which hold "
            f"{first.recall:.4f} of a query's relevant documents (mean of {count} queries)"
        )
    for run in evaluation.runs:
        name = short[run.name]
        if run.outside:
            yield f"{name}: {run.outside} documents that the first stage does not have for their query"
        if run.missing:
            yield f"{name}: {len(run.missing)} of {count} judged queries are missing and count as 0: {_ids(run)}"
        if len(run.missing) == count:
            yield f"{name}: it has none of the judged queries; do run and judgments belong together?"


def short_names(evaluation: Evaluation) -> dict[str, str]:
    """What each run is called here: its file's name where no other has the same, else its path."""
    names = {run.name: Path(run.name).name for run in evaluation.runs}
    count = Counter(names.values())
    return {path: name if count[name] == 1 else path for path, name in names.items()}


def _figure(run: EvaluatedRun, measure: str) -> str:
    mean, interval = f"{run.means[measure]:.4f}", run.intervals.get(measure)
    return mean if interval is None else f"{mean}\n{interval.low:.4f} {interval.high:.4f}"


def _ids(run: EvaluatedRun) -> str:
    shown = ", ".join(run.missing[:_SHOWN_IDS])
    more = len(run.missing) - _SHOWN_IDS
    return f"{shown} and {more} more" if more > 0 else shown
