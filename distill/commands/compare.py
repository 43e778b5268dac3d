"""`distill compare`: two or more runs against the same judgments, to a decision that stands up to a sceptic."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from distill.commands.terminal import table_console, visible
from labeling.texts import well_formed

if TYPE_CHECKING:
    from distill.collections.collection import Qrels, Run
    from distill.evaluation.dossier import Dossier


def compare(
    runs: Annotated[list[str], typer.Argument(help="TREC runs, PATH or NAME=PATH; the one to beat first")],
    out: Annotated[Path, typer.Option(help="folder to write the report and its figures into")],
    qrels: Annotated[Path | None, typer.Option(help="judgments, BEIR's or TREC's columns")] = None,
    labels: Annotated[
        Path | None, typer.Option(help="label folder that stands in for --qrels, and for --teacher")
    ] = None,
    from_teacher: Annotated[bool, typer.Option("--from-teacher", help="--qrels are a teacher's, not people's")] = False,
    measure: Annotated[list[str] | None, typer.Option(help="as nDCG@10; the first decides; repeatable")] = None,
    system: Annotated[str | None, typer.Option(help="run that may be shipped; default: the last")] = None,
    reference: Annotated[str | None, typer.Option(help="run that it is to beat; default: the first")] = None,
    first_stage: Annotated[str | None, typer.Option(help="name of the run that candidates come from")] = None,
    collection: Annotated[Path | None, typer.Option(help="BEIR folder: texts, and slices by length and terms")] = None,
    language: Annotated[str, typer.Option(help="of stems and stop words in slices by terms")] = "english",
    columns: Annotated[
        Path | None, typer.Option(help="CSV with query_id and columns, each of which makes slices")
    ] = None,
    frequency: Annotated[
        str | None, typer.Option(help="column of --columns: how often a query is asked; slices head, torso and tail")
    ] = None,
    teacher: Annotated[Path | None, typer.Option(help="the teacher's run, to measure agreement with")] = None,
    teacher_again: Annotated[
        Path | None, typer.Option(help="its run under another order of the candidates: the ceiling of agreement")
    ] = None,
    latency: Annotated[
        Path | None,
        typer.Option(help="what `distill latency --json` wrote, with the runs' names: quality against time"),
    ] = None,
    budget: Annotated[
        Path | None,
        typer.Option(help="CSV with run, lists and perhaps student: labelled lists a run's student was trained on"),
    ] = None,
    title: Annotated[str | None, typer.Option(help="of the report; default: the two runs' names")] = None,
    resamples: Annotated[int, typer.Option(help="of the randomisation test and the bootstrap", min=100)] = 10_000,
    seed: Annotated[int, typer.Option(help="of both", min=0)] = 0,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="replace the report's files in --out")] = False,
) -> None:
    """Compare runs query by query: tests, intervals, slices, changed queries; a verdict, a page and all figures.

    Every judged query counts for every run, with 0 where a run lacks it. Without --qrels and --labels, two runs are set
    side by side: how far they agree, and the queries on which they agree least.
    """
    from distill.collections.beir import read_beir
    from distill.collections.collection import DataError
    from distill.collections.trec import read_run
    from distill.evaluation.budget import read_budgets
    from distill.evaluation.measures import DEFAULT_MEASURES
    from distill.report.comparison_files import refuse_existing_report, write_comparison
    from distill.stages.comparison import ComparisonRequest, dossier_of
    from students.terms import known_language

    if qrels is None and labels is None:
        for_judgments = {
            "--from-teacher": from_teacher, "--measure": measure, "--system": system, "--reference": reference,
            "--first-stage": first_stage, "--columns": columns, "--frequency": frequency, "--teacher": teacher,
            "--teacher-again": teacher_again, "--latency": latency, "--budget": budget, "--title": title,
        }  # fmt: skip
        if given := [name for name, value in for_judgments.items() if value]:
            raise typer.BadParameter(f"{', '.join(given)} need judgments: give --qrels, or --labels")
        _side_by_side(runs, collection, out, overwrite)
        return
    if teacher_again is not None and teacher is None and labels is None:
        raise typer.BadParameter("it is the same teacher's other run; give --teacher too", param_hint="--teacher-again")
    refuse_existing_report(out, overwrite)
    read = _runs(runs)
    judged, judgments, teacher_run = _judgments(qrels, labels, teacher)
    _refuse_strangers(dict(zip(runs, read.values(), strict=True)), judged, qrels or labels)
    cells, traffic = _columns(columns, frequency, judged)
    names = list(read)
    system, reference = _named("--system", system, names, names[-1]), _named("--reference", reference, names, names[0])
    if system == reference:
        raise DataError(
            f"{system} cannot be compared with itself; choose --system and --reference among {', '.join(names)}"
        )
    request = ComparisonRequest(
        title=well_formed(title or f"{system} against {reference}"),
        runs=read,
        qrels=judged,
        judgments=judgments,
        system=system,
        reference=reference,
        measures=measure or DEFAULT_MEASURES,
        from_teacher=from_teacher or labels is not None,
        first_stage=None if first_stage is None else _named("--first-stage", first_stage, names, ""),
        collection=None if collection is None else read_beir(collection),
        language=known_language(language),
        columns=cells,
        traffic=traffic,
        teacher=teacher_run,
        teacher_again=None if teacher_again is None else read_run(teacher_again),
        milliseconds={} if latency is None else _milliseconds(latency, names),
        budgets={} if budget is None else read_budgets(budget, names),
        resamples=resamples,
        seed=seed,
    )
    dossier = dossier_of(request)
    write_comparison(dossier, out)
    _show(dossier, out)


def _side_by_side(references: list[str], collection: Path | None, out: Path, overwrite: bool) -> None:
    from distill.collections.beir import read_beir
    from distill.collections.collection import DataError
    from distill.report.comparison_files import refuse_existing_report
    from distill.report.disagreement_page import write_disagreement
    from distill.stages.comparison import MOST_QUERIES, side_by_side

    refuse_existing_report(out, overwrite)
    read = _runs(references)
    if len(read) > 2:
        raise DataError(f"{len(read)} runs without judgments; two are set side by side, or give --qrels or --labels")
    (first, run), (second, other) = read.items()
    loaded = None if collection is None else read_beir(collection)
    found = side_by_side(run, other, (first, second), loaded, MOST_QUERIES)
    write_disagreement(found, out)
    means, console = found.agreement, Console()
    console.print(
        f"{first} and {second}, {means.queries} queries without judgments: rank-biased overlap {means.rbo:.3f}, tau-b "
        f"{means.tau_b:.3f}, the same document first for {means.top_1:.0%}, {means.overlap:.0%} of the first "
        f"{means.depth} in common",
        highlight=False, soft_wrap=True, markup=False,
    )  # fmt: skip
    console.print(f"{visible(str(out))}: report.html, per_query.csv", highlight=False, soft_wrap=True, markup=False)


def _runs(references: list[str]) -> dict[str, Run]:
    """The runs by name: what stands before ``=``, else the file's name without its suffix."""
    from distill.collections.collection import DataError
    from distill.collections.trec import read_run

    read: dict[str, Run] = {}
    for text in references:
        name, given, path = text.partition("=")
        # a path without a name may hold a =, too
        if not given or Path(text).exists():
            name, path = Path(text).stem, text
        # the report is UTF-8, which a file's name need not be
        name = well_formed(name)
        if not name or name in read:
            raise DataError(f"{text}: two runs cannot both be called {name!r}; give one another NAME=PATH")
        read[name] = read_run(Path(path))
    if len(read) < 2:
        raise DataError(f"{references[0]}: one run; a comparison needs at least two")
    return read


