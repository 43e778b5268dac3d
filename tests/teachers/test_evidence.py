"""Sentences by hand, and the evidence of a teacher against sums over its own explanation."""

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers

from teachers.baselines import WeightedHeads
from teachers.evidence import evidence_span, sentences
from teachers.features import FeatureSettings
from teachers.head_scores import HeadReader
from teachers.heads import Head
from teachers.prompt import PromptSettings
from teachers.teacher import HeadTeacher
from tests.teachers.conftest import build

PROMPT = PromptSettings(introduction="w100", instruction="w101", null_query="w103", max_document_words=9)
QUERY = "w1 w2"
DOCUMENTS = ["w10 w11. W12 w13!\n\nw14  w15", "w20 w21 w22. w23", "w30"]


@pytest.fixture(scope="module", params=[1, 2])
def teacher(request, tokenizer):
    prompt = PROMPT.model_copy(update={"orders": request.param})
    ranker = WeightedHeads((Head(1, 2), Head(0, 3)), (0.5, 0.25), FeatureSettings(), "by hand")
    return HeadTeacher(HeadReader(build("llama"), tokenizer, prompt, state_layer=1), ranker, {}, evidence=True)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (" The fox (Fig. 3.2, e.g. here) runs.  It ran! ", ["The fox (Fig. 3.2, e.g. here) runs.", "It ran!"]),
        ("First line.\n\nSecond\nline", ["First line.", "Second\nline"]),
        ("서울은 수도이다. 부산은 항구다!", ["서울은 수도이다.", "부산은 항구다!"]),
        ('그는 "가자."라고 했다. 끝!', ['그는 "가자."라고 했다.', "끝!"]),
        ("“갔다.”고 한다. “왔다.” 그는 말했다.", ["“갔다.”고 한다.", "“왔다.”", "그는 말했다."]),
        ("这是一句。第二句？", ["这是一句。", "第二句？"]),
        ("\U0001f600 Smile. \u202eright to left\x00", ["\U0001f600 Smile.", "\u202eright to left\x00"]),
        (" \n\t ", []),
        ("", []),
    ],
)
def test_sentences_by_hand(text, expected):
    assert [text[start:end] for start, end in sentences(text)] == expected


def test_the_sentence_with_the_most_attention_by_hand():
    document = "One two. Three four. Five"
    tokens = [(0, 3), (4, 8), (9, 14), (15, 20), (21, 25)]
    # -0.9 is no interest, not lost interest: the second sentence has 0.4, the others 0.3 and 0.2
    found = evidence_span(document, tokens, torch.tensor([0.1, 0.2, 0.4, -0.9, 0.2]))
    assert document[slice(*found)] == "Three four."


def test_a_space_counted_into_a_token_takes_no_word_from_its_sentence():
    """Byte-level tokenizers, SmolLM2's and Qwen's, count the space before a word into its token."""
    words = Tokenizer(models.WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    document = "Cats sleep. Zeppelins fly high. Dogs bark."
    encoded = words.encode(document)
    assert (11, 21) in encoded.offsets
    attention = torch.tensor([0.9 if document[slice(*span)] == " Zeppelins" else 0.05 for span in encoded.offsets])
    assert document[slice(*evidence_span(document, encoded.offsets, attention))] == "Zeppelins fly high."


def test_no_attention_is_no_evidence():
    assert evidence_span("One two.", [(0, 3), (4, 8)], torch.tensor([-0.1, 0.0])) is None
    assert evidence_span("", [], torch.zeros(0)) is None


def test_evidence_holds_the_most_of_what_is_explained(teacher):
    explained = teacher.explain(QUERY, DOCUMENTS)
    judged = teacher.judge(QUERY, DOCUMENTS)
    for document, tokens, row in zip(DOCUMENTS, explained.documents, judged, strict=True):
        sums = {
            span: sum(max(token.weight, 0) for token in tokens if span[0] <= token.start < span[1])
            for span in sentences(document)
        }
        assert row["missing"] or row["evidence"] == max(sums, key=sums.get)
    assert any(not row["missing"] for row in judged)


def test_a_missing_document_has_no_evidence(teacher):
    for row in teacher.judge(QUERY, DOCUMENTS):
        assert ("evidence" in row) == (not row["missing"])


def test_evidence_changes_no_score(teacher):
    plain = HeadTeacher(teacher.reader, teacher.ranker, {})
    assert [row["score"] for row in plain.judge(QUERY, DOCUMENTS)] == [
        row["score"] for row in teacher.judge(QUERY, DOCUMENTS)
    ]
    assert plain.describe() != teacher.describe()
