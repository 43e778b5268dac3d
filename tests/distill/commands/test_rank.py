"""`distill rank` as a search team meets it: JSON lines through a pipe, runs, limits, and both backends."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from distill.collections.beir import read_beir
from distill.collections.trec import ranking, read_run, write_run
from students.scoring import Reranker

DOCUMENTS = ["the cat sat", "검색 결과를 다시 정렬한다", "", {"id": "d3", "text": "2,024 pairs"}, "emoji 🙂 families"]
TEXTS = [text if isinstance(text, str) else text["text"] for text in DOCUMENTS]
LINE = json.dumps({"query": "the cat", "documents": DOCUMENTS, "id": "q1"})


@pytest.fixture
def rank_lines(distill, monkeypatch):
    """Calls `distill rank` with text on standard input; returns exit code, answers and standard error."""

    def call(text, *arguments):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode("utf-8", "surrogatepass"))))
        code, shown, errors = distill("rank", *arguments)
        return code, [json.loads(line) for line in shown.splitlines()], errors

    return call


def by_index(answer):
    return [row["relevance_score"] for row in sorted(answer["results"], key=lambda row: row["index"])]


@pytest.mark.parametrize("prefix", ["", "torch:", "onnx:"])
def test_answers_are_the_student_s_scores_best_first(rank_lines, onnx_folder, prefix):
    folder = onnx_folder("right padded decoder")
    code, (answer,), errors = rank_lines(LINE, f"{prefix}{folder}")
    assert code == 0
    assert by_index(answer) == pytest.approx(Reranker.load(folder).score_pairs("the cat", TEXTS), abs=1e-4)
    shown = [row["relevance_score"] for row in answer["results"]]
    assert shown == sorted(shown, reverse=True)
    assert (answer["id"], answer["documents"], answer["reached"], answer["deadline"]) == ("q1", 5, 5, False)
    assert [row.get("id") for row in answer["results"] if row["index"] == 3] == ["d3"]
    assert ("OnnxReranker" in errors) == (prefix == "onnx:")


def test_a_folder_without_weights_runs_on_its_graph(rank_lines, copied, onnx_folder):
    (answer,) = rank_lines(LINE, copied)[1]
    assert by_index(answer) == pytest.approx(Reranker.load(onnx_folder()).score_pairs("the cat", TEXTS), abs=1e-4)


def test_requests_come_from_a_file_too(distill, copied, tmp_path):
    (tmp_path / "in.jsonl").write_text(f"{LINE}\n\n{LINE}\n")
    code, shown, _ = distill("rank", copied, "--input", tmp_path / "in.jsonl", "--top-n", 2)
    assert code == 0
    one, two = map(json.loads, shown.splitlines())
    assert one == two
    assert len(one["results"]) == 2


def test_limits_leave_documents_below_and_say_so(rank_lines, copied):
    code, (answer,), errors = rank_lines(LINE, copied, "--max-documents", 2, "--max-characters", 4, "--probability")
    assert code == 0
    assert [row["index"] for row in answer["results"]][2:] == [2, 3, 4]
    assert [row["relevance_score"] for row in answer["results"]][2:] == [None, None, None]
    assert all(0 < row["relevance_score"] < 1 for row in answer["results"][:2])
    assert (answer["reached"], answer["cut_documents"], answer["cut_characters"]) == (2, 2, 7 + 10)
    assert "3 of 5 documents were not reached and stand below, in first-stage order" in errors
    assert "2 documents were cut, by 17 characters in all" in errors


def test_a_deadline_that_nothing_can_keep_leaves_the_first_stage_s_order(rank_lines, copied):
    # no machine cuts ten million characters into tokens in a millisecond
    long = json.dumps({"query": "the cat", "documents": ["the cat " * 1_000_000] * 5})
    code, (answer,), errors = rank_lines(long, copied, "--deadline-ms", 1)
    assert code == 0
    assert [row["index"] for row in answer["results"]] == [0, 1, 2, 3, 4]
    assert (answer["reached"], answer["deadline"]) == (0, True)
    assert "the deadline cut 1 of 1 queries short" in errors
    (answer,) = rank_lines(LINE, copied, "--deadline-ms", 600_000)[1]
    assert (answer["reached"], answer["deadline"]) == (5, False)


def test_a_malformed_line_is_named_and_what_was_answered_stands(rank_lines, copied):
    code, answers, errors = rank_lines(f"{LINE}\n\n{{nothing\n{LINE}\n", copied)
    assert code == 2
    assert len(answers) == 1
    assert errors.count("\n") == 1
    assert errors.startswith("error: standard input:3: not JSON")


def test_bad_lines_may_be_skipped_in_their_place(rank_lines, copied):
    code, answers, errors = rank_lines(f"{LINE}\n[]\n{LINE}\n", copied, "--skip-bad")
    assert code == 0
    assert answers[0] == answers[2]
    assert answers[1]["line"] == 2
    assert "a JSON list" in answers[1]["error"]
    assert "1 lines were no requests" in errors


def test_keys_without_effect_are_told_once(rank_lines, copied):
    line = json.dumps({"query": "q", "texts": ["a"], "top_k": 3})
    errors = rank_lines(f"{line}\n{line}\n", copied)[2]
    assert errors.count("without effect here: top_k") == 1


def test_each_answer_is_there_before_the_next_line_is_asked_for(copied):
    command = [sys.executable, "-m", "distill", "rank", str(copied)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as served:
        for number in range(3):
            served.stdin.write(json.dumps({"query": "the cat", "documents": ["mat"], "id": number}) + "\n")
            served.stdin.flush()
            assert json.loads(served.stdout.readline())["id"] == number
        served.stdin.close()
    assert served.returncode == 0


TORCH_FREE = """
import sys
from distill.cli import main
sys.argv = ["distill", "rank", {folder!r}, "--input", {lines!r}, "--deadline-ms", "1000"]
try:
    main()