def _judgments(qrels: Path | None, labels: Path | None, teacher: Path | None) -> tuple[Qrels, str, Run | None]:
    """Judgments, where they come from, and the teacher's run if there is one."""
    from distill.collections.collection import DataError
    from distill.collections.trec import read_qrels, read_run
    from distill.evaluation.comparison import LEAST_QUERIES
    from distill.stages.comparison import LABELS_RELEVANT, labels_as_judgments

    given = None if teacher is None else read_run(teacher)
    if labels is None and qrels is not None:
        judged = read_qrels(qrels)
        if len(judged) < LEAST_QUERIES:
            raise DataError(f"{qrels}: {len(judged)} judged queries; a comparison needs at least {LEAST_QUERIES}")
        return judged, well_formed(str(qrels)), given
    if labels is None or qrels is not None:
        raise typer.BadParameter("give --qrels with judgments, or --labels with a teacher's labels in their place")
    judged, ranked = labels_as_judgments(labels)
    of_labels = f"{labels}: the teacher's first {LABELS_RELEVANT} documents of each query"
    return judged, well_formed(of_labels), given or ranked


def _refuse_strangers(read: dict[str, Run], judged: Qrels, place: Path | None) -> None:
    """Stop where a run answers no judged query: against another's figures it would have a verdict, and a wrong one."""
    from distill.collections.collection import DataError

    for path, run in read.items():
        if not any(run.get(query_id) for query_id in judged):
            there = f"it has none of the {len(judged)} judged queries of {place}"
            raise DataError(f"{path}: {there}; do run and judgments belong together?")


