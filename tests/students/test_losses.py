import math

import pytest
import torch
from sentence_transformers import CrossEncoder
from sentence_transformers.cross_encoder import losses as library

from students.losses import LOSSES, grades, margin_mse, mean_over_lists, ranknet, standardised


def softmax(values: list[float]) -> list[float]:
    total = sum(map(math.exp, values))
    return [math.exp(value) / total for value in values]


def z_scores(values: list[float]) -> list[float]:
    mean = sum(values) / len(values)
    spread = math.sqrt(sum((value - mean) ** 2 for value in values) / len(values))
    return [(value - mean) / spread for value in values]


def over_pairs(scores, labels, of_pair) -> float:
    indices = range(len(scores))
    losses = [of_pair(i, j) for i in indices for j in indices if labels[i] > labels[j]]
    return sum(losses) / len(losses)


def ranknet_by_loop(scores, labels) -> float:
    return over_pairs(scores, labels, lambda i, j: math.log(1 + math.exp(scores[j] - scores[i])))


def margin_mse_by_loop(scores, labels) -> float:
    z = z_scores(labels)
    return over_pairs(scores, labels, lambda i, j: ((scores[i] - scores[j]) - (z[i] - z[j])) ** 2)


def listnet_by_loop(scores, labels) -> float:
    return -sum(p * math.log(q) for p, q in zip(softmax(z_scores(labels)), softmax(scores), strict=True))


def lambda_by_loop(scores, labels) -> float:
    """NDCG-Loss2++ of Wang et al. 2018, equations 10 to 15, with mu = 10, in bits."""
    levels = sorted(set(labels))
    grade = [4 * levels.index(label) / (len(levels) - 1) for label in labels]
    rank = {i: 1 + sum(other > scores[i] for other in scores) for i in range(len(scores))}

    def discount(place: int) -> float:
        return math.log2(1 + place)

    ideal = sum((2**g - 1) / discount(place) for place, g in enumerate(sorted(grade, reverse=True), start=1))

    def of_pair(i: int, j: int) -> float:
        gain = abs(2 ** grade[i] - 2 ** grade[j]) / ideal
        apart = abs(rank[i] - rank[j])
        bound = abs(1 / discount(apart) - 1 / discount(apart + 1))
        swap = abs(1 / discount(rank[i]) - 1 / discount(rank[j]))
        return (10 * bound + swap) * gain * math.log2(1 + math.exp(scores[j] - scores[i]))

    return over_pairs(scores, labels, of_pair)


def adr_mse_by_loop(scores, labels) -> float:
    total = 0.0
    for i, (score, label) in enumerate(zip(scores, labels, strict=True)):
        rank = sum(other > label for other in labels) + (labels.count(label) + 1) / 2
        guess = 1 + sum(1 / (1 + math.exp(score - other)) for j, other in enumerate(scores) if j != i)
        total += (rank - guess) ** 2 / math.log2(rank + 1)
    return total / len(scores)


BY_LOOP = {
    "ranknet": ranknet_by_loop,
    "margin_mse": margin_mse_by_loop,
    "listnet": listnet_by_loop,
    "lambda": lambda_by_loop,
    "adr_mse": adr_mse_by_loop,
}

