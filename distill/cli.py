"""The command line: joins the subcommands and turns named errors into one line and exit code 2."""

from __future__ import annotations

import errno
import logging
import os
import sys
import warnings
from typing import NoReturn

import typer
from rich.console import Console
from rich.logging import RichHandler
from rich.markup import escape

from distill.collections.collection import DataError
from distill.commands import data, export, labels, recipes, teacher
from distill.commands.compare import compare
from distill.commands.counterfactual import counterfactual
from distill.commands.evaluate import evaluate
from distill.commands.first_stage import first_stage
from distill.commands.interleave import interleave
from distill.commands.label import label
from distill.commands.latency import latency
from distill.commands.rank import rank
from distill.commands.report import report
from distill.commands.run import run
from distill.commands.terms import terms
from distill.commands.train import app as train
from distill.errors import ModelError, RecipeError, first_line
from distill.missing_packages import install_advice
from labeling import LabelingError
from students import StudentError
from teachers.errors import TeacherError

app = typer.Typer(
    name="distill",
    help="Turn a large language model's judgment into small re-rankers that you can deploy.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.command()(run)
app.add_typer(recipes.app, name="recipes")
app.add_typer(data.app, name="data")
app.command()(first_stage)
app.add_typer(teacher.app, name="teacher")
app.command()(label)
app.add_typer(labels.app, name="labels")
app.add_typer(train, name="train")
app.command()(terms)
app.command()(rank)
app.command()(evaluate)
app.command()(compare)
app.command()(latency)
app.command()(report)
app.command()(interleave)
app.command()(counterfactual)
app.add_typer(export.app, name="export")

# Errors that name a user's file, key or model; anything else is a fault of ours and keeps its traceback.
_NAMED_ERRORS = (DataError, RecipeError, ModelError, TeacherError, LabelingError, StudentError)
_FULL = tuple(map(os.strerror, (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)))
_MAKE_ROOM = "make room and run the same command again, what it has finished on disk stands"
_INTERRUPTED = 130


def main() -> None:
    """Run the command line."""
    errors = Console(stderr=True)
    _quiet_libraries(errors)
    try:
        app()
    except SystemExit as end:
        # typer makes this of a KeyboardInterrupt
        if end.code == _INTERRUPTED:
            errors.print("interrupted; run the same command again, what it has finished on disk is not done twice")
        raise
    except _NAMED_ERRORS as error:
        _stop(errors, str(error))
    except OSError as error:
        # one that names a file is between the user and the system: no room, no right, a file where a folder should be
        if error.filename is None and error.strerror not in _FULL:
            raise
        place = f"{error.filename}: " if error.filename is not None else ""
        _stop(errors, f"{place}{error.strerror or error}" + (f"; {_MAKE_ROOM}" if error.strerror in _FULL else ""))
    except ModuleNotFoundError as error:
        advice = install_advice(error)
        if advice is None:
            raise
        _stop(errors, advice)
    except Exception as error:
        # libraries that write files have errors of their own for a full disk, with the system's words in them
        if not any(words in str(error) for words in _FULL):
            raise
        _stop(errors, f"{first_line(error)}; {_MAKE_ROOM}")


def _stop(errors: Console, message: str) -> NoReturn:
    errors.print("[red]error:[/red]", escape(message), highlight=False, soft_wrap=True)
    sys.exit(2)


def _quiet_libraries(console: Console) -> None:
    """Our own warnings are shown; the libraries' progress bars and notices would tear our display."""
    warnings.filterwarnings("ignore", category=FutureWarning, module="transformers")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TQDM_DISABLE", "1")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    # a level of its own: bm25s sets its logger to DEBUG, whatever the root says
    handler = RichHandler(logging.WARNING, console=console, show_path=False, show_time=False, markup=False)
    logging.basicConfig(level=logging.WARNING, handlers=[handler], format="%(message)s")
    # it prints its warnings itself, and would again through ours
    logging.getLogger("huggingface_hub").propagate = False
