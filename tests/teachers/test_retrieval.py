"""A retriever against the teacher whose heads it uses, and against a text whose best segment is known beforehand."""

import random

import pytest

from teachers.baselines import WeightedHeads
from teachers.errors import TeacherError
from teachers.features import FeatureSettings
from teachers.head_scores import HeadReader
from teachers.heads import Head
from teachers.prompt import PromptSettings
from teachers.retrieval import SegmentRetriever
from teachers.segments import Segment, SegmentSettings
from teachers.teacher import HeadTeacher
from tests.teachers.conftest import build

PROMPT = PromptSettings(introduction="w100", instruction="w101", null_query="w103", max_document_words=9)
QUESTION = "w1 w2"
TEXT = "w10 w11.\nW12 w13!\n\nw14  w15\nw16 w17 w18. W1 w2. w30"


def make(tokenizer, prompt=PROMPT, mass="raw"):
    heads = WeightedHeads((Head(1, 2), Head(0, 3)), (0.5, 0.25), FeatureSettings(mass=mass), "by hand")
    return HeadTeacher(HeadReader(build("llama"), tokenizer, prompt, state_layer=1), heads, {})


@pytest.fixture(scope="module")
def teacher(tokenizer):
    return make(tokenizer)


def said(found):
    return [one.segment.text for one in found]


def test_segments_come_in_the_order_of_the_teachers_scores(teacher):
    retriever = SegmentRetriever(teacher)
    found = retriever.retrieve(TEXT, QUESTION, k=99)
    texts = [one.text for one in retriever.segments(TEXT)]
    # by the definition: the words of each segment as a document of their own
    judged = dict(zip(texts, teacher.judge(QUESTION, [" ".join(text.split()) for text in texts]), strict=True))
    assert said(found) == sorted(texts, key=lambda text: -judged[text]["score"])
    assert [one.score for one in found] == [judged[one.segment.text]["score"] for one in found]
    assert [one.missing for one in found] == [judged[one.segment.text]["missing"] for one in found]
    assert [one.rank for one in found] == [1, 2, 3, 4, 5]
    assert all(TEXT[one.segment.start : one.segment.end] == one.segment.text for one in found)


def test_the_best_k_in_the_order_of_the_text(teacher):
    retriever = SegmentRetriever(teacher)
    best = retriever.retrieve(TEXT, QUESTION, k=4)
    in_order = retriever.retrieve(TEXT, QUESTION, k=4, in_text_order=True)
    assert {one.rank for one in in_order} == {1, 2, 3, 4}
    assert sorted(said(best)) == sorted(said(in_order))
    starts = [one.segment.start for one in in_order]
    assert starts == sorted(starts) != [one.segment.start for one in best]


def test_repeated_segments_count_once_at_their_first_place(teacher):
    once, text = "w10 w11.\n\nw20 w21.\n\nw12.", "w10 w11.\n\nw20 w21.\n\nw10  w11.\n\nw12.\n\nw10\nw11."
    retriever = SegmentRetriever(teacher)
    found = retriever.retrieve(text, QUESTION)
    assert said(found) == said(retriever.retrieve(once, QUESTION))
    repeated = next(one for one in found if one.segment.text == "w10 w11.")
    assert [one.start for one in repeated.repeats] == [20, 37]
    assert all(one.repeats == () for one in found if one is not repeated)


def test_one_segment_alone(teacher):
    (found,) = SegmentRetriever(teacher).retrieve("w10 w11.", QUESTION)
    assert (found.rank, found.segment.text) == (1, "w10 w11.")


def test_segments_without_words_are_passed_over(teacher):
    given = [Segment("  ", 0, 2, 1, 1), Segment("w10", 2, 5, 1, 1), Segment("", 5, 5, 1, 1)]
    assert said(SegmentRetriever(teacher).retrieve(given, QUESTION)) == ["w10"]


def test_no_segment_is_longer_than_what_the_teacher_reads(teacher):
    text = " ".join(f"w{n}" for n in range(10, 40))
    for by in ("sentences", "tokens", "paragraphs"):
        segments = SegmentRetriever(teacher, SegmentSettings(by=by)).segments(text)
        assert " ".join(one.text for one in segments) == text
        assert max(len(one.text.split()) for one in segments) <= 9


def test_text_that_no_tokenizer_takes_is_found_as_it_is(teacher):
    text = "w10 \ud800 w11.\x00 W12 \u202e w13!"
    found = SegmentRetriever(teacher).retrieve(text, "w1 \udfff")
    assert len(found) == 2
    assert "".join(sorted(said(found), key=text.index)).replace(" ", "") == text.replace(" ", "")


def test_windows_find_what_one_prompt_finds(tokenizer):
    """Where attention falls on tokens alike, as with weights of zero, windows change scores by rounding only."""
    chance = random.Random(0)
    lengths = [chance.randrange(1, 9) for _ in range(60)]
    text = "\n\n".join(" ".join(f"w{chance.randrange(200)}" for _ in range(length)) for length in lengths)
    model = build("llama")
    for name, weight in model.named_parameters():
        if "q_proj" in name:
            weight.data.zero_()
    heads = WeightedHeads((Head(1, 2),), (1.0,), FeatureSettings(), "by hand")
    teacher = HeadTeacher(HeadReader(model, tokenizer, PROMPT, state_layer=1), heads, {})
    settings = SegmentSettings(by="paragraphs")
    told = []
    long = SegmentRetriever(teacher, settings, window_tokens=120, window_overlap=3)
    found = long.retrieve(text, QUESTION, 60, on_window=lambda *state: told.append(state))
    whole = SegmentRetriever(teacher, settings).retrieve(text, QUESTION, 60)
    # the longest draw the most, wherever their window stood
    counts = [len(one.segment.text.split()) for one in found]
    assert counts == sorted(counts, reverse=True)
    assert [one.score for one in found] == pytest.approx([one.score for one in whole], abs=0.01)
    assert told[-1] == (len(told), len(told)) and len(told) > 4


@pytest.mark.parametrize(
    ("source", "question", "k", "message"),
    [
        (TEXT, " ", 1, "the question is empty"),
        (TEXT, "w1", 0, "k is 0; at least 1 segment"),
        (" \n", "w1", 1, "the text holds no words"),
        ([], "w1", 1, "the text holds no words"),
        ([Segment("w1 " * 12, 3, 38, 1, 1)], "w1", 1, "characters 3 to 38 has 12 words and the teacher reads 9"),
    ],
)
def test_what_cannot_be_asked_is_said(teacher, source, question, k, message):
    with pytest.raises(TeacherError, match=message):
        SegmentRetriever(teacher).retrieve(source, question, k)
