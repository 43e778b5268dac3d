"""The studies of masking and of copying, on a random decoder: figures against a second computation, and resuming."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest
from PIL import Image
from typer.testing import CliRunner

from distill.cli import app
from distill.collections.collection import DataError
from distill.studies.journal import Journal
from distill.studies.masking_result import Condition, MaskingFigures, masking_result
from distill.studies.material import open_material, sources
from distill.studies.needle_questions import NeedleGrid, build_prompts, draw_questions
from teachers.baselines import AllHeads
from teachers.heads import Head
from teachers.needles import NeedleBuilder, NeedleSettings
from teachers.studies.masking import masked_quality, masked_recall

SMALL = ("--length", 40, "--length", 60, "--depth", 0.5, "--copy-needles", 2, "--teacher-forced")
MASKING = (*SMALL, "--needles", 3, "--lists", 3, "--heads", 2, "--heads", 5, "--random-draws", 2)


def invoke(*arguments):
    return CliRunner().invoke(app, ["teacher", "study", *map(str, arguments)])


@pytest.fixture(scope="module")
def material(studied):
    teacher, _, collection, _, run = studied[:5]
    return open_material(sources([teacher], [collection], [run]), None, 6, None, lambda *args, **kwargs: None)


@pytest.fixture(scope="module")
def masked(studied, tmp_path_factory):
    out = tmp_path_factory.mktemp("masked")
    shown = invoke("masking", *studied, "--out", out, *MASKING)
    assert shown.exit_code == 0, shown.output
    return out, shown.output


def masked_sets(facts, name):
    """The heads of each draw of a condition; the empty one masks none."""
    return [[Head.parse(text) for text in draw] for draw in facts["heads"].get(name, [[]])]


def facts_of(out, name):
    return json.loads((out / f"{name}.json").read_text())["facts"]


def test_a_study_of_masking_tells_what_a_second_computation_finds(masked, material):
    facts = facts_of(masked[0], "masking")
    entry, reader = material.collections[0], material.reader()
    questions = {question.query_id: question for question in draw_questions(entry, 5, 40)}
    builder = NeedleBuilder(reader.prompts.tokenizer, NeedleSettings())
    row = facts["needles"][-1]
    grid = NeedleGrid((row["length"],), (row["depth"],), 40)
    [(_, _, _, prompt)] = build_prompts(builder, [questions[row["query_id"]]], grid)
    for name, told in row["log_probability"].items():
        for heads, draw in zip(masked_sets(facts, name), told, strict=True):
            assert asdict(masked_recall(reader, prompt, heads)) == pytest.approx(draw, abs=1e-5)
    ranked = facts["lists"][0]
    place = list(entry.candidates).index(ranked["query_id"])
    query, documents = entry.texts()[place]
    for name, told in ranked["ndcg"].items():
        for heads, draw in zip(masked_sets(facts, name), told, strict=True):
            found = masked_quality(reader, {"all heads": AllHeads()}, (query, documents, entry.gains[place]), heads)
            assert found["all heads"] == pytest.approx(draw["all heads"], abs=1e-6)


def test_random_sets_are_drawn_several_times(masked):
    facts = facts_of(masked[0], "masking")
    assert {name: len(draws) for name, draws in facts["heads"].items() if "random" in name} == {
        "random 2": 2,
        "random 5": 2,
    }
    first, second = facts["heads"]["random 5"]
    assert len({*first}) == len({*second}) == 5
    assert first != second


def test_no_question_has_two_uses(masked, material):
    facts = facts_of(masked[0], "masking")
    needles = {row["query_id"] for row in facts["needles"]}
    ranked = {row["query_id"] for row in facts["lists"]}
    copying = {question.query_id for question in draw_questions(material.collections[0], 2, 40)}
    assert (len(needles), len(ranked)) == (3, 3)
    assert not needles & ranked and not (needles | ranked) & copying
    assert facts["lists_for_sets"] == len(material.collections[0].scores) - 8


def test_files_and_output_hold_sets_figures_and_a_picture(masked):
    out, shown = masked
    assert (out / "masking.md").exists()
    assert Image.open(out / "masking.png").size[0] > 1000
    for name in ("query_focused", "contrastive", "routed", "copy", "random", "learned weights", "all heads"):
        assert name in shown


def test_an_interrupted_study_goes_on(studied, masked, tmp_path):
    out, _ = masked
    lines = (out / "masking.jsonl").read_text().splitlines()
    kept = tmp_path / "masking.jsonl"
    (tmp_path / "copying.jsonl").write_text((out / "copying.jsonl").read_text())
    # the third line was cut by the interruption
    kept.write_text("\n".join([*lines[:2], lines[2][:40]]))
    shown = invoke("masking", *studied, "--out", tmp_path, *MASKING)
    assert shown.exit_code == 0, shown.output
    again = kept.read_text().splitlines()
    assert len(again) == len(lines) + 1
    # every line but the cut one is whole, and what stood was not measured again
    assert len({json.loads(line)["key"] for place, line in enumerate(again) if place != 2}) == len(lines)
    first, second = facts_of(out, "masking"), facts_of(tmp_path, "masking")
    assert second["needles"] == first["needles"]
    assert second["lists"] == first["lists"]


def test_what_stands_is_not_overwritten(studied, masked):
    shown = invoke("masking", *studied, "--out", masked[0], *MASKING)
    assert shown.exit_code != 0
    assert "masking.json" in str(shown.exception)


def test_a_study_of_copying_maps_every_head(studied, masked, tmp_path):
    shown = invoke("copying", *studied, "--out", tmp_path, *SMALL)
    assert shown.exit_code == 0, shown.output
    facts = facts_of(tmp_path, "copying")
    assert len(facts["scores"]) == 16
    assert all(0 <= score <= 1 for score in facts["scores"].values())
    assert facts["trials_counted"] == len(facts["trials"]) == 4
    assert Image.open(tmp_path / "copying.png").size[0] > 1000
    # both studies ask the same first questions: trials are made once for both
    assert (tmp_path / "copying.jsonl").read_text() == (masked[0] / "copying.jsonl").read_text()
    for row in facts["overlaps"]:
        copy, other = (set(facts["sets"][name][: row["size"]]) for name in ("copy", row["set"]))
        assert row["shared"] == len(copy & other)
        # all 16 heads are read: chance is (copy heads) * size / 16
        assert row["chance"] == len(copy) * row["size"] / 16


def test_a_model_that_does_not_answer_is_told_how_to_be_measured(studied, tmp_path):
    arguments = [part for part in SMALL if part != "--teacher-forced"]
    shown = invoke("copying", *studied, "--out", tmp_path, *arguments, "--least-recall", 1)
    assert "teacher_forced" in str(shown.exception)


def test_needles_answer_their_question_and_hay_does_not(material):
    entry = material.collections[0]
    few, many = draw_questions(entry, 3, 40), draw_questions(entry, 6, 40)
    assert many[:3] == few
    texts = {doc_id: document.text for doc_id, document in entry.collection.documents.items()}
    for question in many:
        relevant = [texts[doc_id] for doc_id, gain in entry.qrels[question.query_id].items() if gain > 0]
        assert question.needle in relevant
        candidates = {texts[doc_id] for doc_id in entry.candidates[question.query_id]}
        assert not set(question.haystack) & candidates
        assert len(set(question.haystack)) == len(question.haystack) > 10
    with pytest.raises(DataError, match=r"0 questions have a relevant text of 5 to 9 words, and 2 are asked for"):
        draw_questions(entry, 2, 9)


def test_differences_by_hand():
    conditions = [
        Condition("none", 0, ((),)),
        Condition("copy", 1, ((Head(0, 0),),)),
        Condition("random", 1, ((Head(1, 0),), (Head(1, 1),))),
    ]

    def row(query_id, length, none, copy, random):
        # two draws of random heads lie half a nat below and above their mean
        levels = {"none": [none], "copy 1": [copy], "random 1": [random - 0.5, random + 0.5]}
        values = {name: [{"mean": mean, "total": mean} for mean in draws] for name, draws in levels.items()}
        return {"query_id": query_id, "length": length, "depth": 0.5, "tokens": 1, "log_probability": values}

    # needle a falls by 2 and 4, so by 3; b by 5; random ones fall by 1
    needles = [row("a", 10, -1, -3, -2), row("a", 20, -1, -5, -2), row("b", 10, -1, -6, -2), row("b", 20, -1, -6, -2)]
    facts = masking_result(MaskingFigures(conditions, needles, [], "c"), {}).facts
    assert facts["needle_difference"]["copy 1"]["mean"] == pytest.approx(-4)
    assert (facts["needle_difference"]["copy 1"]["low"], facts["needle_difference"]["copy 1"]["high"]) == (-5, -3)
    assert facts["needle_difference_to_random"]["copy 1"]["mean"] == pytest.approx(-3)
    assert facts["random_draws"] == {"random 1": [-1.5, -0.5]}
    assert facts["needle_count"] == 2


def test_a_journal_survives_a_line_that_was_cut(tmp_path):
    journal = Journal(tmp_path / "a.jsonl")
    journal.put("one", [1, 2])
    with (tmp_path / "a.jsonl").open("a") as file:
        file.write('{"key": "two", "val')
    journal = Journal(tmp_path / "a.jsonl")
    assert (journal.get("one"), journal.get("two")) == ([1, 2], None)
    journal.put("two", 3)
    assert Journal(tmp_path / "a.jsonl").get("two") == 3
