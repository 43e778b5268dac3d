"""`distill data`, run as a user runs it."""

import pytest
from typer.testing import CliRunner

from distill.collections.beir import read_beir, write_beir
from distill.collections.collection import Collection, DataError, Document
from distill.collections.trec import read_qrels, read_run
from distill.commands.data import app

COLLECTION = Collection(
    "tiny",
    {"d1": Document("d1", "", "one two three"), "d2": Document("d2", "", "four")},
    {"q1": "which one"},
    {"test": {"q1": {"d1": 1}}},
)


def run(*arguments):
    """What the command prints; an error of ours is raised, as `cli.main` would see it."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if isinstance(result.exception, DataError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


def test_docstrings_writes_a_collection_and_its_query_log(tmp_path):
    out = tmp_path / "docs"
    output = run("docstrings", "--out", out, "--documents", 120, "--train", 5, "--unjudged", 0, "--dev", 2, "--test", 3)
    collection = read_beir(out)
    assert {split: len(qrels) for split, qrels in collection.qrels.items()} == {"train": 5, "dev": 2, "test": 3}
    assert len((out / "query_log.tsv").read_text(encoding="utf-8").splitlines()) == 11
    assert "5 queries" in output
    with pytest.raises(DataError, match="exists already; choose another place, or pass --overwrite"):
        run("docstrings", "--out", out)
    few = ("--documents", 100, "--train", 1, "--unjudged", 0, "--dev", 1, "--test", 1)
    run("docstrings", "--out", out, *few, "--overwrite")
    assert len((out / "query_log.tsv").read_text(encoding="utf-8").splitlines()) == 4


def test_show_prints_the_sizes(tmp_path):
    write_beir(COLLECTION, tmp_path / "tiny")
    output = run("show", tmp_path / "tiny")
    for text in ("documents", "2, of them empty 0", "split test", "1 queries, 1 of them with a relevant document"):
        assert text in " ".join(output.replace("│", " ").split())


def test_a_beir_folder_is_checked_and_rewritten(tmp_path):
    write_beir(COLLECTION, tmp_path / "tiny")
    run("convert", tmp_path / "tiny", "--to", "beir", "--out", tmp_path / "copy")
    assert read_beir(tmp_path / "copy").fingerprint() == COLLECTION.fingerprint()
    with pytest.raises(DataError, match="a folder has its queries and judgments in it"):
        run("convert", tmp_path / "tiny", "--to", "beir", "--out", tmp_path / "again", "--qrels", "test=q.txt")
    with pytest.raises(DataError, match="nowhere: no such file or folder"):
        run("convert", tmp_path / "nowhere", "--to", "beir", "--out", tmp_path / "again")


def test_ms_marco_becomes_a_beir_folder(tmp_path):
    (tmp_path / "collection.tsv").write_text("d1\tone two three\nd2\tfour\n")
    (tmp_path / "queries.tsv").write_text("q1\twhich one\n")
    (tmp_path / "qrels.tsv").write_text("q1\t0\td1\t1\n")
    marco = ("convert", tmp_path / "collection.tsv", "--to", "beir", "--out", tmp_path / "out")
    with pytest.raises(DataError, match="needs --queries"):
        run(*marco)
    with pytest.raises(DataError, match="SPLIT=FILE is accepted"):
        run(*marco, "--queries", tmp_path / "queries.tsv", "--qrels", tmp_path / "qrels.tsv")
    for split in ("../../test", "a/b", ".."):
        with pytest.raises(DataError, match="which has no / in its name"):
            run(*marco, "--queries", tmp_path / "queries.tsv", "--qrels", f"{split}={tmp_path / 'qrels.tsv'}")
    run(*marco, "--queries", tmp_path / "queries.tsv", "--qrels", f"test={tmp_path / 'qrels.tsv'}")
    assert read_beir(tmp_path / "out").fingerprint() == COLLECTION.fingerprint()


@pytest.mark.parametrize(
    ("to", "first"), [("trec-qrels", "q1\t0\td1\t1"), ("beir-qrels", "query-id\tcorpus-id\tscore")]
)
def test_judgments_go_from_either_form_to_either(tmp_path, to, first):
    write_beir(COLLECTION, tmp_path / "tiny")
    out = tmp_path / "out.tsv"
    run("convert", tmp_path / "tiny" / "qrels" / "test.tsv", "--to", to, "--out", out)
    assert out.read_text().splitlines()[0] == first
    run("convert", out, "--to", "beir-qrels", "--out", out, "--overwrite")
    assert read_qrels(out) == {"q1": {"d1": 1}}


def test_a_run_is_checked_and_put_in_order(tmp_path):
    (tmp_path / "run").write_text("q1 Q0 d1 7 0.25 x\nq1 Q0 d2 9 0.5 x\n")
    run("convert", tmp_path / "run", "--to", "trec-run", "--out", tmp_path / "out")
    assert (tmp_path / "out").read_text() == "q1 Q0 d2 1 0.5 distill\nq1 Q0 d1 2 0.25 distill\n"
    assert read_run(tmp_path / "out") == read_run(tmp_path / "run")


def test_options_that_do_not_belong_together_are_refused(tmp_path):
    (tmp_path / "run").write_text("q1 Q0 d1 7 0.25 x\n")
    with pytest.raises(DataError, match="--queries and --qrels go with --to beir; got --to trec-run"):
        run("convert", tmp_path / "run", "--to", "trec-run", "--out", tmp_path / "out", "--qrels", "a=b")
