import math
import random

import pytest
import torch
from sentence_transformers import CrossEncoder
from sentence_transformers.cross_encoder.losses import RankNetLoss as LibraryRankNet

from students.losses import RankNetLoss, TermControlLoss, ranknet
from students.scoring import Reranker
from students.term_control import TermControlLayer
from students.term_matching import TermMatcher

WORDS = [f"w{number}" for number in range(90)]


def by_double_loop(scores: list[list[float]], labels: list[list[float]]) -> float:
    means = []
    for row, grades in zip(scores, labels, strict=True):
        losses = [
            math.log(1 + math.exp(low - high))
            for high, better in zip(row, grades, strict=True)
            for low, worse in zip(row, grades, strict=True)
            if better > worse
        ]
        if losses:
            means.append(sum(losses) / len(losses))
    return sum(means) / len(means)


def padded(rows: list[list[float]]) -> torch.Tensor:
    width = max(map(len, rows))
    return torch.tensor([row + [9.0] * (width - len(row)) for row in rows])


def mask(rows: list[list[float]]) -> torch.Tensor:
    width = max(map(len, rows))
    return torch.tensor([[True] * len(row) + [False] * (width - len(row)) for row in rows])


def test_ranknet_by_hand():
    # pairs: (2, 0) ordered rightly by 1, (2, 1) wrongly by 1, (1, 0) rightly by 2
    expected = (math.log(1 + math.exp(-1)) + math.log(1 + math.exp(1)) + math.log(1 + math.exp(-2))) / 3
    loss = ranknet(torch.tensor([[1.0, 2.0, 0.0]]), torch.tensor([[2.0, 1.0, 0.0]]), torch.ones(1, 3, dtype=torch.bool))
    assert loss.item() == pytest.approx(expected)


def test_ranknet_equals_a_double_loop_with_ties_and_lists_of_different_length():
    scores = [[0.3, -1.2, 2.0, 0.3], [1.0, 1.5], [0.0, 4.0, -3.0]]
    labels = [[2.0, 2.0, 0.0, 1.0], [1.0, 0.0], [5.0, 5.0, 5.0]]
    loss = ranknet(padded(scores), padded(labels), mask(scores))
    assert loss.item() == pytest.approx(by_double_loop(scores, labels), abs=1e-6)


def test_a_query_without_pairs_changes_nothing():
    scores, labels = [[1.0, 0.2, 0.4]], [[0.0, 1.0, 2.0]]
    more_scores, more_labels = [*scores, [7.0, 8.0, 9.0]], [*labels, [1.0, 1.0, 1.0]]
    alone = ranknet(padded(scores), padded(labels), mask(scores))
    torch.testing.assert_close(ranknet(padded(more_scores), padded(more_labels), mask(more_scores)), alone)


def test_without_any_pair_the_loss_is_zero_and_so_is_its_gradient():
    scores = torch.tensor([[1.0, 2.0]], requires_grad=True)
    loss = ranknet(scores, torch.zeros(1, 2), torch.ones(1, 2, dtype=torch.bool))
    loss.backward()
    assert loss.item() == 0
    assert scores.grad.abs().sum() == 0


def test_large_score_gaps_stay_finite():
    scores = torch.tensor([[0.0, 1e4]], requires_grad=True)
    ranknet(scores, torch.tensor([[1.0, 0.0]]), torch.ones(1, 2, dtype=torch.bool)).backward()
    torch.testing.assert_close(scores.grad, torch.tensor([[-1.0, 1.0]]))


def test_shapes_must_agree():
    with pytest.raises(ValueError, match="must have one shape"):
        ranknet(torch.zeros(1, 2), torch.zeros(1, 3), torch.ones(1, 2, dtype=torch.bool))


def test_one_list_gives_the_library_s_loss(encoder_start):
    model = CrossEncoder(encoder_start).eval()
    inputs = [["the w1"], [["w1 w2", "w3", "w4 w5 w6"]]]
    labels = [torch.tensor([0.3, 2.0, 1.0])]
    torch.testing.assert_close(
        RankNetLoss(model)(inputs, labels), LibraryRankNet(model, reduction_log="natural")(inputs, labels)
    )


def test_a_batch_of_several_passes_is_scored_in_order(encoder_start):
    chance = random.Random(0)
    queries = ["the w1", "w2 w3", "w4 the w5"]
    docs = [[" ".join(chance.choices(WORDS, k=chance.randint(1, 12))) for _ in range(count)] for count in (9, 13, 8)]
    labels = [torch.tensor([chance.random() for _ in row]) for row in docs]
    model = CrossEncoder(encoder_start).eval()
    scores = Reranker(model.transformers_model, model.tokenizer).score_many(list(zip(queries, docs, strict=True)))
    expected = by_double_loop(scores, [row.tolist() for row in labels])
    assert RankNetLoss(model)([queries, docs], labels).item() == pytest.approx(expected, abs=1e-6)


def term_control(start: str, weight: float = 1.0) -> TermControlLoss:
    torch.manual_seed(1)
    model = CrossEncoder(start).eval()
    return TermControlLoss(model, TermControlLayer(32, 4, 64).eval(), weight, TermMatcher(model.tokenizer, "english"))


INPUTS = [["the w1", "w2 w3"], [["w1 w9", "w4 w1 w5"], ["w2", "w7 w8", "w3 w2"]]]
LABELS = [torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0, 2.0])]


def test_the_base_term_is_ranknet_of_the_model_s_own_scores(encoder_start):
    loss = term_control(encoder_start)
    torch.testing.assert_close(loss(INPUTS, LABELS)["base"], RankNetLoss(loss.model)(INPUTS, LABELS))


def test_the_weight_multiplies_the_second_term_alone(encoder_start):
    whole, half = term_control(encoder_start)(INPUTS, LABELS), term_control(encoder_start, 0.5)(INPUTS, LABELS)
    torch.testing.assert_close(half["base"], whole["base"])
    torch.testing.assert_close(half["term_control"], whole["term_control"] / 2)


def test_gradients_reach_the_encoder_through_the_term_control_layer(encoder_start):
    loss = term_control(encoder_start)
    loss(INPUTS, LABELS)["term_control"].backward()
    model = loss.model.transformers_model
    deep = model.bert.encoder.layer[0].output.dense.weight
    for parameter in (deep, model.classifier.weight, *loss.layer.parameters()):
        assert parameter.grad.abs().sum() > 0


def test_a_prompt_is_refused(encoder_start):
    with pytest.raises(ValueError, match="takes no prompt"):
        term_control(encoder_start)(INPUTS, LABELS, prompt="find: ")
