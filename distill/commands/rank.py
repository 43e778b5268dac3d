"""`distill rank`: re-rank the candidates of a run, or of JSON lines, with a student or another light model."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO, Literal

import typer
from rich.console import Console
from rich.markup import escape

from distill.collections.collection import DataError
from distill.commands.terminal import refuse
from distill.errors import ModelError

if TYPE_CHECKING:
    from distill.serving.answering import Answers
    from distill.serving.ranking import Limits, Totals
    from distill.stages.rankers import Ranker, RankerReference


def rank(
    model: Annotated[
        str,
        typer.Argument(
            help="a student's folder, an exported one, any cross-encoder with one output, or a bi-encoder; "
            "onnx:, torch: or a number type may stand before it, as in bfloat16:./folder"
        ),
    ],
    collection: Annotated[Path | None, typer.Option(help="BEIR folder with the texts of --run")] = None,
    run: Annotated[Path | None, typer.Option(help="TREC run with the candidates; without it, JSON lines")] = None,
    out: Annotated[Path | None, typer.Option(help="TREC run to write")] = None,
    input_file: Annotated[
        Path | None, typer.Option("--input", help="JSON lines; without it and --run, those of standard input")
    ] = None,
    candidates: Annotated[int, typer.Option(help="documents of each query of --run that are kept", min=1)] = 50,
    backend: Annotated[
        Literal["auto", "torch", "onnx"],
        typer.Option(help="auto: ONNX Runtime for a folder with a graph and no weights, or where torch is missing"),
    ] = "auto",
    dtype: Annotated[
        Literal["float32", "bfloat16", "float16"] | None, typer.Option(help="number type of torch's weights")
    ] = None,
    device: Annotated[str | None, typer.Option(help="as cuda or cpu; default: an accelerator if there is one")] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="of ONNX Runtime; default: the processors")] = None,
    max_documents: Annotated[
        int | None, typer.Option(min=1, help="documents scored a query; the rest stay below, in first-stage order")
    ] = None,
    max_characters: Annotated[int | None, typer.Option(min=1, help="longest text of a document; cut there")] = None,
    deadline_ms: Annotated[
        int | None, typer.Option(min=1, help="time a query; documents that were not reached stay below")
    ] = None,
    top_n: Annotated[int | None, typer.Option(min=1, help="documents a query that are answered")] = None,
    probability: Annotated[bool, typer.Option(help="show scores from 0 to 1 instead of raw ones (JSON lines)")] = False,
    skip_bad: Annotated[bool, typer.Option(help="answer a malformed JSON line with an error, and go on")] = False,
    overwrite: Annotated[bool, typer.Option(help="replace --out if it exists")] = False,
) -> None:
    """Score each query's candidates and write them in their new order.

    With --collection and --run the result is a TREC run; a run that a light model made so is what `distill label
    --pre-ranked` cuts its lists by. Otherwise each line of standard input is a JSON object with a query and its
    documents, the first stage's best first, and each line of standard output is the answer to one.
    """
    from distill.collections.files import refuse_existing
    from distill.serving.answering import Answers
    from distill.serving.ranking import Limits
    from distill.stages.rankers import RankerReference

    limits = Limits(max_documents, max_characters, None if deadline_ms is None else deadline_ms / 1000)
    ranker = _Model(RankerReference.parse(model).told(backend, dtype), device, threads)
    if run is None and collection is None:
        refuse(out is not None, "--out is for a run; JSON lines are answered on standard output")
        _answer_lines(ranker, input_file, Answers(limits, top_n, probability, skip_bad))
    elif run is None or collection is None or out is None:
        raise DataError("a run takes all of --collection, --run and --out; JSON lines take none of them")
    else:
        refuse(input_file is not None, "--input is for JSON lines; leave out --collection and --run")
        refuse(probability or skip_bad, "--probability and --skip-bad are for JSON lines; a run holds raw scores")
        refuse_existing(out, overwrite)
        _rank_run(ranker, _Files(collection, run, out), candidates, limits, top_n)


@dataclass(frozen=True, slots=True)
class _Model:
    """What scores, and where it runs."""

    reference: RankerReference
    device: str | None
    threads: int | None

    def open(self) -> Ranker:
        from distill.stages.rankers import open_ranker

        return open_ranker(self.reference, self.device, self.threads)

    @contextmanager
    def named(self) -> Iterator[None]:
        """Put the model's name before what is wrong with its scores.

        Raises:
            ModelError: one was raised within.
        """
        try:
            yield
        except ModelError as error:
            raise ModelError(f"model {self.reference.model!r}: {error}") from None


@dataclass(frozen=True, slots=True)
class _Files:
    collection: Path
    run: Path
    out: Path


def _rank_run(model: _Model, files: _Files, candidates: int, limits: Limits, top_n: int | None) -> None:
    from distill.collections.beir import read_beir
    from distill.collections.trec import check_run, read_run, write_run
    from distill.progress import progress_bar
    from distill.stages.candidates import top
    from distill.stages.ranked_runs import rank_run

    loaded, ranked = read_beir(files.collection), read_run(files.run)
    check_run(ranked, loaded, str(files.run))
    ranker = model.open()
    console = Console()
    with model.named(), progress_bar(console, "ranking", "queries") as advance:
        scores, totals = rank_run(ranker, loaded, top(ranked, ranked, candidates), limits, top_n, advance)
    write_run(scores, files.out, tag=_tag(model.reference.model))
    console.print(escape(f"{files.out}: {len(scores)} queries re-ranked"), highlight=False, soft_wrap=True)
    for note in _notes(totals):
        console.print(note, highlight=False, soft_wrap=True)


def _answer_lines(model: _Model, input_file: Path | None, answers: Answers) -> None:
    from distill.serving.answering import answer_lines

    errors = Console(stderr=True)

    def tell(text: str) -> None:
        errors.print(text, markup=False, highlight=False, soft_wrap=True)

    def write(line: str) -> None:
        sys.stdout.write(line)
        # a reader at the other end of a pipe waits for each answer
        sys.stdout.flush()

    with _lines(input_file) as lines:
        ranker = model.open()
        begun = time.perf_counter()
        with model.named():
            totals = answer_lines(ranker, lines, write, answers, str(input_file or "standard input"), tell)
        seconds = time.perf_counter() - begun
    tell(f"{totals.queries} queries in {seconds:.1f} s, {type(ranker).__name__}")
    for note in _notes(totals):
        tell(note)


@contextmanager
def _lines(path: Path | None) -> Iterator[BinaryIO]:
    if path is None:
        if sys.stdin.isatty():
            raise DataError("nothing to rank: give --collection, --run and --out, or JSON lines on standard input")
        yield sys.stdin.buffer
        return
    try:
        lines = path.open("rb")
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or error}") from None
    with lines:
        yield lines


def _notes(totals: Totals) -> Iterator[str]:
    """What the limits left out, a line each."""
    if totals.reached < totals.documents:
        left = totals.documents - totals.reached
        yield f"{left} of {totals.documents} documents were not reached and stand below, in first-stage order"
    if totals.late:
        yield f"the deadline cut {totals.late} of {totals.queries} queries short"
    if totals.cut_documents:
        yield f"{totals.cut_documents} documents were cut, by {totals.cut_characters:,} characters in all"
    if totals.bad:
        yield f"{totals.bad} lines were no requests and got an error for an answer"


def _tag(model: str) -> str:
    """The run's last column: the model's name, without what a run cannot hold."""
    return "_".join(Path(model).name.split()) or "distill"
