"""Propensities from files, and estimated from logs whose truth is known or whose answer is worked by hand."""

import re

import numpy as np
import pytest

from distill.collections.collection import DataError
from distill.evaluation.click_log import ClickLog
from distill.evaluation.propensities import estimate_propensities, read_propensities
from labeling import LabelingError


def log_of(rows):
    """Rows are (query, document, position, impressions, clicks)."""
    columns = list(zip(*rows, strict=True))
    numbers = (np.array(column, dtype=np.int64) for column in columns[2:])
    return ClickLog(list(columns[0]), list(columns[1]), *numbers, lines=len(rows))


def test_two_positions_by_hand():
    # of d, 400 and 100 clicks for as many impressions: position 2 is read a quarter as often; e and f say nothing
    rows = [("q", "d", 1, 1_000, 400), ("q", "d", 2, 1_000, 100), ("q", "e", 1, 500, 400), ("q", "f", 2, 9, 0)]
    found = estimate_propensities(log_of(rows))
    assert found.examination == pytest.approx((1.0, 0.25), rel=1e-4)
    assert found.source == "estimated from 500 clicks on 1 results shown at several positions"
    assert "chance moved" in found.assumed


def test_impressions_count_and_attractions_do_not():
    # one in ten of 2,000 against one in five of 1,000; and one in 20 of 4,000 against one in ten of 5,000
    rows = [("q", "d", 1, 2_000, 200), ("q", "d", 2, 1_000, 200), ("p", "d", 1, 4_000, 200), ("p", "d", 2, 5_000, 500)]
    assert estimate_propensities(log_of(rows)).examination == pytest.approx((0.5, 1.0), rel=1e-4)


def test_shuffled_pages_tell_how_they_were_read():
    generator = np.random.default_rng(0)
    truth, rows = np.array([1.0, 0.6, 0.45, 0.2]), {}
    for query in range(60):
        attraction = generator.random(8)
        for _ in range(150):
            for place, document in enumerate(generator.permutation(8)[:4]):
                entry = rows.setdefault((f"q{query}", f"d{document}", place + 1), [0, 0])
                entry[0] += 1
                entry[1] += generator.random() < truth[place] * attraction[document]
    found = estimate_propensities(log_of([(*key, *entry) for key, entry in sorted(rows.items())]))
    # about 4,500 shown and 2,200 clicked at the first position, fewer below: errors of some 3 to 5 %
    assert found.examination == pytest.approx(tuple(truth), rel=0.12)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        # every document stands where it always stands
        ([("q", "d", 1, 900, 400), ("q", "e", 2, 900, 300)], "position 1 has 0 clicks on documents also shown at"),
        ([("q", "d", 1, 900, 400), ("q", "d", 2, 900, 99)], "position 2 has 99 clicks .*, 100 are needed"),
        # documents move within 1 and 2, and within 3 and 4
        (
            [("q", "d", 1, 900, 400), ("q", "d", 2, 900, 300), ("q", "e", 3, 900, 200), ("q", "e", 4, 900, 100)],
            "the positions fall into 2 groups",
        ),
        # an array of so many positions would take hundreds of gigabytes
        (
            [("q", "d", 1, 900, 200), ("q", "d", 10**11, 900, 200)],
            "2 results, the last of them at position 100000000000",
        ),
        # d is never clicked at 1, e never at 2: any share is as good as another
        (
            [("q", "d", 1, 900, 200), ("q", "d", 2, 900, 200), ("q", "e", 3, 900, 200), ("q", "e", 2, 900, 0)],
            "the positions fall into 2 groups",
        ),
    ],
)
def test_what_a_log_does_not_tell_is_not_guessed(rows, said):
    with pytest.raises(DataError, match=f"propensities cannot be estimated: .*{said}"):
        estimate_propensities(log_of(rows))


def test_propensities_are_read_in_order_of_position(tmp_path):
    path = tmp_path / "p.csv"
    path.write_text("note,propensity,position\n,0.5,2\n,1,1\n,3e-1,3\n")
    found = read_propensities(path)
    assert found.examination == (1.0, 0.5, 0.3)
    assert found.source == "p.csv"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("position,propensity\n1,0\n", "p.csv:2: propensity '0'; a number above 0 and up to 1 is accepted"),
        ("position,propensity\n1,1.1\n", "p.csv:2: propensity '1.1'"),
        ("position,propensity\n1,nan\n", "p.csv:2: propensity 'nan'"),
        ("position,propensity\n1,high\n", "p.csv:2: propensity 'high'"),
        ("position,propensity\n1,1\n1,1\n", "p.csv:3: position 1 comes twice"),
        ("position,propensity\n0,1\n", "p.csv:2: position '0'; whole numbers from 1"),
        ("position,propensity\n1,1\n3,1\n", "no propensity for position 2; each one from 1 to the last is needed"),
        ("position,propensity\n", "no propensity for position 1"),
        ("rank,propensity\n1,1\n", "no column 'position'"),
    ],
)
def test_a_bad_file_is_named(tmp_path, content, said):
    path = tmp_path / "p.csv"
    path.write_text(content)
    with pytest.raises((DataError, LabelingError), match=re.escape(said)):
        read_propensities(path)