def _columns(
    path: Path | None, frequency: str | None, judged: Qrels
) -> tuple[dict[str, dict[str, str]], dict[str, float]]:
    """Cells of the queries by column, and their frequencies."""
    from distill.collections.collection import DataError
    from distill.evaluation.slices import by_column, frequencies, read_columns

    if path is None:
        if frequency is not None:
            raise typer.BadParameter("--frequency names a column of --columns, which is not given")
        return {}, {}
    cells, traffic = read_columns(path, judged), {}
    if frequency is not None:
        if frequency not in cells:
            there = ", ".join(cells) or "none beside query_id"
            raise DataError(f"{path}:1: no column {frequency!r}; there are {there}")
        traffic = frequencies(path, cells.pop(frequency))
    for name, column in cells.items():
        try:
            by_column(name, column)
        except DataError as error:
            raise DataError(f"{path}:1: {error}") from None
    return cells, traffic


def _milliseconds(path: Path, names: list[str]) -> dict[str, float]:
    """The median time of each run's model on the longest lists that all of them were timed on."""
    from distill.collections.collection import DataError
    from distill.evaluation.latency import read_latency

    report = read_latency(path)
    timed = sorted({figure.model for figure in report.figures} & set(names))
    if not timed:
        models = ", ".join(sorted({figure.model for figure in report.figures}))
        raise DataError(f"{path}: times of {models}, none of which is called like a run: {', '.join(names)}")
    lengths = {name: {figure.documents for figure in report.figures if figure.model == name} for name in timed}
    shared = set.intersection(*lengths.values())
    if not shared:
        each = "; ".join(f"{name} {', '.join(map(str, sorted(found)))}" for name, found in lengths.items())
        raise DataError(f"{path}: no length of list that all of the runs were timed on: {each} documents")
    medians = {name: report.figure(name, max(shared)).milliseconds(50) for name in timed}
    return {name: median for name, median in medians.items() if median is not None}


def _named(option: str, name: str | None, names: list[str], default: str) -> str:
    from distill.collections.collection import DataError

    found = None if name is None else well_formed(name)
    if found is not None and found not in names:
        raise DataError(f"{option} {name!r}: no run is called so; accepted are {', '.join(names)}")
    return found or default


def _show(dossier: Dossier, out: Path) -> None:
    """The verdict, a row a run, and where the rest is."""
    found, console = dossier.comparison, Console()
    title = f"{len(found.queries)} judged queries; diff: {found.measures[0]} minus that of {dossier.reference}"
    table = Table(title=escape(title), title_justify="left")
    table.add_column("run", overflow="fold")
    for heading in (*found.measures, "judged", "diff", "95 %", "p"):
        table.add_column(heading, justify="right")
    for name in found.systems:
        facts = dossier.facts[name]
        row = [escape(name), *(_short(found.mean(name, measure)) for measure in found.measures), f"{facts.judged:.0%}"]
        if name != dossier.reference:
            against = found.contrast(name, dossier.reference)
            ends = f"{_short(against.low, '+')} {_short(against.high, '+')}"
            row += [
                _short(against.difference, "+"),
                ends,
                "<.001" if against.p_holm < 0.001 else _short(against.p_holm),
            ]
        table.add_row(*row)
    table_console().print(table)
    for name, absent in found.absent.items():
        if absent:
            shown = ", ".join(absent[:10]) + (" ..." if len(absent) > 10 else "")
            console.print(
                f"{name} lacks {len(absent)} judged queries, which count as 0: {shown}",
                highlight=False,
                soft_wrap=True,
                markup=False,
            )
    console.print(dossier.verdict, style="bold", highlight=False, soft_wrap=True, markup=False)
    written = f"{visible(str(out))}: report.html, comparison.json, contrasts.csv, per_query.csv"
    console.print(written, highlight=False, soft_wrap=True, markup=False)


def _short(figure: float, sign: str = "") -> str:
    """Three digits without the zero before the point, as tables of measures are printed."""
    shown = f"{figure:{sign}.3f}"
    return shown.replace("0.", ".", 1) if abs(figure) < 1 else shown
