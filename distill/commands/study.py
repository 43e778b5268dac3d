"""`distill teacher study NAME`: what a teacher's heads are, how stable, how deep, how alike.

A study is a plain function in a module ``distill/commands/study_*.py``, which takes its shared options and its frame
from `distill.commands.study_options`; it is joined here by one line, and this module knows nothing else.
"""

from __future__ import annotations

import typer

from distill.commands.study_answers import answers

app = typer.Typer(help="Studies of a teacher's heads: each a table, a PNG and a JSON file.", no_args_is_help=True)
app.command()(answers)
