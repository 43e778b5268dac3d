"""Exports a cross-encoder as a folder that other servers load unchanged, with the scores that prove it."""

from __future__ import annotations

import json
import math
import shutil
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from distill.collections.files import whole_folder
from distill.errors import ModelError
from distill.export.gate import FEWEST_LISTS, GateError, GateLimits, GateReport, judge
from distill.export.model_folder import ACTIVATIONS, GRAPH, ModelFolder, read_model_folder
from distill.export.pairs import Pair, RealLists
from distill.export.parity import PARITY, LoaderParity, compare_loaders, write_parity
from distill.export.plain_files import write_card, write_model_files
from distill.export.rules import EXPORT, export_facts
from distill.export.servers import TARGETS, Target, Verdict, verdicts
from distill.export.source import Source
from distill.progress import Advance

MOST_LISTS = 100
_VERSIONS = ("torch", "transformers", "sentence-transformers", "onnx", "onnxscript", "onnxruntime")


@dataclass(frozen=True)
class ExportRequest:
    """What to write.

    Args:
        target: form of the folder.
        out: the folder; it must not exist.
        pairs: their fp32 scores travel with the folder.
        lists: real lists for the gate of int8; None where there are none.
        limits: of that gate.
        force: write an int8 graph that the gate refuses, or that no real lists were there for.
        graph: an fp32 graph of the same model, to save writing it again; None to write it.
    """

    target: Target
    out: Path
    pairs: Sequence[Pair]
    lists: RealLists | None = None
    limits: GateLimits = GateLimits()
    force: bool = False
    graph: Path | None = None


@dataclass(frozen=True)
class ExportReport:
    """What was written.

    Args:
        out: the folder.
        target: its form.
        bytes: of all its files.
        seconds: that it took.
        parity: each loader's scores beside those of the model that was exported.
        graph_difference: largest difference in logits between graph and model; None where no graph was written.
        gate: what the int8 graph does to rankings; None for other targets, or without real lists.
        servers: which servers can load it.
        notes: what was changed on the way.
    """

    out: Path
    target: Target
    bytes: int
    seconds: float
    parity: list[LoaderParity]
    graph_difference: float | None
    gate: GateReport | None
    servers: list[Verdict]
    notes: tuple[str, ...] = field(default=())


def export_model(source: Source, request: ExportRequest, on_progress: Advance | None = None) -> ExportReport:
    """Write the folder in full or not at all, load it with everything that can, and compare the scores.

    Args:
        source: the model.
        request: what to write.
        on_progress: is told the lists that graphs have ranked for the gate of int8, of all that they may have to.

    Raises:
        GateError: the int8 graph changes rankings too much; nothing is written.
        ModelError: ``out`` exists, the model cannot be had in this form, its scores are not finite, or a loader does
            not score as the model does; nothing is written.
    """
    refuse_at_once(request)
    started = time.perf_counter()
    with whole_folder(request.out) as beside:
        write_model_files(source, beside, weights=request.target != "onnx-int8")
        write_parity(beside / PARITY, request.pairs, _model_scores(source, request.pairs))
        graphs = (None, None) if request.target == "hf" else _write_graphs(source, beside, request, on_progress)
        difference, gate = graphs
        servers = verdicts(read_model_folder(beside), request.target)
        _write_facts(source, beside, request, difference, gate)
        write_card(source, beside, request.out.name, _card_body(source, request, gate, servers))
        parity = compare_loaders(read_model_folder(beside), request.target == "onnx-int8")
        _refuse_other_scores(source, parity, request)
        size = sum(path.stat().st_size for path in beside.rglob("*") if path.is_file())
    return ExportReport(
        out=request.out, target=request.target, bytes=size, seconds=time.perf_counter() - started, parity=parity,
        graph_difference=difference, gate=gate, servers=servers, notes=(*source.notes, *_slow(gate)),
    )  # fmt: skip


