"""`distill train`: a small re-ranker from a label folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Console
from rich.markup import escape

if TYPE_CHECKING:
    from distill.recipe.settings import ListSection
    from distill.recipe.students import DecoderSection, EncoderSection

app = typer.Typer(help="Train a small re-ranker on labels.", no_args_is_help=True)

_Collection = Annotated[Path, typer.Option(help="BEIR folder that was labelled")]
_Labels = Annotated[
    list[Path],
    typer.Option(help="label folder; repeatable, such as one of each first stage's candidates: all lists are learned"),
]
_Out = Annotated[Path, typer.Option(help="folder to write the student into; must not exist")]
_Run = Annotated[Path | None, typer.Option(help="TREC run with candidates of dev queries, to keep the best checkpoint")]
_Split = Annotated[str, typer.Option(help="split of the dev queries")]
_Candidates = Annotated[int, typer.Option(help="documents of a dev query that are re-ranked", min=2)]
_Random = Annotated[int, typer.Option(help="documents of other queries added to each list", min=0)]
_MinConfidence = Annotated[
    float | None, typer.Option(help="leave out lists that two orders ranked more differently (tau-b)", min=-1, max=1)
]
_MaxTokens = Annotated[int, typer.Option(help="length to which a pair is cut", min=8)]
# written out here, as students.losses would import torch before the help is shown
_Loss = Annotated[
    Literal["ranknet", "margin_mse", "listnet", "lambda", "adr_mse"], typer.Option(help="loss of a label list")
]
_ByConfidence = Annotated[bool, typer.Option("--confidence-weight", help="weigh each list's loss by its confidence")]
_PassageTokens = Annotated[
    int | None, typer.Option(help="cut longer documents into passages of so many tokens; the best one counts", min=4)
]
_PassageOverlap = Annotated[int, typer.Option(help="tokens that a passage shares with the one before it", min=0)]
_Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        help="any other setting as a recipe names it, such as encoder.trainer.num_train_epochs=3, decoder.seed=1 or "
        "labels.max_ranked=10; repeatable",
    ),
]


@app.command()
def encoder(
    collection: _Collection,
    labels: _Labels,
    out: _Out,
    start: Annotated[str, typer.Option(help="hub id (@REVISION pins it), folder, or package:NAME/PATH")],
    run: _Run = None,
    dev_split: _Split = "dev",
    candidates: _Candidates = 20,
    random: _Random = 2,
    min_confidence: _MinConfidence = None,
    max_tokens: _MaxTokens = 256,
    loss: _Loss = "margin_mse",
    confidence_weight: _ByConfidence = False,
    passage_tokens: _PassageTokens = None,
    passage_overlap: _PassageOverlap = 0,
    language: Annotated[
        str, typer.Option(help="of term control's stems and stop words; see distill terms")
    ] = "english",
    set_: _Set = None,
) -> None:
    """Train a cross-encoder with term control."""
    flags = {
        "start": start, "max_tokens": max_tokens, "loss": loss, "confidence_weight": confidence_weight,
        "passages": _passages(passage_tokens, passage_overlap, max_tokens), "language": language,
    }  # fmt: skip
    lists = {"random": random, "min_confidence": min_confidence}
    section, kept = _sections("encoder", flags, lists, set_)
    _train(section, kept, collection, labels, out, (run, dev_split, candidates))


@app.command()
def decoder(
    collection: _Collection,
    labels: _Labels,
    out: _Out,
    start: Annotated[str, typer.Option(help="hub id (@REVISION pins it), folder, .gguf file, or package:NAME/PATH")],
    layers: Annotated[int | None, typer.Option(help="keep the first so many layers", min=1)] = None,
    run: _Run = None,
    dev_split: _Split = "dev",
    candidates: _Candidates = 20,
    random: _Random = 2,
    min_confidence: _MinConfidence = None,
    max_tokens: _MaxTokens = 256,
    loss: _Loss = "margin_mse",
    confidence_weight: _ByConfidence = False,
    passage_tokens: _PassageTokens = None,
    passage_overlap: _PassageOverlap = 0,
    label_weight: Annotated[float, typer.Option(help="weight of learning to say yes or no behind a pair", min=0)] = 0,
    reason_weight: Annotated[
        float, typer.Option(help="weight of learning to name the evidence of the best documents behind that", min=0)
    ] = 0,
    set_: _Set = None,
) -> None:
    """Train a small language model with a ranking head, by LoRA, merged when saved."""
    if passage_tokens is not None and (label_weight or reason_weight):
        raise typer.BadParameter("--label-weight and --reason-weight are for whole documents, not --passage-tokens")
    flags = {
        "start": start, "layers": layers, "max_tokens": max_tokens, "loss": loss,
        "confidence_weight": confidence_weight,
        "passages": _passages(passage_tokens, passage_overlap, max_tokens),
        "label_weight": label_weight, "reason_weight": reason_weight,
    }  # fmt: skip
    lists = {"random": random, "min_confidence": min_confidence}
    section, kept = _sections("decoder", flags, lists, set_)
    _train(section, kept, collection, labels, out, (run, dev_split, candidates))


def _sections(
    student: str, flags: Mapping[str, Any], lists: Mapping[str, Any], overrides: Sequence[str] | None
) -> tuple[Any, ListSection]:
    """The student's section and what it gets of each list, by the flags and ``--set``."""
    from distill.errors import RecipeError
    from distill.recipe.file import load_sections
    from distill.recipe.settings import ListSection

    sections = load_sections({student: flags, "labels": lists}, overrides or ())
    if of_the_job := sections["labels"].model_fields_set - ListSection.model_fields.keys():
        message = f"{min(of_the_job)} is for the label job; accepted here are {', '.join(ListSection.model_fields)}"
        raise RecipeError.at("labels", message)
    if sections[student].warm_start is not None:
        message = (
            "a recipe does both trainings; here label with `distill label --bi-encoder` and --start from a student"
        )
        raise RecipeError.at(f"{student}.warm_start", message)
    return sections[student], sections["labels"]


