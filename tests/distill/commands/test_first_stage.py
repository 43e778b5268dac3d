"""`distill first-stage`, run as a user runs it."""

from math import log

import pytest
import typer
from typer.testing import CliRunner

from distill.collections.beir import write_beir
from distill.collections.collection import Collection, DataError, Document
from distill.collections.trec import read_run
from distill.commands.first_stage import first_stage

COLLECTION = Collection(
    "tiny",
    {"d1": Document("d1", "", "red fish"), "d2": Document("d2", "", "red red bird"), "d3": Document("d3", "", "sky")},
    {"q1": "red", "q2": "fish"},
    {"test": {"q2": {"d1": 1}}},
)


@pytest.fixture
def folder(tmp_path):
    """The collection on disk."""
    write_beir(COLLECTION, tmp_path / "tiny")
    return tmp_path / "tiny"


def run(*arguments):
    """What the command prints; an error of ours is raised, as `cli.main` would see it."""
    app = typer.Typer()
    app.command()(first_stage)
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if isinstance(result.exception, DataError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


def test_all_queries_or_one_splits_get_candidates(folder, tmp_path):
    assert "2 of 2 queries, depth 50" in " ".join(run(folder, "--out", tmp_path / "all").split())
    assert {query_id: list(found) for query_id, found in read_run(tmp_path / "all").items()} == {
        "q1": ["d2", "d1"], "q2": ["d1"],
    }  # fmt: skip
    run(folder, "--out", tmp_path / "test", "--split", "test")
    assert list(read_run(tmp_path / "test")) == ["q2"]


def test_the_depth_and_the_weights_reach_bm25(folder, tmp_path):
    # Both documents hold red: one twice among three words, one once among two. At k1 = 0 a repetition adds nothing,
    # the two tie, and the larger id comes first; else at b = 1 the score is idf tf / (tf + k1 length / 2).
    run(folder, "--out", tmp_path / "flat", "--k1", 0)
    assert len(set(read_run(tmp_path / "flat")["q1"].values())) == 1
    run(folder, "--out", tmp_path / "run", "--depth", 1, "--k1", 2, "--b", 1)
    # mean length 2, idf ln(1 + 1.5 / 2.5): d2 has 2 / (2 + 2 * 3 / 2)
    assert read_run(tmp_path / "run")["q1"] == {"d2": pytest.approx(log(1.6) * 2 / 5, rel=1e-5)}


def test_korean_words_are_told_from_their_particles(tmp_path):
    documents = {"d1": Document("d1", "", "서울에서 먹은 김치"), "d2": Document("d2", "", "부산까지 가는 기차")}
    write_beir(Collection("korean", documents, {"q": "서울은"}), tmp_path / "korean")
    run(tmp_path / "korean", "--out", tmp_path / "run", "--language", "korean_particles")
    assert list(read_run(tmp_path / "run")["q"]) == ["d1"]


def test_documents_without_a_word_are_named(tmp_path):
    write_beir(Collection("empty", {"d": Document("d", "", "- !")}, {"q": "red"}), tmp_path / "empty")
    with pytest.raises(DataError, match="none of the 1 documents holds a word to match"):
        run(tmp_path / "empty", "--out", tmp_path / "run")


def test_an_unknown_language_is_refused(folder, tmp_path):
    with pytest.raises(DataError, match="--language: no stemmer 'klingon'; accepted are none, arabic"):
        run(folder, "--out", tmp_path / "other", "--language", "klingon")


def test_an_existing_run_and_an_unknown_split_are_refused(folder, tmp_path):
    (tmp_path / "run").touch()
    with pytest.raises(DataError, match="exists already"):
        run(folder, "--out", tmp_path / "run")
    with pytest.raises(DataError, match="has no split 'dev'; it has test"):
        run(folder, "--out", tmp_path / "run", "--overwrite", "--split", "dev")
    assert (tmp_path / "run").read_text() == ""