def _slow(gate: GateReport | None) -> list[str]:
    from distill.export.quantised import NOT_FASTER

    return [] if gate is None or gate.scheme not in NOT_FASTER else [NOT_FASTER[gate.scheme]]


def refuse_at_once(request: ExportRequest) -> None:
    """Stop before any work for a reason that can be seen now.

    Raises:
        ModelError: an unknown target, ``out`` exists, or there are no real lists for an int8 gate, or too few.
    """
    if request.target not in TARGETS:
        raise ModelError(f"--target {request.target}: accepted are {', '.join(TARGETS)}")
    if request.out.exists():
        raise ModelError(f"{request.out}: exists already; choose another --out or remove it")
    if request.target == "onnx-int8" and not request.force:
        _refuse_too_few(request.lists)


def _refuse_too_few(lists: RealLists | None) -> None:
    if lists is None:
        raise ModelError(
            "--target onnx-int8 needs real lists, as only they show what eight bits do to a ranking: give --collection "
            "and --run, or --pairs-file; or --force to write it unjudged"
        )
    if len(lists.documents) < FEWEST_LISTS:
        raise GateError(
            f"--target onnx-int8: {len(lists.documents)} lists are too few to tell what eight bits do to a ranking; "
            f"give at least {FEWEST_LISTS}, better fifty with a relevant document, or --force"
        )


def fp32_graph(folder: ModelFolder) -> Path | None:
    """The graph of a folder that was exported to `onnx`, which need not be written a second time; None elsewhere."""
    return folder.path / GRAPH if folder.has_graph and export_facts(folder).get("target") == "onnx" else None


def _model_scores(source: Source, pairs: Sequence[Pair]) -> list[float]:
    from students.scoring import Reranker

    reranker = Reranker(source.model, source.tokenizer, in_passages=False)
    scores = [scores[0] for scores in reranker.score_many([(query, [document]) for query, document in pairs])]
    wrong = [score for score in scores if not math.isfinite(score)]
    if wrong:
        raise ModelError(
            f"{source.name}: {len(wrong)} of {len(scores)} pairs have a score that is not finite: {wrong[0]}"
        )
    return scores


def _write_graphs(
    source: Source, folder: Path, request: ExportRequest, on_progress: Advance | None
) -> tuple[float, GateReport | None]:
    """Write the target's graph; its difference to the model in fp32, and the gate's figures."""
    from distill.export.graph import TOLERANCE, compare_graph, write_graph

    graph = folder / GRAPH
    graph.parent.mkdir()
    if request.graph is None:
        difference = write_graph(source.model, graph)
    else:
        shutil.copyfile(request.graph, graph)
        difference = compare_graph(source.model, graph)
        if not difference <= TOLERANCE:
            raise ModelError(f"{request.graph}: this graph is not the model's, its logits differ by {difference:.1e}")
    if request.target == "onnx":
        return difference, None
    return difference, _quantise(folder, request, on_progress)


def _quantise(folder: Path, request: ExportRequest, on_progress: Advance | None) -> GateReport | None:
    """Put the first int8 graph that the gate lets pass in the place of the fp32 graph."""
    from distill.export.quantised import SCHEMES, read_graph, write_int8
    from distill.export.smoothing import channel_peaks

    graph, lists = folder / GRAPH, request.lists
    judged = _Judged(0 if lists is None else len(lists.documents) * (1 + len(SCHEMES)), on_progress)
    before = _graph_scores(folder, lists, judged)
    peaks = channel_peaks(folder, read_graph(graph), request.pairs)
    reports: list[GateReport] = []
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        fp32 = graph.rename(Path(scratch) / "fp32.onnx")
        kept = Path(scratch) / "int8.onnx"
        for scheme in SCHEMES:
            write_int8(fp32, graph, scheme, peaks)
            if lists is None:
                return None
            after = lists.scored(_graph_scores(folder, lists, judged))
            report = judge(lists.scored(before), after, lists.qrels, request.limits, scheme)
            if report.passed:
                return report
            # the best of those that failed, should one be forced
            if not reports or report.tau_b > max(found.tau_b for found in reports):
                graph.replace(kept)
            reports.append(report)
        kept.replace(graph)
    if not request.force:
        tried = "; ".join(f"{report.scheme}: {', '.join(report.failures)}" for report in reports)
        raise GateError(
            f"the int8 graph changes rankings too much and is not written ({tried}; {reports[0].lists} lists); use "
            "--target onnx, or --force to write it all the same"
        )
    return max(reports, key=lambda report: report.tau_b)


