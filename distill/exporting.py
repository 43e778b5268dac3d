"""What the export stages of a recipe do: each student in the forms that the recipe asks for."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distill.errors import ModelError
from distill.export.folder import MOST_LISTS, ExportReport, ExportRequest, export_model
from distill.export.model_folder import GRAPH
from distill.export.pairs import lists_of, spread_pairs
from distill.export.servers import Target
from distill.export.source import open_source
from distill.progress import Advance
from distill.steps import MODEL, Facts

if TYPE_CHECKING:
    from distill.pipeline import RecipeRun


def exporter(name: str) -> Callable[[RecipeRun, Path, Advance], Facts]:
    """The work of exporting the student ``name``."""

    def export(run: RecipeRun, folder: Path, advance: Advance) -> Facts:
        section = run.recipe.export
        lists = lists_of(run.collection, run.candidates(run.plan.test))
        pairs, source = spread_pairs(lists.texts(), section.pairs), open_source(str(run.folder / name / MODEL))
        written: dict[str, ExportReport] = {}
        refused: list[str] = []
        places: dict[Target, str] = {"hf": MODEL, "onnx": "onnx", "onnx-int8": "onnx-int8"}
        for target, place in places.items():
            shutil.rmtree(folder / place, ignore_errors=True)
            if target not in ("hf", *section.targets):
                continue
            graph = folder / "onnx" / GRAPH if "onnx" in written else None
            judged = lists.spread(MOST_LISTS)
            request = ExportRequest(target, folder / place, pairs, judged, graph=graph)
            try:
                written[target] = export_model(source, request, advance)
            except ModelError as error:
                if target == "hf":
                    raise
                refused.append(f"{target} left out: {error}")
        return _export_facts(written, refused)

    return export


def _export_facts(written: Mapping[str, ExportReport], refused: list[str]) -> Facts:
    rows = {found.loader: found for found in written["hf"].parity}
    largest = {name: rows[loader].largest for name, loader in (("cross_encoder", "CrossEncoder"),
                                                              ("transformers", "transformers"))}  # fmt: skip
    count = rows["CrossEncoder"].pairs
    shown = f"{count} pairs scored by CrossEncoder and transformers too, largest difference {max(largest.values()):.1e}"
    others = [f"{target} {report.bytes / 2**20:.0f} MiB" for target, report in written.items() if target != "hf"]
    return {
        "parity": {"pairs": count, **largest},
        "exports": {target: _export_row(report) for target, report in written.items()},
        "refused": refused,
        "summary": "; ".join([shown, *others, *refused]),
    }


def _export_row(report: ExportReport) -> dict[str, Any]:
    return {
        "bytes": report.bytes,
        "seconds": report.seconds,
        "graph_difference": report.graph_difference,
        "gate": None if report.gate is None else report.gate.to_json(),
    }
