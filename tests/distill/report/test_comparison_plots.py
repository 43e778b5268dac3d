"""Where marks stand in the plots of a comparison, worked by hand, and intervals against scipy's."""

import math

import numpy as np
import pytest
from scipy import stats

from distill.evaluation.budget import Budget
from distill.evaluation.comparison import compare
from distill.report.comparison_plots import (
    MOST_BARS,
    agreement_panels,
    budget_field,
    depth_field,
    intervals_of_means,
    latency_field,
    query_bars,
    slice_panel,
    teacher_field,
)
from distill.report.plots import Scale
from tests.distill.report.dossiers import dossier


def test_a_scale_ends_at_round_numbers_and_holds_all_values():
    scale = Scale.around([0.0, 0.37, 0.63, math.nan])
    assert (scale.low, scale.high) == (0.0, 0.8) and scale.ticks == (0.0, 0.2, 0.4, 0.6, 0.8)
    assert [scale.at(value) for value in (0.0, 0.2, 0.8, 9.0, -9.0)] == pytest.approx([0, 25, 100, 100, 0])
    assert Scale.around([]).at(0.0) == pytest.approx(50)


def test_a_logarithmic_scale_gives_each_power_of_ten_the_same_room():
    scale = Scale.logarithmic([1.0, 10.0, 100.0])
    one, ten, hundred = (scale.at(value) for value in (1.0, 10.0, 100.0))
    assert ten - one == pytest.approx(hundred - ten) and one > 0 and hundred < 100
    assert {1.0, 10.0, 100.0} <= set(scale.ticks)
    assert len(Scale.logarithmic([0.01, 100_000.0]).ticks) == 8


def test_the_bars_are_the_queries_differences_from_gain_to_loss():
    given = dossier()
    plot, values = query_bars(given), given.comparison.values
    expected = sorted(values["teacher"]["nDCG@10"] - values["bm25"]["nDCG@10"], reverse=True)
    assert [bar.value for bar in plot.bars] == pytest.approx(expected)
    assert [bar.left for bar in plot.bars] == pytest.approx([2.5 * place for place in range(40)])
    # the first query is missing from the reference: its gain is the whole of the system's figure
    assert any(bar.tip.startswith("q000: +") and "(0.000 to " in bar.tip for bar in plot.bars)


def test_many_queries_share_bars():
    queries = 2 * MOST_BARS + 1
    qrels = {f"q{n}": {"a": 1, "b": 0} for n in range(queries)}
    # the better run gains 1 - 1/2 on every third query
    runs = {
        "first": {q: {"a": 0.0, "b": 1.0} if n % 3 == 0 else {"a": 1.0} for n, q in enumerate(qrels)},
        "second": {q: {"a": 1.0} for q in qrels},
    }
    from dataclasses import replace

    given = replace(
        dossier(), comparison=compare(runs, qrels, ["RR@10"], resamples=100), system="second", reference="first"
    )
    plot = query_bars(given)
    assert plot.grouped == 3 and len(plot.bars) == 267
    assert sum(bar.value for bar in plot.bars) * 3 == pytest.approx(267 * 0.5)
    assert plot.bars[0].tip.startswith("3 queries: +0.500 (0.500 to 1.000)")


def test_intervals_of_means_are_those_of_scipy():
    comparison = dossier().comparison
    found = intervals_of_means(comparison, 5000, 0)["student", "nDCG@10"]
    values = comparison.values["student"]["nDCG@10"]
    expected = stats.bootstrap(
        (values,), np.mean, n_resamples=5000, method="percentile", rng=np.random.default_rng(1)
    ).confidence_interval
    assert found.mean == pytest.approx(values.mean())
    # two bootstraps of 5,000 samples each
    assert (found.low, found.high) == pytest.approx(tuple(expected), abs=0.006)


def test_slices_stand_under_their_subject_with_their_size():
    panel = slice_panel(dossier())
    assert [(row.heading, row.label, row.queries, row.small) for row in panel.rows[:4]] == [
        ("", "all queries", 40, False),
        ("length", "short", 30, False),
        ("", "long", 10, True),
        ("other parts", "odd", 20, True),
    ]
    assert panel.rows[0].value == dossier().comparison.contrast("teacher", "bm25").difference


def test_a_pair_named_the_other_way_round_shows_the_opposite():
    given, turned = dossier(), dossier(system="bm25", reference="teacher")
    assert [row.value for row in slice_panel(turned).rows] == [-row.value for row in slice_panel(given).rows]
    assert query_bars(turned).bars[0].value == pytest.approx(-query_bars(given).bars[-1].value)


def test_what_was_not_measured_is_not_drawn():
    bare = dossier(agreements={}, facts={})
    assert depth_field(bare) is None and agreement_panels(bare) == []
    assert latency_field(bare, intervals_of_means(bare.comparison, 100, 0)) is None


def test_labels_are_a_line_a_student_over_level_lines_of_the_others():
    budgets = {"student": Budget(100, "encoder"), "teacher": Budget(10_000, "encoder")}
    given = dossier(budgets=budgets)
    intervals = intervals_of_means(given.comparison, 100, 0)
    plot = budget_field(given, intervals)
    (learned, level), comparison = plot.lines, given.comparison
    assert (learned.label, level.label) == ("encoder", "bm25")
    # 100 and 10,000 are equally far from the ends, which are at 62.5 and 16,000
    first, last = (point.across for point in learned.points)
    assert first == pytest.approx(100 - last) and 0 < first < last
    assert dict((label, place) for place, label in plot.across)["1,000"] == pytest.approx(50)
    for point, system in zip(learned.points, ("student", "teacher"), strict=True):
        assert 100 - point.up == pytest.approx(plot.up.at(comparison.mean(system, "nDCG@10")))
        assert 100 - point.low == pytest.approx(plot.up.at(intervals[system, "nDCG@10"].low))
    assert [(point.across, 100 - point.up) for point in level.points] == [
        (place, pytest.approx(plot.up.at(comparison.mean("bm25", "nDCG@10")))) for place in (0, 100)
    ]
    # one budget makes no line, nor do two of different students
    for few in ({"student": Budget(100, "a")}, {"student": Budget(100, "a"), "teacher": Budget(200, "b")}, {}):
        assert budget_field(dossier(budgets=few), intervals) is None


def test_the_ceiling_is_a_line_and_a_row():
    panel = agreement_panels(dossier())[0]
    assert panel.rows[-1].value == panel.line == dossier().ceiling.tau_b
    assert [row.value for row in panel.rows[:-1]] == [found.tau_b for found in dossier().agreements.values()]
    assert all(panel.line is None for panel in agreement_panels(dossier(ceiling=None)))


def test_documents_stand_where_both_scores_put_them():
    found = teacher_field(dossier(beside_teacher=[(-2.0, 2.0), (0.0, 0.0), (2.0, -2.0)]))
    # axes from -2 to 2; heights are counted from above
    assert [(point.across, point.up) for point in found.lines[0].points] == [(0, 0), (50, 50), (100, 100)]
    assert found.lines[0].label == dossier().system
    assert teacher_field(dossier(beside_teacher=())) is None