# scores 1, 2, 0 of documents labelled 2, 1, 0: the better two are the wrong way round
Z = math.sqrt(1.5)  # the labels' standardised distance: their spread is sqrt(2/3)
IDEAL = 15 + 3 / math.log2(3)
SIGMOID = {gap: 1 / (1 + math.exp(-gap)) for gap in (-2, -1, 1, 2)}
BY_HAND = {
    # pairs (0, 1) by -1, (0, 2) by 1, (1, 2) by 2
    "ranknet": (math.log(1 + math.e) + math.log(1 + math.exp(-1)) + math.log(1 + math.exp(-2))) / 3,
    "margin_mse": ((-1 - Z) ** 2 + (1 - 2 * Z) ** 2 + (2 - Z) ** 2) / 3,
    # softmax of (Z, 0, -Z) against scores whose log partition is that of (1, 2, 0)
    "listnet": math.log(math.e + math.exp(2) + 1)
    - (math.exp(Z) * 1 + 1 * 2 + math.exp(-Z) * 0) / (math.exp(Z) + 1 + math.exp(-Z)),
    # grades 4, 2, 0 with gains 15, 3, 0; the scores rank them 2, 1, 3
    "lambda": (
        12 / IDEAL * (10 * (1 - 1 / math.log2(3)) + (1 - 1 / math.log2(3))) * math.log2(1 + math.e)
        + 15 / IDEAL * (10 * (1 - 1 / math.log2(3)) + (1 / math.log2(3) - 1 / 2)) * math.log2(1 + math.exp(-1))
        + 3 / IDEAL * (10 * (1 / math.log2(3) - 1 / 2) + (1 - 1 / 2)) * math.log2(1 + math.exp(-2))
    )
    / 3,
    # ranks 1, 2, 3 against 1 + sigmoids of what the others are above
    "adr_mse": (
        (1 - (1 + SIGMOID[1] + SIGMOID[-1])) ** 2
        + (2 - (1 + SIGMOID[-1] + SIGMOID[-2])) ** 2 / math.log2(3)
        + (3 - (1 + SIGMOID[1] + SIGMOID[2])) ** 2 / 2
    )
    / 3,
}

LISTS = [
    ([0.3, -1.2, 2.0, 0.7], [2.0, 2.0, 0.0, 1.0]),
    ([1.0, 1.5], [100.5, -3.0]),
    ([-0.4, 0.1, 4.0, -3.0, 0.6], [0.0, 7.0, 7.0, 1.5, 0.0]),
]


def test_every_loss_has_its_tests():
    assert set(LOSSES) == set(BY_LOOP) == set(BY_HAND)


@pytest.mark.parametrize("name", LOSSES)
def test_by_hand(name):
    loss = LOSSES[name](torch.tensor([1.0, 2.0, 0.0]), torch.tensor([2.0, 1.0, 0.0]))
    assert loss.item() == pytest.approx(BY_HAND[name], rel=1e-5)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize(("scores", "labels"), LISTS)
def test_a_loop_over_documents_gives_the_same(name, scores, labels):
    loss = LOSSES[name](torch.tensor(scores), torch.tensor(labels))
    assert loss.item() == pytest.approx(BY_LOOP[name](scores, labels), rel=1e-5)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize(("scale", "shift"), [(0.01, -5.0), (1000.0, 1e6)])
