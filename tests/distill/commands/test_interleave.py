"""`distill interleave`, as a user types it."""

import json

import pytest

from distill.collections.trec import write_qrels, write_run


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Two runs and their judgments; B has the relevant document first."""
    monkeypatch.chdir(tmp_path)
    queries = [f"q{n}" for n in range(20)]
    write_qrels({query_id: {"d2": 1, "d4": 0} for query_id in queries}, tmp_path / "qrels")
    write_run({query_id: {f"d{n}": -float(n) for n in range(8)} for query_id in queries}, tmp_path / "a[red].run")
    write_run(
        {query_id: {f"d{n}": float(n == 2) - n / 9 for n in range(8)} for query_id in queries}, tmp_path / "b.run"
    )
    return tmp_path


SMALL = ("interleave", "a[red].run", "b.run", "--qrels", "qrels", "--sessions", 2000)


def test_the_better_run_is_preferred_and_everything_is_called_a_simulation(distill, files):
    code, shown, error = distill(*SMALL, "--json", "out.json")
    assert (code, error) == (0, "")
    assert shown.startswith("SIMULATION, no user was asked: team-draft interleaving of A = a[red].run and B = b.run")
    assert "20 judged queries (20 with results in both)" in shown
    written = json.loads((files / "out.json").read_text())
    assert written["simulation"] is True
    assert [result["model"] for result in written["results"]] == [
        "perfect", "navigational", "informational", "position_based",
    ]  # fmt: skip
    for result, model in zip(written["results"], written["models"], strict=True):
        assert result["simulation"] is True
        assert result["preference"]["low"] > 0.5 > result["p_value"]
        assert [entry["sessions"] for entry in result["sensitivity"]] == [100, 1000, 10000]
        assert f"{result['preference']['mean']:.3f}" in next(
            line for line in shown.splitlines() if model["name"] in line
        )
    assert written["judged_second"] == 2 / 8


def test_options_reach_the_simulation(distill, files):
    code, shown, _ = distill(*SMALL, "--model", "position_based", "--eta", 0, "--noise", 0, "--max-grade", 3,
                             "--size", 7, "--depth", 2, "--seed", 5, "--json", "out.json")  # fmt: skip
    assert code == 0
    written = json.loads((files / "out.json").read_text())
    assert written["models"] == [{"name": "position_based", "click": [0.0, 1 / 7, 3 / 7, 1.0], "eta": 0.0}]
    assert written["settings"]["sizes"] == [7]
    # B shows the relevant document first and A not at all, so only B's clicks are possible, one page in seven
    assert written["results"][0]["clicks_second"] == pytest.approx(1 / 7)
    assert written["results"][0]["wins_first"] == written["results"][0]["clicks_first"] == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--model", "cascade"), "--model 'cascade'; accepted are perfect, navigational, informational"),
        (("--max-grade", 51), "from 1 to 50, got 51"),
        (("--qrels", "none"), "none: no such file"),
        (("--qrels", "zero"), "the highest grade must be from 1"),
        (("--qrels", "other"), "none of the 1 judged queries has results in both runs"),
        (("--json", "qrels"), "qrels: exists already"),
        (
            ("--model", "perfect", "--qrels", "three", "--max-grade", 2),
            "three: grade 3; --max-grade says that no judge gave more than 2",
        ),
    ],
)
def test_faults_get_one_line_and_leave_nothing(distill, files, arguments, said):
    write_qrels({"q1": {"d1": 0}}, files / "zero")
    write_qrels({"x": {"d1": 1}}, files / "other")
    write_qrels({"q1": {"d1": 3}}, files / "three")
    before = sorted(path.name for path in files.iterdir())
    code, shown, error = distill(*SMALL, *arguments)
    assert (code, shown) == (2, "")
    assert said in error
    assert error.count("\n") == 1
    assert sorted(path.name for path in files.iterdir()) == before
