"""A listwise teacher around a model that writes what a test tells it to: each token is followed by a fixed next one."""

import pytest
import torch
from torch import nn
from transformers import LlamaConfig, LlamaForCausalLM

from teachers.errors import TeacherError
from teachers.generative import GenerativeSettings, GenerativeTeacher, read_order
from teachers.reasons import ReasonedTeacher, ReasonSettings
from teachers.writer import Writer
from tests.teachers.conftest import WORDS

DOCUMENTS = ["w1 w2", "w3 w4", "w5 w6", "w7 w8"]
SETTINGS = GenerativeSettings(introduction="w100", instruction="w101", max_document_words=5)


def writes(tokens, context=512):
    """A model of no layers that writes ``tokens``, all different, behind "</s>", the prompt's end, and then stops."""
    ids = [WORDS.index(word) for word in ["</s>", *tokens, "<s>"]]
    size = len(WORDS) + 1
    config = LlamaConfig(
        vocab_size=size, hidden_size=size, num_hidden_layers=0, num_attention_heads=1, max_position_embeddings=context
    )
    model = LlamaForCausalLM(config).eval()
    following = torch.zeros(size, size)
    for token, after in zip(ids, ids[1:], strict=False):
        following[after, token] = 1.0
    with torch.no_grad():
        model.model.embed_tokens.weight.copy_(torch.eye(size))
        model.lm_head = nn.Linear(size, size, bias=False)
        model.lm_head.weight.copy_(following)
    model.generation_config.eos_token_id = ids[-1]
    return model


@pytest.fixture
def make(tokenizer):
    def build(tokens, orders=1, context=512):
        settings = SETTINGS.model_copy(update={"orders": orders})
        return GenerativeTeacher(Writer(writes(tokens, context), tokenizer, {"reference": "tiny"}), settings)

    return build


def test_documents_stand_numbered_before_the_query(make, tokenizer):
    text = tokenizer.decode(make(["1"]).prompt("w9", DOCUMENTS))
    assert " ".join(text.split()) == ("<s> w100 [ 1 ] w1 w2 [ 2 ] w3 w4 [ 3 ] w5 w6 [ 4 ] w7 w8 <unk> : w9 w101 </s>")


def test_the_answers_order_is_the_ranking_and_what_it_leaves_out_is_missing(make):
    judged = make(["3", "1"]).judge("w9", DOCUMENTS)
    by_score = sorted(zip(DOCUMENTS, judged, strict=True), key=lambda pair: -pair[1]["score"])
    assert [row["score"] for _, row in by_score] == [4.0, 3.0, 0.0, 0.0]
    assert [row["missing"] for _, row in by_score] == [False, False, True, True]
    assert {row["note"] for row in judged} == {None}


def test_the_callers_order_does_not_matter(make):
    teacher = make(["2", "4", "1"])
    there = teacher.judge("w9", DOCUMENTS)
    assert teacher.judge("w9", DOCUMENTS[::-1]) == there[::-1]


def test_two_orders_are_averaged_and_their_agreement_told(make):
    # the same places in two orders of the documents: what comes first differs, so the readings disagree
    judged = make(["1", "2", "3", "4"], orders=2).judge("w9", DOCUMENTS)
    assert sum(row["score"] for row in judged) == 4 + 3 + 2 + 1
    assert len({row["confidence"] for row in judged}) == 1
    assert -1 <= judged[0]["confidence"] < 1


def test_an_odd_answer_is_used_and_noted(make):
    judged = make(["29", "2"]).judge("w9", DOCUMENTS)
    assert {row["note"] for row in judged} == {"1 numbers of no document"}
    assert sorted(row["score"] for row in judged) == [0, 0, 0, 4]


def test_an_answer_without_a_number_is_refused_and_quoted(make):
    with pytest.raises(TeacherError, match="names none of the 4 documents: 'w55 w56'"):
        make(["w55", "w56"]).judge("w9", DOCUMENTS)


def test_what_does_not_fit_the_context_is_refused(make):
    with pytest.raises(TeacherError, match=r"a prompt of 2\d tokens and an answer of 32 do not fit a context of 40"):
        make(["1"], context=40).judge("w9", DOCUMENTS)


@pytest.mark.parametrize(
    ("written", "places", "notes"),
    [
        ("[2] > [1] > [3]", [1, 0, 2], []),
        ("1. [3]\n2. [1]", [2, 0], []),
        ("3, 1", [2, 0], []),
        ("[1] > [1] > [9] > [0]", [0], ["2 numbers of no document", "1 numbers repeated"]),
        ("None of the passages helps.", [], []),
        ("[" + "9" * 5000 + "]", [], []),
    ],
)
def test_answers_by_hand(written, places, notes):
    found, said = read_order(written, 3)
    assert (found, [note for note in said if places]) == (places, notes)


def test_the_best_documents_get_a_reason(make, tokenizer):
    teacher = make(["3", "1"])
    plain = {row["score"]: document for document, row in zip(DOCUMENTS, teacher.judge("w9", DOCUMENTS), strict=True)}
    settings = ReasonSettings(instruction="w101", documents=1)
    reasoned = ReasonedTeacher(teacher, Writer(writes(["w70", "w71"]), tokenizer, {"reference": "tiny"}), settings)
    reasons = {d: row.get("reason") for d, row in zip(DOCUMENTS, reasoned.judge("w9", DOCUMENTS), strict=True)}
    assert reasons == {document: "w70 w71" if document == plain[4.0] else None for document in DOCUMENTS}
    assert reasoned.describe()["reasons"]["model"] == {"reference": "tiny"}
