"""The command line as a user meets it: what bad input gets, and the steps of a recipe typed one by one."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys

import pytest

from distill.collections.trec import read_run


@pytest.fixture
def collection(beir_folder, tmp_path):
    """A copy of the collection that a test may break."""
    return shutil.copytree(beir_folder, tmp_path / "beir")


def break_line(path, number, text):
    lines = path.read_text().splitlines()
    lines[number - 1] = text
    path.write_text("\n".join(lines) + "\n")


def one_line(error):
    """The error's one line, without its label."""
    assert error.startswith("error: ")
    assert error.count("\n") == 1, error
    return error.removeprefix("error: ").rstrip("\n")


@pytest.mark.parametrize(
    ("name", "number", "text", "said"),
    [
        ("corpus.jsonl", 3, '{"_id": "d3", "title": ""', r"corpus\.jsonl:3: "),
        ("queries.jsonl", 2, '{"_id": "q1"}', r"queries\.jsonl:2: "),
        ("qrels/train.tsv", 4, "q2\td2", r"train\.tsv:4: "),
        ("qrels/train.tsv", 4, "q2\tnowhere\t1", r"train\.tsv:4: .*nowhere"),
    ],
)
def test_a_malformed_collection_is_named_by_file_and_line(
    distill, recipe_file, collection, tmp_path, name, number, text, said
):
    path = next(p for p in (collection / name, collection / f"{name}.gz") if p.exists())
    break_line(path, number, text)
    code, _, error = distill("run", recipe_file, "--out", tmp_path / "run", "--set", f"collection.path={collection}")
    assert code == 2
    assert re.search(said, one_line(error))
    assert not (tmp_path / "run" / "collection").exists()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("q1 Q0 d1 1", "columns"),
        ("q1 Q0 d1 1 nan x", "nan"),
        ("q1 Q0 nowhere 1 2.0 x", "nowhere"),
        ("nobody Q0 d1 1 2.0 x", "nobody"),
    ],
)
def test_a_bad_run_is_named(distill, beir_folder, causal_folder, tmp_path, line, said):
    run = tmp_path / "bad.run"
    run.write_text(f"q0 Q0 d1 1 2.0 x\n{line}\n")
    command = ("teacher", "fit", "--collection", beir_folder, "--run", run, "--model", causal_folder)
    code, _, error = distill(*command, "--out", tmp_path / "teacher")
    assert code == 2
    assert "bad.run" in one_line(error)
    assert said in one_line(error)
    assert not (tmp_path / "teacher").exists()


def test_an_empty_run_has_no_candidates(distill, beir_folder, causal_folder, tmp_path):
    run = tmp_path / "empty.run"
    run.write_text("")
    command = ("teacher", "fit", "--collection", beir_folder, "--run", run, "--model", causal_folder)
    code, _, error = distill(*command, "--out", tmp_path / "teacher")
    assert code == 2
    assert "empty.run" in one_line(error)


def test_an_unknown_key_is_named_with_the_accepted_ones(distill, recipe_file, tmp_path):
    code, _, error = distill("run", recipe_file, "--out", tmp_path / "run", "--set", "teacher.promt.instruction=x")
    assert code == 2
    assert "teacher.promt: unknown key; did you mean prompt? accepted here are model," in one_line(error)
    assert not (tmp_path / "run").exists()


def test_an_unknown_recipe_is_told_the_known_ones(distill, tmp_path):
    code, _, error = distill("run", "quikstart", "--out", tmp_path / "run")
    assert code == 2
    assert "packaged recipes are" in one_line(error)
    assert "quickstart" in one_line(error)


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("package:no_such_package/model", "is not installed; run `pip install"),
        ("./no/such/folder", "no such file or folder"),
        ("package:pytest/nothing.gguf", "holds no file or folder"),
    ],
)
def test_a_missing_model_is_named(distill, recipe_file, tmp_path, model, said):
    code, _, error = distill("run", recipe_file, "--out", tmp_path / "run", "--set", f"teacher.model={model}")
    assert code == 2
    assert said in one_line(error)
    assert model in one_line(error)


def test_a_broken_recipe_is_named_by_line(distill, tmp_path):
    path = tmp_path / "broken.yaml"
    path.write_text("name: x\nteacher: {model: a\ncollection: 3\n")
    code, _, error = distill("run", path, "--out", tmp_path / "run")
    assert code == 2
    assert "broken.yaml:3:" in one_line(error) and "not valid YAML" in one_line(error)


def test_help_answers_without_loading_torch():
    shown = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "distill", "--help"], capture_output=True, text=True, check=True
    )
    assert "Carry out a recipe" in shown.stdout
    loaded = {line.rpartition("|")[2].strip() for line in shown.stderr.splitlines()}
    assert "typer" in loaded
    assert not loaded & {"torch", "transformers", "sentence_transformers"}