except SystemExit as end:
    assert not end.code
loaded = {{name.partition(".")[0] for name in sys.modules}}
heavy = loaded & {{"torch", "transformers", "sentence_transformers", "datasets", "scipy", "pyarrow", "huggingface_hub"}}
assert not heavy, heavy
assert "onnxruntime" in loaded
"""


def test_an_exported_folder_is_ranked_without_torch(copied, tmp_path):
    (tmp_path / "in.jsonl").write_text(LINE)
    program = TORCH_FREE.format(folder=str(copied), lines=str(tmp_path / "in.jsonl"))
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture
def diverged(onnx_folder, tmp_path):
    """A student whose training ended in NaN."""
    folder = Path(shutil.copytree(onnx_folder(), tmp_path / "diverged"))
    tensors = load_file(folder / "model.safetensors")
    tensors["classifier.bias"][:] = np.nan
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


@pytest.fixture
def first_run(beir_folder, tmp_path):
    doc_ids = list(read_beir(beir_folder).documents)
    run = {f"q{n}": {doc_ids[(n + k) % 60]: -float(k) for k in range(8)} for n in range(4)}
    write_run(run, tmp_path / "first.run")
    return tmp_path / "first.run"


def test_a_run_is_ranked_within_limits(distill, beir_folder, first_run, copied, onnx_folder, tmp_path):
    house = ("--collection", beir_folder, "--run", first_run, "--candidates", 6)
    out = tmp_path / "out.run"
    code, shown, _ = distill("rank", copied, *house, "--out", out, "--max-documents", 4)
    assert code == 0
    assert "4 queries re-ranked" in shown
    assert "8 of 24 documents were not reached" in shown
    collection, first, found = read_beir(beir_folder), read_run(first_run), read_run(out)
    student = Reranker.load(onnx_folder())
    for query_id, scores in first.items():
        order = ranking(scores)
        expected = student.score_pairs(collection.query(query_id), [collection.text(d) for d in order[:4]])
        assert [found[query_id][d] for d in order[:4]] == pytest.approx(expected, abs=1e-4)
        # what was not scored stands below, in its order
        assert ranking(found[query_id])[4:] == order[4:6]
    assert distill("rank", copied, *house, "--out", out)[0] == 2
    assert distill("rank", copied, *house, "--out", out, "--overwrite", "--top-n", 2)[0] == 0
    assert {len(scores) for scores in read_run(out).values()} == {2}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--run", "first.run"], "a run takes all of --collection, --run and --out"),
        (["--out", "x.run"], "--out is for a run; JSON lines are answered on standard output"),
        (["--collection", "c", "--run", "r", "--out", "o", "--input", "i"], "--input is for JSON lines"),
        (["--collection", "c", "--run", "r", "--out", "o", "--probability"], "--probability and --skip-bad are for"),
        (["--input", "nowhere.jsonl"], "nowhere.jsonl: No such file"),
        (["--dtype", "bfloat16", "--backend", "onnx"], "an ONNX graph has its own number type; bfloat16 is torch's"),
        (["--device", "cuda", "--backend", "onnx"], "an ONNX graph runs on the processor"),
        (["--device", "abacus", "--backend", "torch"], "--device 'abacus': Expected one of cpu, cuda"),
    ],
)
def test_options_that_do_not_go_together_are_named(rank_lines, copied, monkeypatch, tmp_path, arguments, said):
    monkeypatch.chdir(tmp_path)
    code, answers, errors = rank_lines(LINE, copied, *arguments)
    assert (code, answers) == (2, [])
    assert said in errors
    assert errors.count("\n") == 1


def test_a_folder_without_a_graph_says_how_to_get_one(rank_lines, encoder_folder, copied):
    code, _, errors = rank_lines(LINE, encoder_folder, "--backend", "onnx")
    assert code == 2
    assert "`distill export MODEL --target onnx" in errors
    (copied / "onnx" / "model.onnx").write_bytes(b"broken")
    code, _, errors = rank_lines(LINE, copied)
    assert code == 2
    assert "ONNX Runtime cannot open this graph" in errors


@pytest.mark.parametrize("arguments", [(), ("--probability", "--skip-bad"), ("--deadline-ms", 600_000)])
def test_a_model_without_finite_scores_is_named(rank_lines, diverged, arguments):
    code, answers, errors = rank_lines(LINE, diverged, *arguments)
    assert (code, answers) == (2, [])
    assert f"error: model '{diverged}': 5 of 5 documents have a score that is not finite: nan" in errors
    assert errors.count("\n") == 1


def test_a_run_is_not_written_with_scores_that_are_not_finite(distill, diverged, beir_folder, first_run, tmp_path):
    house = ("--collection", beir_folder, "--run", first_run, "--out", tmp_path / "out.run")
    code, _, errors = distill("rank", diverged, *house)
    assert code == 2
    assert f"error: model '{diverged}': 8 of 8 documents have a score that is not finite: nan" in errors
    assert not (tmp_path / "out.run").exists()


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="needs a terminal")
def test_a_terminal_is_not_waited_for(distill, copied, monkeypatch):
    terminal, other = os.openpty()
    with os.fdopen(other, "rb", buffering=0) as end:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(end))
        code, _, errors = distill("rank", copied)
    os.close(terminal)
    assert code == 2
    assert "nothing to rank: give --collection, --run and --out, or JSON lines on standard input" in errors
