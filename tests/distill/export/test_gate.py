"""The gate of int8 graphs: by numbers worked by hand, by extremes, and on a real quantised graph."""

from __future__ import annotations

import json

import pytest

from distill.errors import ModelError
from distill.export.folder import ExportRequest, export_model
from distill.export.gate import GateError, GateLimits, judge
from distill.export.model_folder import read_model_folder
from distill.export.pairs import BUILT_IN, RealLists
from distill.export.quantised import SCHEMES
from distill.export.source import open_source

LOOSE = GateLimits(tau_b=-1, overlap=0, ndcg_loss=1)
DOCUMENTS = [f"d{n:02d}" for n in range(12)]


def run(lists, order=DOCUMENTS):
    """The same order of documents for each query, scores falling by one."""
    return {f"q{n}": {doc_id: float(-place) for place, doc_id in enumerate(order)} for n in range(lists)}


def test_the_same_scores_pass():
    qrels = {f"q{n}": {"d03": 1} for n in range(12)}
    report = judge(run(12), run(12), qrels, GateLimits(tau_b=0.9999, overlap=1, ndcg_loss=0))
    assert report.passed
    assert report.tau_b == pytest.approx(1)
    assert (report.overlap, report.top_1, report.difference) == (1, 1, 0)


def test_figures_by_hand():
    # the first two and the last three change places: 1 + 3 of 66 pairs of documents are the other way round
    changed = [DOCUMENTS[1], DOCUMENTS[0], *DOCUMENTS[2:9], *reversed(DOCUMENTS[9:])]
    # where the first of all is relevant it comes second: nDCG falls from 1 to 1 / log2(3) = .6309
    report = judge(run(10), run(10, changed), {f"q{n}": {"d00": 1} for n in range(10)}, LOOSE)
    assert report.tau_b == pytest.approx(1 - 2 * 4 / 66)
    assert report.overlap == pytest.approx(0.9)  # d09 left the first ten, d11 came
    assert report.top_1 == 0
    assert report.difference == pytest.approx(0.6309 - 1, abs=1e-4)
    assert (report.low, report.high) == (pytest.approx(report.difference), pytest.approx(report.difference))
    assert report.passed


@pytest.mark.parametrize(
    ("limits", "failure"),
    [
        (GateLimits(0.9, 0, 1), "Kendall tau-b 0.879, below 0.9"),
        (GateLimits(0, 0.95, 1), "top-10 overlap 0.900, below 0.95"),
        (GateLimits(0, 0, 0.1), r"nDCG@10 -0.3691, down to -0.3691 at the lower end"),
    ],
)
def test_each_limit_fails_by_itself(limits, failure):
    changed = [DOCUMENTS[1], DOCUMENTS[0], *DOCUMENTS[2:9], *reversed(DOCUMENTS[9:])]
    report = judge(run(10), run(10, changed), {f"q{n}": {"d00": 1} for n in range(10)}, limits)
    assert len(report.failures) == 1
    assert report.failures[0].startswith(failure)


def test_a_doubtful_loss_fails_by_its_interval():
    """Nine lists gain, one loses all: the mean is above zero, the lower end of the interval is not."""
    better, other = run(10), run(10)
    qrels = {f"q{n}": {"d00": 1} for n in range(10)}
    for n in range(9):
        better[f"q{n}"]["d00"] = -0.5  # second before ...
        other[f"q{n}"]["d00"], better[f"q{n}"]["d01"] = 1.0, 0.0  # ... first after
    other["q9"]["d00"] = -99.0
    report = judge(better, other, qrels, GateLimits(-1, 0, 0.02))
    assert report.difference > 0 > report.low
    assert "nDCG@10" in report.failures[0]


def test_without_judgments_ranks_alone_count_and_few_lists_say_nothing():
    report = judge(run(10), run(10), {}, GateLimits())
    assert report.passed and report.difference is None and "no judgments" in report.summary()
    assert "9 lists, fewer than 10" in judge(run(9), run(9), {}, LOOSE).failures[0]


def test_a_refused_graph_is_not_written_unless_forced(exported, student, real_lists, tmp_path):
    source = open_source(str(student("encoder")))
    graph = exported("encoder", "onnx") / "onnx" / "model.onnx"
    strict = GateLimits(tau_b=1.0, overlap=1.0, ndcg_loss=0.0)
    with pytest.raises(ModelError, match="too much and is not written .a scale a token: Kendall tau-b 0"):
        export_model(source, ExportRequest("onnx-int8", tmp_path / "out", BUILT_IN, real_lists, strict, graph=graph))
    assert list(tmp_path.iterdir()) == []
    request = ExportRequest("onnx-int8", tmp_path / "out", BUILT_IN, real_lists, strict, force=True, graph=graph)
    steps: list[tuple[int, int]] = []
    report = export_model(source, request, lambda done, total: steps.append((done, total)))
    assert report.gate is not None and not report.gate.passed
    # fp32 and each way of quantising rank every list
    total = len(real_lists.documents) * (1 + len(SCHEMES))
    assert steps == [(done, total) for done in range(1, total + 1)]
    # of those that failed the one nearest to fp32 is written; where it saves no time, that is said
    assert any("not faster" in note for note in report.notes) == (report.gate.scheme == "blocks of 32")
    told = json.loads((tmp_path / "out" / "export.json").read_text())["gate"]
    assert told["passed"] is False and told["tau_b"] == report.gate.tau_b
    assert "written by --force" in (tmp_path / "out" / "README.md").read_text()


def test_int8_is_smaller_holds_no_weights_and_ranks_alike(exported):
    folder, fp32 = exported("encoder", "onnx-int8"), exported("encoder", "onnx")
    assert not read_model_folder(folder).has_weights
    size, before = ((place / "onnx" / "model.onnx").stat().st_size for place in (folder, fp32))
    assert size < 0.7 * before  # of so small a model half is no weights
    gate = json.loads((folder / "export.json").read_text())["gate"]
    assert gate["lists"] == 12 and gate["documents"] == 180 and gate["judged"] == 12
    assert gate["tau_b"] > 0.8


def test_int8_without_real_lists_is_refused_at_once(tmp_path):
    with pytest.raises(ModelError, match="needs real lists"):
        export_model(None, ExportRequest("onnx-int8", tmp_path / "out", BUILT_IN))
    nine = RealLists({f"q{n}": "query" for n in range(9)}, {f"q{n}": {"d": "document"} for n in range(9)})
    with pytest.raises(GateError, match="9 lists are too few to tell .* give at least 10"):
        export_model(None, ExportRequest("onnx-int8", tmp_path / "out", BUILT_IN, nine))
