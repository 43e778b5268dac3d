"""Mixing the heads' score with other opinions: the sum by hand, the weights on made-up opinions, and the judge."""

import json

import pytest
import torch

from teachers.baselines import WeightedHeads
from teachers.errors import TeacherError
from teachers.features import FeatureSettings
from teachers.head_scores import HeadReader
from teachers.heads import Head
from teachers.mixture import HEADS, MixedTeacher, Mixture, MixtureReport, fit_mixture
from teachers.prompt import PromptSettings
from teachers.teacher import HeadTeacher
from tests.teachers.conftest import build

PROMPT = PromptSettings(introduction="w100", instruction="w101", null_query="w103", max_document_words=6)
QUERY, DOCUMENTS = "w7 w8", ["w1 w2 w3", "w5 w6", "w7 w20 w21", "w30 w31 w32 w33"]


class ByLastWord:
    """Likes the document whose last word has the highest number."""

    def score_pairs(self, query, documents):
        return [float(document.split("w")[-1]) for document in documents]

    def describe(self):
        return {"rule": "last word"}


@pytest.fixture(scope="module")
def heads(tokenizer):
    reader = HeadReader(build("llama"), tokenizer, PROMPT, state_layer=1)
    ranker = WeightedHeads((Head(0, 1), Head(2, 3)), (1.0, -0.5), FeatureSettings(), "static_weights")
    return HeadTeacher(reader, ranker, {"reference": "tiny", "version": "1"})


@pytest.fixture(scope="module")
def mixed(heads):
    return MixedTeacher(heads, Mixture({HEADS: 0.25, "last_word": 2.0}), {"last_word": ByLastWord()})


def test_a_mixture_is_the_weighted_sum_of_z_scores():
    scores = {HEADS: torch.tensor([1.0, 2.0, 3.0]), "other": torch.tensor([5.0, 5.0, 5.0])}
    # the standard deviation of 1, 2, 3 is sqrt(2 / 3); an opinion without an opinion adds nothing
    step = 2.0 * (3 / 2) ** 0.5
    assert Mixture({HEADS: 2.0, "other": 7.0}).score(scores).tolist() == pytest.approx([-step, 0.0, step])


def test_weights_follow_what_each_opinion_knows():
    generator = torch.Generator().manual_seed(0)
    gains = torch.eye(10)[torch.randint(0, 10, (80,), generator=generator)]
    noise = [torch.randn(80, 10, generator=generator) for _ in range(3)]
    scores = {HEADS: list(gains + noise[0]), "sharp": list(3 * gains + noise[1]), "blind": list(noise[2])}
    mixture, report = fit_mixture(scores, gains.tolist(), folds=5, seed=0)
    assert mixture.weights["sharp"] > 2 * mixture.weights[HEADS] > 0
    assert abs(mixture.weights["blind"]) < 0.25 * mixture.weights["sharp"]
    assert report.alone["blind"] < report.alone[HEADS] < report.alone["sharp"] < report.mixed + 0.02
    assert report.queries == 80


def test_lists_may_differ_in_length():
    gains = [[1.0, 0.0, 0.0], [0.0, 1.0]] * 5
    scores = {HEADS: [torch.tensor([2.0, 1.0, 0.0]), torch.tensor([0.0, 1.0])] * 5}
    _, report = fit_mixture(scores, gains, folds=2, seed=0)
    assert report.mixed == report.alone[HEADS] == 1.0


def test_too_few_lists_are_refused():
    with pytest.raises(TeacherError, match="4 candidate lists hold a relevant document; a mixture takes at least 5"):
        fit_mixture({HEADS: [torch.tensor([1.0, 0.0])] * 4}, [[1.0, 0.0]] * 4, folds=5, seed=0)


def test_the_mixed_judge_adds_the_opinion_and_keeps_the_rest(heads, mixed):
    alone, judged = heads.judge(QUERY, DOCUMENTS), mixed.judge(QUERY, DOCUMENTS)
    columns = {
        HEADS: torch.tensor([row["score"] for row in alone]),
        "last_word": torch.tensor([3.0, 6.0, 21.0, 33.0]),
    }
    assert [row["score"] for row in judged] == pytest.approx(mixed.mixture.score(columns).tolist(), abs=1e-5)
    without = [{name: value for name, value in row.items() if name != "score"} for row in judged]
    assert without == [{name: value for name, value in row.items() if name != "score"} for row in alone]


def test_the_callers_order_changes_nothing(mixed):
    order = [2, 0, 0, 3, 1]
    straight = mixed.judge(QUERY, [*DOCUMENTS, DOCUMENTS[0]])
    assert mixed.judge(QUERY, [DOCUMENTS[i] for i in order]) == [straight[i] for i in order]


def test_a_list_read_before_gets_the_judges_scores(heads, mixed):
    read = heads.reader.read(QUERY, DOCUMENTS)
    scores = [row["score"] for row in mixed.judge(QUERY, DOCUMENTS)]
    assert mixed.score_read(QUERY, DOCUMENTS, read).tolist() == pytest.approx(scores, abs=1e-5)


def test_provenance_holds_weights_and_opinions(heads, mixed):
    described = mixed.describe()
    assert described["mixture"] == {HEADS: 0.25, "last_word": 2.0}
    assert described["opinions"] == {"last_word": {"rule": "last word"}}
    assert described["teacher"] == heads.describe()["teacher"]


def test_opinions_that_the_mixture_does_not_weigh_are_refused(heads):
    with pytest.raises(TeacherError, match="the mixture weighs heads; got heads, last_word"):
        MixedTeacher(heads, Mixture({HEADS: 1.0}), {"last_word": ByLastWord()})


def test_what_was_saved_weighs_the_same_when_it_is_read(tmp_path):
    weights = {HEADS: 0.1 + 0.2, "other": -7.0}
    Mixture(weights).save(tmp_path / "mixture.json", MixtureReport(3, {HEADS: 0.5, "other": 0.25}, 0.75))
    assert Mixture.load(tmp_path / "mixture.json").weights == weights
    assert json.loads((tmp_path / "mixture.json").read_text())["fit"]["mixed"] == 0.75


@pytest.mark.parametrize("content", ["{}", "[]", "not json", '{"weights": [1]}', '{"weights": {"heads": "much"}}'])
def test_a_damaged_file_is_named(tmp_path, content):
    (tmp_path / "mixture.json").write_text(content)
    with pytest.raises(TeacherError, match=r"mixture\.json: no mixture; expected is JSON"):
        Mixture.load(tmp_path / "mixture.json")


def test_an_absent_file_is_named(tmp_path):
    with pytest.raises(TeacherError, match=r"mixture\.json: no mixture can be read here \(No such file or directory\)"):
        Mixture.load(tmp_path / "mixture.json")