def _passages(tokens: int | None, overlap: int, max_tokens: int) -> dict[str, int] | None:
    if tokens is None:
        if overlap:
            raise typer.BadParameter("--passage-overlap needs --passage-tokens")
        return None
    if not overlap < tokens < max_tokens:
        raise typer.BadParameter(
            f"--passage-tokens ({tokens}) must be above --passage-overlap ({overlap}) and below --max-tokens "
            f"({max_tokens})"
        )
    return {"tokens": tokens, "overlap": overlap}


def _train(
    section: EncoderSection | DecoderSection,
    kept: ListSection,
    collection: Path,
    labels: Sequence[Path],
    out: Path,
    dev: tuple[Path | None, str, int],
) -> None:
    from distill.collections.beir import read_beir
    from distill.collections.collection import DataError
    from distill.collections.trec import check_run, read_run
    from distill.errors import ModelError
    from distill.progress import progress_bar
    from distill.report.training_curves import write_history
    from distill.stages.candidates import top
    from distill.stages.student_origin import student_origin
    from distill.stages.students import dev_lists, train_student
    from distill.stages.training_lists import training_lists

    if out.exists():
        raise ModelError(f"{out}: exists already; choose another --out or remove it")
    console = Console()
    loaded = read_beir(collection)
    lists = training_lists(loaded, labels, kept)
    dev_run, split, candidates = dev
    held_out = []
    if dev_run is not None:
        ranked, qrels = read_run(dev_run), loaded.split(split)
        check_run(ranked, loaded, str(dev_run))
        held_out = dev_lists(loaded, top(ranked, qrels, candidates), qrels)
        if not held_out:
            message = (
                f"{dev_run}: none of its {len(ranked)} queries is judged in {split}; --dev-split names another split"
            )
            raise DataError(message)
    origin = student_origin(section.start, loaded.name, labels)
    with progress_bar(console, "training", "steps") as advance:
        report = train_student(section, lists, held_out, out, advance, origin)
    write_history(report.history, out)
    measured = "" if report.dev_ndcg is None else f", dev nDCG@10 {report.dev_ndcg:.3f}"
    learned = f"{report.lists} lists of {report.pairs:,} pairs, {report.steps} steps, {report.seconds:.0f} s"
    console.print(f"{escape(str(out))}: {learned}{measured}", highlight=False, soft_wrap=True)
