"""`distill export`: a student as a folder for other servers, checked after writing."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console


def export(
    model: Annotated[Path, typer.Argument(help="a student's folder")],
    out: Annotated[Path, typer.Option(help="folder to write; must not exist")],
    collection: Annotated[Path, typer.Option(help="BEIR folder that gives the pairs to check with")],
    run: Annotated[Path, typer.Option(help="TREC run that gives the pairs to check with")],
    pairs: Annotated[int, typer.Option(help="pairs whose scores travel with the folder", min=1)] = 20,
) -> None:
    """Copy a student, load it with sentence-transformers and with transformers, and compare their scores with ours."""
    from distill.collections.beir import read_beir
    from distill.collections.trec import check_run, read_run
    from distill.export.folder import export_student, spread_pairs
    from distill.stages.candidates import texts

    loaded, ranked = read_beir(collection), read_run(run)
    check_run(ranked, loaded, str(run))
    parity = export_student(model, out, spread_pairs(texts(loaded, ranked), pairs))
    Console().print(
        f"{out}: {parity.pairs} pairs; largest difference to CrossEncoder {parity.cross_encoder:.1e}, "
        f"to transformers {parity.transformers:.1e}",
        highlight=False, soft_wrap=True,
    )  # fmt: skip
