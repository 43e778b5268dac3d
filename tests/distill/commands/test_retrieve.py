"""`distill teacher retrieve` on a text that a test wrote: what it prints, and what it says of bad input."""

import io
import json
import sys

import pytest

TEXT = "word1 word2 word3.\n\nword4 word5. word6 \u202e\x1b[31m word7!\nword8"
CHAT = [
    {"role": "user", "content": "word1 word2"},
    {"role": "assistant", "content": None},
    {"role": "assistant", "content": "word3 word4. word5"},
]


@pytest.fixture(scope="module")
def teacher(causal_folder, tmp_path_factory):
    """An adopted teacher of two heads."""
    from distill.recipe.settings import TeacherSection
    from distill.stages.teacher import adopt_teacher
    from teachers.baselines import equal_weights
    from teachers.heads import Head
    from teachers.prompt import PromptSettings

    folder = tmp_path_factory.mktemp("adopted")
    equal_weights((Head(1, 2), Head(2, 0))).save(folder / "heads.json")
    section = TeacherSection(model=str(causal_folder), prompt=PromptSettings(max_document_words=20), state_layer=1)
    adopt_teacher(str(folder / "heads.json"), section, folder / "teacher")
    return folder / "teacher"


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "long.txt"
    path.write_bytes(TEXT.encode())
    return path


def test_json_lines_hold_the_exact_characters(distill, teacher, text):
    code, shown, _ = distill("teacher", "retrieve", text, "word5", "--teacher", teacher, "--json", "--k", 9)
    rows = [json.loads(line) for line in shown.splitlines()]
    assert code == 0
    assert [row["rank"] for row in rows] == list(range(1, len(rows) + 1))
    assert [row["score"] for row in rows] == sorted((row["score"] for row in rows), reverse=True)
    assert all(TEXT[row["start"] : row["end"]] == row["text"] for row in rows)
    assert all(TEXT.count("\n", 0, row["start"]) + 1 == row["line"] for row in rows)
    assert "".join("".join(row["text"].split()) for row in sorted(rows, key=lambda row: row["start"])) == "".join(
        TEXT.split()
    )


def test_a_person_sees_places_and_no_control_characters(distill, teacher, text):
    code, shown, _ = distill("teacher", "retrieve", text, "word5", "--teacher", teacher, "--neighbours", 1)
    assert code == 0
    assert "line 1, characters 0 to 18" in shown
    assert "\x1b[31m" not in shown and "\u202e" not in shown and "\\x1b" in shown
    assert shown.count("word4 word5.") > 1


def test_turns_from_standard_input_are_placed_in_their_messages(distill, teacher, monkeypatch):
    lines = "\n".join(map(json.dumps, CHAT)).encode()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(lines)))
    code, shown, _ = distill("teacher", "retrieve", "-", "word5", "--teacher", teacher, "--by", "turns", "--json")
    rows = sorted((json.loads(line) for line in shown.splitlines()), key=lambda row: row["turn"])
    assert code == 0
    assert [(row["turn"], row["role"]) for row in rows] == [(1, "user"), (3, "assistant")]
    assert all(CHAT[row["turn"] - 1]["content"][row["start"] : row["end"]] == row["text"] for row in rows)
    assert all("line" not in row for row in rows)


@pytest.mark.parametrize(
    ("content", "question", "options", "message"),
    [
        (None, "w", (), "long.txt: No such file or directory"),
        (b"caf\xe9", "w", (), "long.txt: not UTF-8 at byte 3"),
        (b" \n", "w", (), "long.txt: no text in it"),
        (b"word1", "  ", (), "the question is empty"),
        (b"word1", "w", ("--k", 0), "--k is 0; at least 1 segment"),
        (b"word1", "w", ("--by", "turns"), "long.txt: no chat history"),
        (b"word1", "w", ("--by", "tokens", "--overlap", 64), "overlap_tokens (64) must be below segment_tokens"),
        (b"word1", "w", ("--teacher", "nowhere"), "nowhere: no fitted teacher here"),
    ],
)
def test_bad_input_gets_one_line(distill, teacher, text, content, question, options, message):
    text.unlink() if content is None else text.write_bytes(content)
    code, shown, errors = distill("teacher", "retrieve", text, question, "--teacher", teacher, *options)
    assert (code, shown) == (2, "")
    assert errors.count("\n") == 1 and message in errors