@pytest.mark.parametrize(
    "command",
    ["run", "label", "rank", "export", "evaluate", "latency", "first-stage", "teacher fit", "teacher adopt",
     "teacher evaluate", "train encoder", "train decoder", "data docstrings", "data show", "data convert",
     "data tail"],
)  # fmt: skip
def test_every_command_explains_itself(distill, command):
    code, shown, _ = distill(*command.split(), "--help")
    assert code == 0
    assert "Usage" in shown


def test_the_steps_of_a_recipe_can_be_typed(distill, beir_folder, causal_folder, encoder_folder, tmp_path):
    run, teacher, labels = tmp_path / "bm25.run", tmp_path / "teacher", tmp_path / "labels"
    encoder, decoder, ranked = tmp_path / "encoder", tmp_path / "decoder", tmp_path / "encoder.run"
    house = ("--collection", beir_folder, "--run", run)

    assert distill("first-stage", beir_folder, "--out", run, "--depth", 8)[0] == 0
    fit = ("teacher", "fit", *house, "--model", causal_folder, "--limit", 16, "--candidates", 6)
    code, shown, _ = distill(*fit, "--mix-first-stage", "--out", teacher)
    assert code == 0
    assert ", mixture 1.000" in shown  # BM25 alone ranks this house perfectly
    code, shown, _ = distill(
        "teacher",
        "evaluate",
        teacher,
        *house,
        "--limit",
        16,
        "--candidates",
        6,
        "--folds",
        4,
        "--pre-ranker",
        encoder_folder,
        "--out",
        tmp_path / "evaluated",
    )
    assert code == 0
    assert all(name in shown for name in ("first_stage", "contrastive_heads", "routehead", "oracle_heads (bound)"))
    code, shown, _ = distill("label", *house, "--teacher", teacher, "--out", labels, "--candidates", 6)
    assert code == 0
    assert "16 of 48 queries are left out: the teacher was fitted on their judgments" in shown
    assert "16 of 48 queries are left out: judged in dev or test" in shown
    assert "16 lists (0 stood already)" in shown
    again = distill("label", *house, "--teacher", teacher, "--out", labels, "--candidates", 6)[1]
    assert "16 lists (16 stood already)" in again
    students = ("--collection", beir_folder, "--labels", labels)
    small = ("--start", encoder_folder, "--max-tokens", 32)
    assert distill("train", "encoder", *students, *small, "--out", encoder)[0] == 0
    small = ("--start", causal_folder, "--max-tokens", 48, "--layers", 2)
    assert distill("train", "decoder", *students, *small, "--out", decoder)[0] == 0
    assert distill("rank", encoder, *house, "--out", ranked, "--candidates", 5)[0] == 0
    assert {len(scores) for scores in read_run(ranked).values()} == {5}
    code, shown, _ = distill("evaluate", ranked, "--qrels", beir_folder / "qrels" / "test.tsv")
    assert code == 0
    assert "nDCG@10" in shown
    code, shown, _ = distill("export", decoder, *house, "--out", tmp_path / "exported")
    assert code == 0
    assert "20 pairs" in shown
    assert len(json.loads((tmp_path / "exported" / "parity.json").read_text())) == 20
    assert distill("export", decoder, *house, "--out", tmp_path / "exported")[0] == 2


def test_a_teacher_can_be_adopted_without_judgments(distill, beir_folder, causal_folder, tmp_path):
    run, heads, labels = tmp_path / "bm25.run", tmp_path / "heads.json", tmp_path / "labels"
    features = {"mass": "calibrated", "normalise": "zscore"}
    heads.write_text(json.dumps({"method": "static_heads", "heads": {"0.1": 0.5, "1.0": 0.5}, "features": features}))
    adopt = ("teacher", "adopt", heads, "--model", causal_folder, "--out", tmp_path / "teacher")
    code, shown, _ = distill(*adopt)
    assert code == 0
    assert "2 heads from" in shown
    code, _, error = distill(*adopt)
    assert code == 2
    assert "holds a teacher already" in one_line(error)
    assert distill("first-stage", beir_folder, "--out", run, "--depth", 8)[0] == 0
    label = ("label", "--collection", beir_folder, "--run", run, "--teacher", tmp_path / "teacher", "--out", labels)
    code, shown, _ = distill(*label, "--candidates", 6)
    assert code == 0
    assert "32 lists (0 stood already)" in shown
    code, _, error = distill(*label, "--method", "mixture")
    assert code == 2
    assert "this teacher has no method mixture; it has all_heads, static_heads" in one_line(error)


@pytest.mark.parametrize(
    ("heads", "said"),
    [
        ("qrhead-nobody", "neither a file nor a published head set; published are qrhead-llama"),
        ("qrhead-qwen3-8b-nq", r"head 21\.31 is not in a model of \d layers"),
    ],
)
def test_heads_that_cannot_be_adopted_are_named(distill, causal_folder, tmp_path, heads, said):
    code, _, error = distill("teacher", "adopt", heads, "--model", causal_folder, "--out", tmp_path / "teacher")
    assert code == 2
    assert re.search(said, one_line(error))
    assert not (tmp_path / "teacher").exists()