@dataclass
class _Judged:
    """Lists that graphs have ranked, of all that they may have to."""

    total: int
    on_progress: Advance | None
    done: int = 0

    def one_more(self) -> None:
        self.done += 1
        if self.on_progress is not None:
            self.on_progress(self.done, self.total)


def _graph_scores(folder: Path, lists: RealLists | None, judged: _Judged) -> list[list[float]]:
    from distill.serving.onnx_reranker import OnnxReranker

    if lists is None:
        return []
    reranker, scores = OnnxReranker.load(folder), []
    for query, documents in lists.texts():
        scores.append(reranker.score_pairs(query, documents))
        judged.one_more()
    return scores


def _refuse_other_scores(source: Source, parity: Sequence[LoaderParity], request: ExportRequest) -> None:
    for found in parity:
        if found.passed or (request.force and request.target == "onnx-int8"):
            continue
        reason = found.problem or f"differs by up to {found.largest:.1e} in logits (Spearman {found.spearman:.4f})"
        kind = GateError if request.target == "onnx-int8" else ModelError
        raise kind(f"{source.name}: {found.loader} does not score the export as the model does: {reason}")


def _write_facts(
    source: Source, folder: Path, request: ExportRequest, difference: float | None, gate: GateReport | None
) -> None:
    facts: dict[str, Any] = {
        "target": request.target,
        # a folder's path is nobody else's business
        "source": Path(source.name).name if Path(source.name).exists() else source.name,
        "model_type": source.model.config.model_type,
        "max_tokens": source.tokenizer.model_max_length,
        "activation": source.activation,
        "scores": ACTIVATIONS[source.activation],
        "pairs": len(request.pairs),
        "graph_difference": difference,
        "gate": None if gate is None else gate.to_json(),
        "notes": list(source.notes),
        "versions": {name: found for name in _VERSIONS if (found := _version(name))},
    }
    text = json.dumps(facts, indent=2, ensure_ascii=True, allow_nan=True)
    (folder / EXPORT).write_text(text + "\n", encoding="utf-8")


def _version(package: str) -> str | None:
    """Its version; None where it is not installed, as the hf target needs no ONNX package."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _card_body(source: Source, request: ExportRequest, gate: GateReport | None, servers: Sequence[Verdict]) -> str:
    lines = [
        f"Exported by `distill export --target {request.target}`; `distill export check FOLDER` checks it again.",
        "",
        f"- pairs are cut to {source.tokenizer.model_max_length} tokens",
        f"- sentence-transformers and vLLM return a {ACTIVATIONS[source.activation]}; transformers and ONNX Runtime a "
        "raw logit",
        f"- `{PARITY}` holds {len(request.pairs)} pairs with the model's fp32 logits, to check any server with",
    ]
    if request.target == "onnx-int8":
        lines.append("- this folder holds the int8 graph alone: it is loaded with ONNX Runtime, not with torch")
        lines.append(f"- int8 against fp32: {gate.summary() if gate else 'not judged, written by --force'}")
        if gate is not None and not gate.passed:
            lines.append(f"- written by --force although the gate refused it: {'; '.join(gate.failures)}")
    lines += [
        f"- {verdict.server}: {'loads it' if verdict.reason is None else f'cannot load it: {verdict.reason}'}"
        for verdict in servers
    ]
    return "\n".join(lines)