def test_the_teacher_s_scale_changes_nothing(name, scale, shift):
    scores, labels = torch.tensor([0.3, -1.2, 2.0, 0.7]), torch.tensor([4.0, 2.0, 2.0, 1.0], dtype=torch.float64)
    other = LOSSES[name](scores, scale * labels + shift)
    torch.testing.assert_close(other, LOSSES[name](scores, labels), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", LOSSES)
def test_the_order_of_the_documents_and_a_constant_on_the_scores_change_nothing(name):
    scores, labels = torch.tensor([0.3, -1.2, 2.0, 0.7]), torch.tensor([4.0, 2.0, 2.0, 1.0])
    places = [2, 0, 3, 1]
    expected = LOSSES[name](scores, labels)
    torch.testing.assert_close(LOSSES[name](scores[places], labels[places]), expected)
    torch.testing.assert_close(LOSSES[name](scores + 3, labels), expected)


@pytest.mark.parametrize("name", LOSSES)
def test_following_the_gradient_sorts_the_documents(name):
    scores, labels = torch.zeros(4, requires_grad=True), torch.tensor([0.0, 3.0, 1.0, 2.0])
    optimizer = torch.optim.SGD([scores], lr=0.3)
    for _ in range(60):
        optimizer.zero_grad()
        LOSSES[name](scores, labels).backward()
        optimizer.step()
    assert scores.argsort().tolist() == [0, 2, 3, 1]


@pytest.mark.parametrize("name", LOSSES)
def test_equal_labels_are_well_defined(name):
    scores = torch.tensor([1.0, 2.0], requires_grad=True)
    loss = LOSSES[name](scores, torch.ones(2))
    loss.backward()
    assert math.isfinite(loss.item()) and scores.grad.isfinite().all()
    if name in ("ranknet", "margin_mse", "lambda"):  # ties give no pair
        assert loss.item() == 0 and scores.grad.abs().sum() == 0


@pytest.mark.parametrize("name", ["ranknet", "lambda"])
def test_large_score_gaps_stay_finite(name):
    scores = torch.tensor([0.0, 1e4], requires_grad=True)
    LOSSES[name](scores, torch.tensor([1.0, 0.0])).backward()
    assert scores.grad.isfinite().all() and scores.grad[0] < 0 < scores.grad[1]


@pytest.mark.parametrize("loss", [ranknet, margin_mse])
def test_shapes_must_agree(loss):
    with pytest.raises(ValueError, match="must have one shape"):
        loss(torch.zeros(2), torch.zeros(3))


def library_loss(name: str, model: CrossEncoder):
    return {
        "ranknet": library.RankNetLoss(model, reduction_log="natural"),
        "listnet": library.ListNetLoss(model),
        "lambda": library.LambdaLoss(model),
        "adr_mse": library.ADRMSELoss(model),
    }[name]


DOCUMENTS = ["w1 w2", "w3", "w4 w5 w6"]


@pytest.fixture
def model(spread_start) -> CrossEncoder:
    return CrossEncoder(spread_start, activation_fn=torch.nn.Identity()).eval()


@pytest.mark.parametrize("name", ["ranknet", "listnet", "lambda", "adr_mse"])
def test_the_library_s_class_gives_the_same_of_a_model(model, name):
    scores = torch.tensor(model.predict([("the w1", document) for document in DOCUMENTS]))
    labels = torch.tensor([0.0, 4.0, 2.0])
    assert scores.std() > 0.3
    expected = library_loss(name, model)(
        [["the w1"], [DOCUMENTS]], [standardised(labels) if name == "listnet" else labels]
    )
    torch.testing.assert_close(LOSSES[name](scores, labels), expected.detach())


def test_the_library_s_margin_mse_over_all_pairs_is_ours(model):
    labels = standardised(torch.tensor([0.5, 4.0, 2.0]))
    better, worse = [1, 1, 2], [0, 2, 0]
    columns = [["the w1"] * 3, [DOCUMENTS[i] for i in better], [DOCUMENTS[i] for i in worse]]
    expected = library.MarginMSELoss(model)(columns, labels[better] - labels[worse])
    scores = torch.tensor(model.predict([("the w1", document) for document in DOCUMENTS]))
    torch.testing.assert_close(margin_mse(scores, labels), expected.detach())


def test_a_batch_is_the_mean_of_its_lists_times_their_weights():
    scores = torch.tensor([score for row, _ in LISTS for score in row])
    labels = [torch.tensor(row) for _, row in LISTS]
    one, two, three = (ranknet_by_loop(*row) for row in LISTS)
    assert mean_over_lists(ranknet, scores, labels).item() == pytest.approx((one + two + three) / 3)
    weighed = mean_over_lists(ranknet, scores, labels, [0.5, 2.0, 0.0])
    assert weighed.item() == pytest.approx((0.5 * one + 2 * two) / 3)


def test_standardised_labels_by_hand():
    assert standardised(torch.tensor([1.0, 3.0])).tolist() == [-1.0, 1.0]
    assert standardised(torch.tensor([5.0, 5.0])).tolist() == [0.0, 0.0]
    close = standardised(torch.tensor([1e6 + 1e-3, 1e6 + 3e-3], dtype=torch.float64))
    torch.testing.assert_close(close, torch.tensor([-1.0, 1.0]))


def test_grades_stand_at_equal_distances():
    assert grades(torch.tensor([-7.0, 0.1, 0.1, 900.0])).tolist() == [0.0, 2.0, 2.0, 4.0]
    assert grades(torch.tensor([3.0, 3.0])).tolist() == [0.0, 0.0]