@pytest.mark.parametrize(
    ("heads", "depth", "said"),
    [
        ({"1.0": 0.5}, 1, "depth 1: these heads lie in the first 2 of the model's"),
        ({"1.0": 0.5}, 99, "depth 99: these heads lie in the first 2 of the model's"),
        (["1.0"], 2, "heads.json: no head set; expected is JSON as in a fitted teacher's static_heads.json"),
    ],
)
def test_an_adopted_teacher_is_one_that_can_read(distill, causal_folder, tmp_path, heads, depth, said):
    file = tmp_path / "heads.json"
    features = {"mass": "calibrated", "normalise": "zscore"}
    file.write_text(json.dumps({"method": "static_heads", "heads": heads, "features": features}))
    adopt = ("teacher", "adopt", file, "--model", causal_folder, "--out", tmp_path / "teacher")
    code, _, error = distill(*adopt, "--depth", depth)
    assert code == 2 and said in one_line(error)
    assert not (tmp_path / "teacher").exists()


@pytest.mark.parametrize(
    ("measures", "said"),
    [
        ('["nDGC@10"]', "measure 'nDGC@10'; accepted are nDCG@k"),
        ("[AP, AP]", "measure 'AP' is named twice"),
        ("[num_ret, AP]", "measure 'num_ret' decides, as the first, and is no mean over queries"),
    ],
)
def test_a_wrong_measure_is_named_before_the_work_that_it_is_to_measure(distill, recipe_file, tmp_path, measures, said):
    code, _, error = distill("run", recipe_file, "--out", tmp_path / "run", "--set", f"evaluation.measures={measures}")
    assert code == 2
    assert "evaluation.measures" in one_line(error)
    assert said in one_line(error)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("encoder.max_tokens=4096", "encoder.start: model"),
        ("decoder.layers=99", "layers is 99, but it has 4"),
        ("runs.old=nowhere.run", "runs.old: nowhere.run: no such file or folder"),
    ],
)
def test_what_a_late_stage_would_find_wrong_is_found_before_the_first(distill, recipe_file, tmp_path, setting, said):
    code, _, error = distill("run", recipe_file, "--out", tmp_path / "run", "--set", setting)
    assert code == 2
    assert said in one_line(error)
    assert not (tmp_path / "run").exists()


def test_a_section_that_a_command_reads_may_be_null(distill, beir_folder, encoder_folder, tmp_path):
    flags = ("--collection", beir_folder, "--labels", tmp_path / "labels", "--start", encoder_folder)
    code, _, error = distill("train", "encoder", *flags, "--set", "labels=null", "--out", tmp_path / "student")
    assert code == 2
    assert "labels: no manifest.json" in one_line(error)


def test_a_place_where_nothing_can_be_written_is_named(distill, beir_folder, tmp_path):
    (tmp_path / "thesis").write_text("all of it")
    code, _, error = distill("first-stage", beir_folder, "--out", tmp_path / "thesis" / "bm25.run")
    assert code == 2
    assert one_line(error) == f"{tmp_path / 'thesis'}: File exists"
    assert (tmp_path / "thesis").read_text() == "all of it"


def test_a_fault_of_ours_keeps_its_traceback(distill, monkeypatch, tmp_path):
    def fault(*_, **__):
        raise OSError("no file is named here")

    monkeypatch.setattr("distill.checking.report.checked_recipe", fault)
    with pytest.raises(OSError, match="no file is named here"):
        distill("label", "quickstart", "--out", tmp_path / "run")


def _heed_interruptions():
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_an_interruption_is_told(tmp_path):
    os.mkfifo(tmp_path / "qrels")
    command = [sys.executable, "-m", "distill", "evaluate", "some.run", "--qrels", tmp_path / "qrels"]
    said = None
    # what a shell runs in the background ignores the signal, and its children do, if they are not told otherwise
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, preexec_fn=_heed_interruptions)
    # the pipe opens once the command reads
    with process, (tmp_path / "qrels").open("w"):
        process.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            said = process.communicate(timeout=60)[1]
        process.kill()
    assert said is not None
    assert process.returncode == 130
    assert said.startswith("interrupted; run the same command again")


@pytest.mark.parametrize("command", ["data convert COLLECTION --to beir --out OUT", "first-stage COLLECTION --out OUT",
                                     "data tail LOG --query query --frequency times --out OUT"])  # fmt: skip
def test_a_disk_that_is_full_is_one_line(beir_folder, tmp_path, command):
    log = tmp_path / "log.csv"
    log.write_text("query,times\n" + "".join(f"query number {n},{n}\n" for n in range(20_000)))
    places = {"COLLECTION": beir_folder, "LOG": log, "OUT": tmp_path / "out"}
    words = [str(places.get(word, word)) for word in command.split()]
    # files of 512 bytes at most: the system refuses the rest as it does on a full disk
    limited = ["sh", "-c", 'ulimit -f 1; exec "$@"', "sh", sys.executable, "-m", "distill", *words]
    done = subprocess.run(limited, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "File too large" in one_line(done.stderr)
