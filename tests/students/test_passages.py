import json

import pytest
import torch
from datasets import Dataset
from pydantic import ValidationError
from sentence_transformers import CrossEncoder
from transformers import AutoTokenizer

from students import StudentError
from students.encoder import EncoderSettings, train_encoder
from students.losses import LOSSES
from students.objectives import ListObjective, TermControlObjective, best_of
from students.passages import PassageSettings, cut
from students.scoring import Reranker
from students.term_control import TermControlLayer
from students.term_matching import TermMatcher

SETTINGS = PassageSettings(tokens=4, overlap=1)
LONG = "w1  w2, w3 w4 w5 w6\nw7 w8 w9"


def test_windows_by_hand(encoder_tokenizer):
    # one token a word or mark: w1 w2 , w3 | w3 w4 w5 w6 | w6 w7 w8 w9
    assert cut(encoder_tokenizer, [LONG, "w1 w2", ""], SETTINGS) == [
        ["w1  w2, w3", "w3 w4 w5 w6", "w6\nw7 w8 w9"],
        ["w1 w2"],
        [""],
    ]
    first = SETTINGS.model_copy(update={"most": 2})
    assert cut(encoder_tokenizer, [LONG], first) == [["w1  w2, w3", "w3 w4 w5 w6"]]
    assert cut(encoder_tokenizer, [LONG], None) == [[LONG]]


def test_an_overlap_without_room_for_the_tokenizer_s_special_tokens_is_refused(encoder_tokenizer, decoder_start):
    # [CLS] and [SEP]: of 4 tokens 2 may be shared
    close = PassageSettings(tokens=4, overlap=2)
    assert cut(encoder_tokenizer, ["w1 w2 w3 w4 w5 w6"], close) == [["w1 w2 w3 w4", "w3 w4 w5 w6"]]
    closer = PassageSettings(tokens=4, overlap=3)
    with pytest.raises(StudentError, match=r"passages\.overlap \(3\) must be at most 2: .* passages\.tokens \(4\)$"):
        cut(encoder_tokenizer, ["w1"], closer)
    # a decoder's tokenizer has none
    plain = AutoTokenizer.from_pretrained(decoder_start)
    assert cut(plain, ["w1 w2 w3 w4 w5"], closer) == [["w1 w2 w3 w4", "w2 w3 w4 w5"]]
    one = PassageSettings(tokens=1)
    assert cut(encoder_tokenizer, ["w1 w2"], one) == [["w1", "w2"]]


def read(text: str) -> str:
    """What the tokenizer reads of a text: neither blanks nor control and format characters."""
    return "".join(character for character in text if character.isprintable() and not character.isspace())


def test_passages_leave_no_character_out(embedded_encoder):
    tokenizer = AutoTokenizer.from_pretrained(embedded_encoder)
    texts = ["\x00 nul \x01", "שלום\u200f עולם " * 9, "검색 결과를 다시 " * 9, "x" * 3000, " \n ", "🙂 Straße" * 40]
    found = cut(tokenizer, texts, PassageSettings(tokens=8))
    for text, passages in zip(texts, found, strict=True):
        place = 0
        for passage in passages:
            # a Korean syllable is several tokens; one that two windows share stands in both passages
            start = text.index(passage, max(0, place - 1))
            assert not read(text[place:start])
            place = start + len(passage)
        assert not read(text[place:])
    assert [len(passages) > 1 for passages in found] == [False, True, True, False, False, True]


def test_the_gradient_flows_into_the_best_passage_alone():
    scores = torch.tensor([[1.0, 3.0, 2.0, 5.0, 5.0]], requires_grad=True)
    best = best_of(scores, [3, 2])
    assert best.tolist() == [[3.0, 5.0]]
    best.sum().backward()
    assert scores.grad[0, :3].tolist() == [0.0, 1.0, 0.0]
    assert sorted(scores.grad[0, 3:].tolist()) == [0.0, 1.0]


@pytest.fixture
def model(spread_start) -> CrossEncoder:
    model = CrossEncoder(spread_start, activation_fn=torch.nn.Identity()).eval()
    model.config.passages = SETTINGS.model_dump()
    return model


LISTS = [("the w1", [LONG, "w9 w1", "w5 " * 30]), ("w2", ["", LONG[::-1]])]


def by_loop(model: CrossEncoder) -> list[list[float]]:
    return [
        [
            max(float(model.predict([(query, passage)])[0]) for passage in cut(model.tokenizer, [text], SETTINGS)[0])
            for text in documents
        ]
        for query, documents in LISTS
    ]


def test_scores_are_those_of_a_loop_over_passages(model):
    reranker = Reranker(model.transformers_model, model.tokenizer)
    expected = by_loop(model)
    for row, loop in zip(reranker.score_many(LISTS), expected, strict=True):
        assert row == pytest.approx(loop, abs=1e-4)
    whole = Reranker(model.transformers_model, model.tokenizer, in_passages=False).score_many(LISTS)
    assert whole[0][0] != pytest.approx(expected[0][0], abs=1e-3)


@pytest.mark.parametrize("term_control", [False, True])
def test_the_training_loss_is_that_of_the_best_passages(model, term_control):
    labels = [torch.tensor([0.0, 2.0, 1.0]), torch.tensor([0.0, 1.0])]
    inputs = [[query for query, _ in LISTS], [documents for _, documents in LISTS]]
    expected = sum(
        LOSSES["ranknet"](torch.tensor(row), grades) for row, grades in zip(by_loop(model), labels, strict=True)
    )
    objective = ListObjective(model, LOSSES["ranknet"])
    if term_control:
        layer = TermControlLayer(32, 4, 64).eval()
        objective = TermControlObjective(model, LOSSES["ranknet"], layer, 1.0, TermMatcher(model.tokenizer, "none"))
    loss = objective(inputs, labels)
    torch.testing.assert_close(loss["base"] if term_control else loss, expected / 2, rtol=1e-4, atol=1e-4)


def test_a_student_trained_in_passages_says_so_and_is_served_so(encoder_start, lists, dev, tmp_path):
    long = Dataset.from_list([row | {"docs": [f"{doc} " * 6 for doc in row["docs"]]} for row in lists])
    trainer = {"max_steps": 2, "per_device_train_batch_size": 4, "eval_strategy": "steps", "eval_steps": 1,
               "save_strategy": "steps", "save_steps": 1}  # fmt: skip
    settings = EncoderSettings(max_tokens=24, precision="fp32", passages=SETTINGS, trainer=trainer)
    train_encoder(encoder_start, long, dev, settings, tmp_path / "student")
    config = json.loads((tmp_path / "student" / "config.json").read_text())
    assert config["passages"] == {"tokens": 4, "overlap": 1, "most": None}
    assert "passages of at most 4 tokens" in (tmp_path / "student" / "README.md").read_text()
    theirs = CrossEncoder(str(tmp_path / "student"))
    reranker = Reranker.load(tmp_path / "student")
    passages = cut(reranker.tokenizer, [LONG], SETTINGS)[0]
    best = max(theirs.predict([("w1", passage) for passage in passages]).tolist())
    assert reranker.score_pairs("w1", [LONG]) == pytest.approx([best], abs=1e-5)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"tokens": 24}, r"passages.tokens \(24\) must be below max_tokens \(24\)"),
        ({"tokens": 8, "overlap": 8}, r"overlap \(8\) must be below tokens \(8\)"),
    ],
)
def test_settings_that_cannot_work_are_refused(given, message):
    with pytest.raises(ValidationError, match=message):
        EncoderSettings(max_tokens=24, passages=given)
