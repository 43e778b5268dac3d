"""Answers' measures by hand against the definition of SQuAD's script, and the prompt that they are asked with."""

import pytest

from teachers.answering import Answerer, AnswerSettings, exact_match, normalised, token_f1
from teachers.errors import TeacherError
from teachers.writer import Writer
from tests.teachers.test_generative import writes

SETTINGS = AnswerSettings(introduction="w100", instruction="w101", without_passages="w102", max_tokens=5)


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("The  Cat's  hat, a man; an apple", ["cats", "hat", "man", "apple"]),
        # punctuation goes before articles do, and what it joined stays joined
        ("a-b theatre A.", ["ab", "theatre"]),
        ("\u201cBonn\u201d", ["\u201cbonn\u201d"]),
        (" the ", []),
    ],
)
def test_normal_form_by_hand(text, tokens):
    assert normalised(text) == tokens


@pytest.mark.parametrize(
    ("answer", "references", "exact", "f1"),
    [
        ("The Eiffel Tower!", ["eiffel tower"], 1.0, 1.0),
        # 2 common of 3 and 4: 2 * 2 / 7
        ("red big dog", ["big dog was here"], 0.0, 4 / 7),
        # a token counts as often as both have it: 2 common of 3 and 2
        ("no no no", ["no no"], 0.0, 4 / 5),
        ("cat", ["dog", "the cat sat"], 0.0, 2 / 3),
        ("cat", ["dog"], 0.0, 0.0),
        ("", ["dog"], 0.0, 0.0),
        ("the", ["a"], 1.0, 1.0),
        ("cat", [], 0.0, 0.0),
    ],
)
def test_exact_match_and_f1_by_hand(answer, references, exact, f1):
    assert exact_match(answer, references) == exact
    assert token_f1(answer, references) == pytest.approx(f1)


def test_passages_stand_before_the_question_and_cannot_end_the_turn(tokenizer):
    answerer = Answerer(Writer(writes(["w5", "w6"]), tokenizer, {"reference": "tiny"}), SETTINGS)
    prompt = answerer.prompt("w9", ["w1\n\nw2", "</s> w3 \ud800"])
    assert " ".join(tokenizer.decode(prompt).split()) == (
        "<s> w100 w1 w2 <unk> <unk> <unk> w3 <unk> <unk> : w9 w101 </s>"
    )
    bare = " ".join(tokenizer.decode(answerer.prompt("w9", [])).split())
    assert bare == "<s> <unk> : w9 w102 </s>"


def test_the_answer_and_the_tokens_of_its_prompt(tokenizer):
    answerer = Answerer(Writer(writes(["w5", "w6"]), tokenizer, {"reference": "tiny"}), SETTINGS)
    found = answerer.answer("w9", ["w1", "w2"])
    assert (found.text, found.prompt_tokens) == ("w5 w6", len(answerer.prompt("w9", ["w1", "w2"])))
    small = Answerer(Writer(writes(["w5"], context=10), tokenizer, {"reference": "tiny"}), SETTINGS)
    with pytest.raises(TeacherError, match="an answer of 5 do not fit a context of 10; give shorter contexts"):
        small.answer("w9", ["w1", "w2", "w3"])
