import pytest
import torch
from sentence_transformers import CrossEncoder
from transformers import AutoModelForSequenceClassification

from students.scoring import Reranker

LISTS = [
    ("the w1", ["w1 w2", "w9 w8 w7 w6 w5 w4", "w5"]),
    ("w3", []),
    ("w4 w5 w6", ["w1 " * 100, "", "w4 w5"]),
]


def test_scores_are_those_of_one_pair_at_a_time_in_the_order_given(encoder_start):
    reranker = Reranker.load(encoder_start)
    scores = reranker.score_many(LISTS)
    for (query, documents), row in zip(LISTS, scores, strict=True):
        alone = [reranker.score_pairs(query, [document])[0] for document in documents]
        assert row == pytest.approx(alone, abs=1e-6)


@pytest.mark.parametrize("batch_tokens", [1, 40, 10_000])
def test_the_size_of_batches_changes_no_score(encoder_start, batch_tokens):
    model = Reranker.load(encoder_start)
    other = Reranker(model.model, model.tokenizer, batch_tokens)
    for one, two in zip(model.score_many(LISTS), other.score_many(LISTS), strict=True):
        assert one == pytest.approx(two, abs=1e-6)


def test_scores_are_raw_logits_as_the_cross_encoder_gives_them(encoder_start):
    query, documents = LISTS[0]
    theirs = CrossEncoder(encoder_start, activation_fn=torch.nn.Identity()).predict([(query, d) for d in documents])
    assert Reranker.load(encoder_start).score_pairs(query, documents) == pytest.approx(theirs.tolist(), abs=1e-6)


def test_scoring_leaves_the_model_as_it_was(encoder_start):
    reranker = Reranker.load(encoder_start)
    reranker.model.train()
    first = reranker.score_pairs("w1", ["w1 w2"])
    assert reranker.model.training
    assert reranker.score_pairs("w1", ["w1 w2"]) == first  # no dropout


def test_bfloat16_weights_give_near_float32_scores(encoder_start):
    query, documents = LISTS[0]
    fine = Reranker.load(encoder_start).score_pairs(query, documents)
    assert Reranker.load(encoder_start, dtype="bfloat16").score_pairs(query, documents) == pytest.approx(fine, abs=0.02)


def test_a_batch_without_tokens_is_refused(encoder_start):
    with pytest.raises(ValueError, match="batch_tokens must be positive, got 0"):
        Reranker(Reranker.load(encoder_start).model, None, batch_tokens=0)


def test_more_than_one_output_is_refused(encoder_start):
    model = AutoModelForSequenceClassification.from_pretrained(
        encoder_start, num_labels=3, ignore_mismatched_sizes=True
    )
    with pytest.raises(ValueError, match="one output, this model has 3"):
        Reranker(model, None)
