"""`distill latency`, run as a user runs it, on tiny saved models; and the lists that it times."""

import json
import re
import sys

import pytest
import torch
import typer
from transformers import AutoModelForSequenceClassification, AutoTokenizer
from typer.testing import CliRunner

from distill.collections.beir import read_beir
from distill.collections.collection import Collection, DataError, Document
from distill.collections.trec import write_run
from distill.commands.latency import latency, list_lengths, named_models
from distill.errors import ModelError
from distill.evaluation.latency import read_latency
from distill.stages import resident_memory
from distill.stages.latency import timed_lists
from distill.stages.rankers import check_device

TEXTS = {f"d{n}": Document(f"d{n}", "", f"text {n}") for n in range(9)}
HOUSE = Collection("tiny", TEXTS, {f"q{n}": f"query {n}" for n in range(4)})
RUN = {
    "q0": {"d0": 1.0, "d1": 3.0, "d2": 2.0},
    "q1": {"d1": 1.0},
    "q2": {"d3": 2.0, "d4": 1.0, "d5": 0.0, "d0": -1.0},
    "q3": {},
}


def documents(timed):
    return [text.removeprefix("text ") for text in timed.documents]


def test_lists_hold_the_best_candidates_and_then_other_queries_candidates_each_once():
    lists = timed_lists(HOUSE, RUN, [2, 5], queries=10)
    assert [timed.query for timed in lists[2]] == ["query 0", "query 1", "query 2"]
    assert [documents(timed) for timed in lists[2]] == [["1", "2"], ["1", "3"], ["3", "4"]]
    assert [timed.own for timed in lists[2]] == [2, 1, 2]
    assert [documents(timed) for timed in lists[5]] == [
        list("12034"),  # q0's three, none of q1's anew, then q2's best
        list("13450"),  # q1's one, then q2's four
        list("34501"),  # q2's four, then of q0 what is not there yet
    ]
    assert [timed.own for timed in lists[5]] == [3, 1, 4]


def test_texts_are_as_a_tokenizer_takes_them():
    house = Collection("odd", {"d": Document("d", "", "a \ud83d\0")}, {"q": "\udc00 b"})
    (timed,) = timed_lists(house, {"q": {"d": 1.0}}, [1], queries=1)[1]
    assert (timed.query, timed.documents) == ("\ufffd b", ("a \ufffd\0",))


def test_queries_are_spread_over_the_run():
    run = {f"q{n}": {"d0": 1.0} for n in range(4)}
    assert [timed.query for timed in timed_lists(HOUSE, run, [1], queries=2)[1]] == ["query 0", "query 2"]


def test_a_run_with_too_few_documents_is_refused():
    with pytest.raises(DataError, match=r"a\.run: it has 6 documents in all, too few for lists of 7"):
        timed_lists(HOUSE, RUN, [2, 7], queries=2, source="a.run")
    with pytest.raises(DataError, match="no query at all"):
        timed_lists(HOUSE, {"q3": {}}, [1], queries=2)


def test_models_may_be_named(tmp_path):
    folder = tmp_path / "a=b"
    folder.mkdir()
    assert named_models(["small=./one", "./two", str(folder)]) == {
        "small": "./one", "./two": "./two", str(folder): str(folder),
    }  # fmt: skip
    with pytest.raises(DataError, match="the name 'small' a second time"):
        named_models(["small=./one", "small=./two"])
    with pytest.raises(DataError, match="model '=./one'; MODEL or NAME=MODEL is accepted"):
        named_models(["=./one"])


def test_lengths_are_whole_numbers():
    assert list_lengths("50, 10,10") == [10, 50]
    for text in ("", "10,", "0", "-1", "ten", "1.5", "10;20", "²", "10001"):
        with pytest.raises(DataError, match="--documents .* whole numbers from 1 to 10000 are accepted"):
            list_lengths(text)


def test_a_device_that_is_not_here_is_refused():
    check_device("cpu")
    check_device(None)
    with pytest.raises(ModelError, match="--device 'abacus': .*; cpu is accepted"):
        check_device("abacus")


@pytest.fixture(scope="module")
def house(tmp_path_factory, beir_folder, encoder_folder, causal_folder):
    """An encoder and a decoder with one output each, and a run of eight candidates for each of 20 queries."""
    folder = tmp_path_factory.mktemp("latency")
    for name, start in (("encoder", encoder_folder), ("decoder", causal_folder)):
        torch.manual_seed(0)
        model = AutoModelForSequenceClassification.from_pretrained(start, num_labels=1)
        model.save_pretrained(folder / name)
        AutoTokenizer.from_pretrained(start).save_pretrained(folder / name)
    collection = read_beir(beir_folder)
    doc_ids = list(collection.documents)
    run = {
        query_id: {doc_ids[(n + k) % len(doc_ids)]: -k for k in range(8)}
        for n, query_id in enumerate(list(collection.queries)[:20])
    }
    write_run(run, folder / "first.run")
    return folder


def run(*arguments):
    """What the command prints; an error of ours is raised, as `cli.main` would see it."""
    app = typer.Typer()
    app.command()(latency)
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if isinstance(result.exception, (DataError, ModelError)):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


