"""Studies that live on stored head scores: stability, layers, redundancy, routing, length."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from distill.commands.study_options import (
    Candidates,
    Collections,
    Limit,
    Out,
    Overwrite,
    Runs,
    Splits,
    Teachers,
    opened_from,
    run_study,
)
from distill.progress import progress_bar

if TYPE_CHECKING:
    from distill.studies.material import StudyMaterial
    from distill.studies.study import StudyResult
    from teachers.head_search import SearchSettings

Folds = Annotated[int, typer.Option(help="parts of the lists, each measured with what the others chose", min=2)]


def stability(
    teachers: Teachers,
    collection: Collections,
    run: Runs,
    out: Out,
    split: Splits = None,
    candidates: Candidates = 20,
    limit: Limit = None,
    queries: Annotated[
        list[int] | None,
        typer.Option(help="queries of each of two disjoint samples; repeatable; default: 10, 25, 50, 100, 200, 400"),
    ] = None,
    held_out: Annotated[int, typer.Option(help="queries that must be left to measure a set's worth on", min=2)] = 50,
    repeats: Annotated[int, typer.Option(help="random splits of the queries", min=2)] = 20,
    overwrite: Overwrite = False,
) -> None:
    """Head sets on disjoint samples of queries and on different collections: overlap, correlation and worth."""
    from distill.studies.stability import stability as made
    from teachers.studies.stability import StabilitySettings

    if queries is not None and min(queries) < 1:
        raise typer.BadParameter(f"{min(queries)}; a sample has one query at least", param_hint="--queries")
    sampled = {"queries": tuple(queries)} if queries else {}
    settings = StabilitySettings(splits=repeats, least_held=held_out, **sampled)

    def study(material: StudyMaterial, console: Console) -> StudyResult:
        with progress_bar(console, "stability", "rules") as advance:
            return made(material, settings, advance)

    run_study("stability", out, overwrite, opened_from(teachers, collection, run, split, candidates, limit), study)


def layers(
    teachers: Teachers,
    collection: Collections,
    run: Runs,
    out: Out,
    split: Splits = None,
    candidates: Candidates = 20,
    limit: Limit = None,
    folds: Folds = 5,
    timed_lists: Annotated[
        int, typer.Option(help="lists of each collection read at every depth to be timed; 0 for none", min=0)
    ] = 5,
    deeper_lists: Annotated[
        int, typer.Option(help="lists of each collection read through all layers, beyond the teacher's depth", min=0)
    ] = 0,
    overwrite: Overwrite = False,
) -> None:
    """Quality by layer, by number of heads and by the depth at which the pass stops, with seconds."""
    from distill.studies.layers import layers as made
    from teachers.studies.layers import LayerSettings

    def study(material: StudyMaterial, console: Console) -> StudyResult:
        with progress_bar(console, "layers", "steps") as advance:
            return made(material, LayerSettings(folds=folds), timed_lists, deeper_lists, advance)

    run_study("layers", out, overwrite, opened_from(teachers, collection, run, split, candidates, limit), study)


def redundancy(
    teachers: Teachers,
    collection: Collections,
    run: Runs,
    out: Out,
    split: Splits = None,
    candidates: Candidates = 20,
    limit: Limit = None,
    pool: Annotated[int, typer.Option(help="best single heads that are paired", min=2)] = 32,
    folds: Folds = 5,
    overwrite: Overwrite = False,
) -> None:
    """Correlation of head scores, pairs that help and conflict, and what sets gain as heads are added."""
    from distill.studies.redundancy import redundancy as made
    from teachers.studies.redundancy import RedundancySettings

    def study(material: StudyMaterial, console: Console) -> StudyResult:
        settings = RedundancySettings(pool=min(pool, material.heads), heads=min(32, material.heads), folds=folds)
        with progress_bar(console, "redundancy", "steps") as advance:
            return made(material, settings, advance)

    run_study("redundancy", out, overwrite, opened_from(teachers, collection, run, split, candidates, limit), study)


def routing(
    teachers: Teachers,
    collection: Collections,
    run: Runs,
    out: Out,
    split: Splits = None,
    candidates: Candidates = 20,
    limit: Limit = None,
    folds: Folds = 5,
    permutations: Annotated[int, typer.Option(help="of the kinds of queries, for the p-values", min=19)] = 999,
    overwrite: Overwrite = False,
) -> None:
    """Whether kinds of queries call for different heads, a map of heads and queries, and what routing gains."""
    from distill.studies.routing import routing as made
    from teachers.studies.routing import RoutingSettings

    def study(material: StudyMaterial, console: Console) -> StudyResult:
        settings = RoutingSettings(folds=folds, permutations=permutations, search=search_of(material))
        with progress_bar(console, "routing", "collections") as advance:
            return made(material, settings, advance)

    run_study("routing", out, overwrite, opened_from(teachers, collection, run, split, candidates, limit), study)


def search_of(material: StudyMaterial) -> SearchSettings:
    """How the teacher's own pseudo labels were searched."""
    return material.collections[0].section.routehead.search


def length(
    teachers: Teachers,
    collection: Collections,
    run: Runs,
    out: Out,
    split: Splits = None,
    candidates: Candidates = 20,
    size: Annotated[
        list[int] | None, typer.Option(help="documents of the lists; repeatable; default: 5, 10 and --candidates")
    ] = None,
    limit: Annotated[
        int,
        typer.Option(
            help="questions of each collection whose shorter lists are read: 20 documents of 40 words take 2 s on two "
            "cores and the whole lists are stored, so 5 + 10 documents of 100 questions take 150 s, of 100 words three "
            "times that",
            min=10,
        ),
    ] = 100,
    order_lists: Annotated[
        int, typer.Option(help="of those, lists read in a second order: 2 s each, 5 s at 100 words", min=0)
    ] = 25,
    folds: Folds = 5,
    overwrite: Overwrite = False,
) -> None:
    """Heads found on short lists used on long ones and back, quality by place in the prompt, two orders averaged."""
    from distill.studies.length import length as made
    from teachers.studies.length import LengthSettings

    sizes = sorted(set(size or (5, 10, candidates)))
    if sizes[0] < 2:
        raise typer.BadParameter(f"{sizes[0]}; a list has two documents at least", param_hint="--size")

    def study(material: StudyMaterial, console: Console) -> StudyResult:
        with progress_bar(console, "length", "lists") as advance:
            return made(material, LengthSettings(folds=folds), sizes, limit, order_lists, advance)

    run_study("length", out, overwrite, opened_from(teachers, collection, run, split, candidates), study)
