"""Click models, held against every way a user can behave, written out."""

from itertools import product

import numpy as np
import pytest

from distill.evaluation.click_models import MODELS, NOTHING, CascadeModel, PositionBasedModel, click_model, examination

SESSIONS = 200_000


def enumerated(model, grades):
    """Click probabilities of a cascade user, summed over all (attracted, leaves) of each position."""
    clicked = np.zeros(len(grades))
    for behaviour in product(product((True, False), repeat=2), repeat=len(grades)):
        chance, here = 1.0, []
        reading = True
        for grade, (attracted, leaves) in zip(grades, behaviour, strict=True):
            click, stop = (0.0, 0.0) if grade == NOTHING else (model.click[grade], model.stop[grade])
            chance *= (click if attracted else 1 - click) * (stop if leaves else 1 - stop)
            here.append(reading and attracted)
            reading = reading and not (attracted and leaves)
        clicked += chance * np.array(here)
    return clicked


def test_cascade_clicks_by_hand():
    model = CascadeModel("by hand", click=(0.5, 1.0), stop=(0.0, 0.8))
    # the first is clicked for certain and ends it for four in five; the second is half as likely, and ends nothing
    assert model.click_probabilities(np.array([[1, 0, 1]])) == pytest.approx(np.array([[1.0, 0.1, 0.2]]))


def test_cascade_clicks_are_those_of_every_behaviour_enumerated():
    model = click_model("navigational", 4)
    pages = np.array([[0, 4, 2, 1], [3, NOTHING, 0, 4], [NOTHING, NOTHING, NOTHING, NOTHING]])
    expected = [enumerated(model, page) for page in pages]
    assert model.click_probabilities(pages) == pytest.approx(np.array(expected))


def test_position_based_clicks_by_hand():
    model = PositionBasedModel("by hand", click=(0.2, 0.9), eta=2.0)
    found = model.click_probabilities(np.array([[1, 0, NOTHING, 1]]))
    assert found == pytest.approx(np.array([[0.9, 0.2 / 4, 0.0, 0.9 / 16]]))
    assert examination(4, eta=0.0).tolist() == [1.0] * 4


@pytest.mark.parametrize("name", MODELS)
def test_drawn_clicks_come_as_often_as_they_should(name):
    model = click_model(name, 2)
    page = np.array([0, 2, 1, NOTHING, 2])
    clicks = model.clicks(np.tile(page, (SESSIONS, 1)), np.random.default_rng(0))
    expected = model.click_probabilities(page[None])[0]
    error = np.sqrt(expected * (1 - expected) / SESSIONS)
    assert (np.abs(clicks.mean(axis=0) - expected) <= 4 * error).all()


def test_no_one_clicks_behind_where_they_left():
    model = CascadeModel("leaves", click=(0.5,), stop=(1.0,))
    clicks = model.clicks(np.zeros((2_000, 6), dtype=int), np.random.default_rng(0))
    assert clicks.sum(axis=1).max() == 1


@pytest.mark.parametrize(
    ("name", "max_grade", "click", "stop"),
    [
        ("perfect", 1, (0, 1), (0, 0)),
        ("perfect", 2, (0, 0.5, 1), (0, 0, 0)),
        ("navigational", 4, (0.05, 0.3, 0.5, 0.7, 0.95), (0.2, 0.3, 0.5, 0.7, 0.9)),
        ("informational", 2, (0.4, 0.7, 0.9), (0.1, 0.3, 0.5)),
        # four grades stand at 0, 4/3, 8/3 and 4 of the five
        ("navigational", 3, (0.05, 0.3 + 0.2 / 3, 0.5 + 0.4 / 3, 0.95), (0.2, 0.3 + 0.2 / 3, 0.5 + 0.4 / 3, 0.9)),
    ],
)
def test_standard_models_have_their_published_probabilities(name, max_grade, click, stop):
    model = click_model(name, max_grade)
    assert (model.click, model.stop) == (pytest.approx(click), pytest.approx(stop))


def test_position_based_attraction_grows_with_the_gain():
    # 2 ** grade - 1 over 7: 0, 1/7, 3/7, 1, between a tenth and one
    assert click_model("position_based", 3).click == pytest.approx((0.1, 0.1 + 0.9 / 7, 0.1 + 2.7 / 7, 1.0))


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: click_model("cascade", 1), "accepted are perfect, navigational"),
        (lambda: click_model("perfect", 0), "from 1 to 50, got 0"),
        (lambda: click_model("position_based", 1, noise=1.5), "noise must be from 0 to 1"),
        (lambda: click_model("position_based", 1, eta=-1), "eta must be at least 0"),
        (lambda: CascadeModel("x", (0.5,), (0.5, 0.5)), "1 click probabilities and 2"),
        (lambda: CascadeModel("x", (1.5,), (0.5,)), "from 0 to 1, got 1.5"),
        (
            lambda: click_model("perfect", 1).click_probabilities(np.array([[2]])),
            "grades 2 to 2; this model knows 0 to 1",
        ),
        (lambda: click_model("perfect", 1).click_probabilities(np.array([[-2]])), "grades -2"),
    ],
)
def test_what_is_no_model_is_refused(call, said):
    with pytest.raises(ValueError, match=said):
        call()