def test_saved_models_are_timed_side_by_side(house, beir_folder, encoder_folder):
    output = run(
        f"student={house / 'encoder'}", f"decoder={house / 'decoder'}", f"bi={encoder_folder}", "--collection",
        beir_folder, "--run", house / "first.run", "--documents", "4,8,12", "--queries", 20, "--warmup", 1,
        "--no-memory", "--json", house / "out.json", "--device", "cpu",
    )  # fmt: skip
    report = read_latency(house / "out.json")
    assert [(figure.model, figure.documents) for figure in report.figures] == [
        (name, length) for name in ("student", "decoder", "bi") for length in (4, 8, 12)
    ]
    for figure in report.figures:
        assert figure.queries == 20
        assert min(figure.seconds) > 0
        assert figure.filled == (20 if figure.documents == 12 else 0)
        p50, p95 = figure.milliseconds(50), figure.milliseconds(95)
        assert 0 < p50 <= p95 <= max(figure.seconds) * 1000
        assert figure.pairs_per_second == pytest.approx(figure.documents * 20 / sum(figure.seconds))
        # three words of a query, ten of a document: a pair has three special tokens, a text alone two
        expected = {"student": 16 * figure.documents, "bi": 5 + 12 * figure.documents}.get(figure.model)
        assert expected is None or figure.tokens == expected
    by_length = [report.figure("decoder", length).tokens for length in (4, 8, 12)]
    assert by_length == [length * by_length[0] / 4 for length in (4, 8, 12)]
    assert len(re.findall(r"│ +student +│ +4 +│ +20 +│ +[0-9.]+ +│ +[0-9.]+ +│ +- +│", output)) == 1
    assert "-: p99 takes at least 100 measurements, there are 20\n" in output
    assert "filled: queries with fewer candidates than that" in output
    assert "device cpu" in output
    assert json.loads((house / "out.json").read_text())["run"] == str(house / "first.run")


def test_memory_is_that_of_a_process_with_the_model_alone(house):
    taken = resident_memory.memory_of(str(house / "encoder"), "cpu", "word1", ["word2", "word3\0\n"])
    assert taken.device_mib is None
    # torch alone is above the one, and the tiny model leaves it below the other
    assert 100 < taken.resident_mib < 2000


def test_a_graph_is_measured_without_torch(onnx_folder):
    taken = resident_memory.memory_of(f"onnx:{onnx_folder()}", "cpu", "word1", ["word2", "word3"])
    # numpy and ONNX Runtime; torch and transformers alone take three times that
    assert 30 < taken.resident_mib < 160
    assert taken.device_mib is None


def test_backends_and_number_types_stand_side_by_side(house, beir_folder, onnx_folder):
    folder = onnx_folder()
    output = run(
        f"full={folder}", f"half=bfloat16:{folder}", f"graph=onnx:{folder}", "--collection", beir_folder, "--run",
        house / "first.run", "--documents", "4", "--queries", 2, "--warmup", 0, "--no-memory", "--device", "cpu",
    )  # fmt: skip
    assert "run by: full torch float32; half torch bfloat16; graph onnx" in output
    tokens = re.findall(r"│ +(full|half|graph) .*? ([0-9]+) +│\n", output)
    assert len(tokens) == 3
    assert len({count for _, count in tokens}) == 1


def test_a_process_that_fails_is_named(monkeypatch):
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(ModelError, match=r"model './x': its memory could not be measured .*: exit code 1"):
        resident_memory.memory_of("./x", None, "a", ["b"])


@pytest.mark.parametrize(
    ("arguments", "error", "said"),
    [
        (["./nowhere", "--documents", "4"], ModelError, "no such file or folder"),
        (["encoder", "encoder"], DataError, "the name 'encoder' a second time"),
        (["encoder", "--documents", "4,x"], DataError, "--documents '4,x'"),
        (["encoder", "--documents", "61"], DataError, "first.run: it has 27 documents in all, too few for lists of 61"),
        (["encoder", "--documents", "4", "--device", "abacus"], ModelError, "--device 'abacus'"),
        (["encoder", "--run", "bad.run"], DataError, "bad.run:1: 3 columns"),
        (["encoder", "--run", "other.run"], DataError, "other.run: query 'nobody' is not in collection"),
        (["encoder", "--json", "there.json"], DataError, "there.json: exists already"),
        (["encoder", "--documents", "4", "--collection", "nowhere"], DataError, "nowhere: no such folder"),
    ],
)
def test_faults_are_named_in_one_line(house, beir_folder, monkeypatch, arguments, error, said):
    monkeypatch.chdir(house)
    (house / "bad.run").write_text("q0 Q0 d1\n")
    (house / "other.run").write_text("nobody Q0 d1 1 1.0 x\n")
    (house / "there.json").write_text("kept")
    with pytest.raises(error) as fault:
        run("--collection", beir_folder, "--run", "first.run", "--json", "new.json", *arguments)
    assert said in str(fault.value)
    assert "\n" not in str(fault.value)
    assert not (house / "new.json").exists()
