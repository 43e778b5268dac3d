"""The study of answers on the small house: what it measures, what it keeps, and what it refuses."""

import json
import shutil

import pytest

from distill.collections.beir import read_beir
from distill.collections.collection import DataError
from distill.first_stage import bm25_run
from distill.stages.teacher import fitted_on
from distill.studies.answers import METHODS, read_answers
from teachers.answering import exact_match, token_f1


@pytest.fixture(scope="module")
def asked(beir_folder, causal_folder, encoder_folder, small_routehead, tmp_path_factory):
    """The command's arguments but --out: a teacher that was fitted on the train split."""
    from distill.recipe.settings import TeacherSection
    from distill.stages.candidates import top
    from distill.stages.teacher import fit_teacher
    from teachers.prompt import PromptSettings

    folder = tmp_path_factory.mktemp("teacher")
    collection = read_beir(beir_folder)
    qrels = collection.split("train")
    section = TeacherSection(
        model=str(causal_folder), prompt=PromptSettings(max_document_words=20), state_layer=1, routehead=small_routehead
    )
    lists = top(bm25_run(collection, collection.queries, 6), list(qrels)[:16], 6)
    fit_teacher(collection, lists, qrels, section, folder, lambda done, total: None)
    return (
        "teacher", "study", "answers", folder, "--collection", beir_folder, "--pre-ranker", encoder_folder,
        "--limit", 6, "--length", 60, "--length", 120, "--k", 2,
    )  # fmt: skip


@pytest.fixture(scope="module")
def measured(asked, tmp_path_factory):
    """The folder of a finished study."""
    import sys

    from distill import cli

    folder = tmp_path_factory.mktemp("study")
    before, sys.argv = sys.argv, ["distill", *map(str, asked), "--out", str(folder)]
    try:
        cli.main()
    except SystemExit as stop:
        assert not stop.code
    finally:
        sys.argv = before
    return folder


def test_every_method_on_every_question(measured, asked, beir_folder):
    facts = json.loads((measured / "answers.json").read_text())["facts"]
    rows, collection = facts["rows"], read_beir(beir_folder)
    assert facts["n"] == 6
    assert [row["method"] for row in rows] == list(METHODS) * 6
    test, seen = collection.split("test"), fitted_on(asked[3])
    assert {row["query_id"] for row in rows} <= test.keys() - seen
    for row in rows:
        (gold,) = test[row["query_id"]]
        assert row["exact"] == exact_match(row["answer"], [collection.text(gold)])
        assert row["f1"] == token_f1(row["answer"], [collection.text(gold)])
    given = {method: {row["recall"] for row in rows if row["method"] == method} for method in METHODS}
    assert given["full context"] == given["gold segment"] == {1.0}
    assert given["no context"] == {0.0}
    # a query of the small house is three words of its document
    assert given["BM25"] == {1.0}
    sizes = {method: [row["prompt_tokens"] for row in rows if row["method"] == method] for method in METHODS}
    assert all(full > found > none for full, found, none in zip(
        sizes["full context"], sizes["heads"], sizes["no context"], strict=True
    ))  # fmt: skip


def test_the_files_and_the_tables(measured):
    page = (measured / "answers.md").read_text()
    assert "by method, best 2 segments" in page
    assert "The references are the gold segments themselves" in page
    assert (measured / "answers.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_an_interrupted_run_goes_on(distill, asked, measured, tmp_path):
    kept = (measured / "answers.jsonl").read_text().splitlines(keepends=True)
    assert len(kept) == 6
    # an answer that no model of ours would write shows that it was not asked again
    marked = json.loads(kept[0])
    marked["value"][0]["answer"] = "kept as it was"
    (tmp_path / "answers.jsonl").write_text(json.dumps(marked) + "\n" + kept[1] + kept[2][:50])
    code, _, errors = distill(*asked, "--out", tmp_path)
    assert (code, errors) == (0, "")
    lines = (tmp_path / "answers.jsonl").read_text().splitlines()
    # the line that was cut stays cut; its question is measured again
    assert lines[2] == kept[2][:50]
    again = [json.loads(line) for line in [*lines[:2], *lines[3:]]]
    assert again[0] == marked
    expected = [json.loads(line) for line in kept]
    for one, other in zip(again[1:], expected[1:], strict=True):
        for mine, theirs in zip(one["value"], other["value"], strict=True):
            assert {k: v for k, v in mine.items() if "seconds" not in k} == {
                k: v for k, v in theirs.items() if "seconds" not in k
            }


def test_questions_of_other_settings_are_not_mixed_in(distill, asked, measured, tmp_path):
    shutil.copy(measured / "answers.jsonl", tmp_path)
    assert distill(*asked, "--k", 3, "--out", tmp_path)[0] == 0
    assert len((tmp_path / "answers.jsonl").read_text().splitlines()) == 12
    assert json.loads((tmp_path / "answers.json").read_text())["facts"]["k"] == 3
    code, _, errors = distill(*asked, "--out", measured)
    assert code == 2
    assert "exists already" in errors


def test_answers_of_a_file(tmp_path):
    path = tmp_path / "answers.jsonl"
    path.write_text('{"query_id": "q1", "answers": ["Bonn", "the city of Bonn"]}\n\n')
    assert read_answers(path) == {"q1": ["Bonn", "the city of Bonn"]}
    for line, message in (
        ("[]", "an object"),
        ('{"query_id": 1, "answers": ["a"]}', "query_id must be a string"),
        ('{"query_id": "q", "answers": []}', "at least one string"),
        ('{"query_id": "q", "answers": [" "]}', "must be strings that are not empty"),
    ):
        path.write_text(line + "\n")
        with pytest.raises(DataError, match=f"answers.jsonl:1: .*{message}"):
            read_answers(path)
