"""`distill counterfactual`, as a user types it."""

import json

import numpy as np
import pytest

from distill.collections.trec import write_run

MAP = "query=qid,document=doc,position=rank,clicked=click"


@pytest.fixture
def files(tmp_path, monkeypatch):
    """A log of shuffled pages whose readers reach position 2 half as often, its propensities, and two runs."""
    monkeypatch.chdir(tmp_path)
    generator = np.random.default_rng(0)
    lines = ["qid,doc,rank,click,note"]
    for _ in range(2_000):
        query = generator.integers(10)
        for place, document in enumerate(generator.permutation(2).tolist()):
            clicked = generator.random() < (0.8, 0.2)[document] / (place + 1)
            lines.append(f'q{query},d{document},{place + 1},{int(clicked)},"a, note"')
    (tmp_path / "log.csv").write_text("\n".join(lines) + "\n")
    (tmp_path / "p.csv").write_text("position,propensity\n1,1\n2,0.5\n")
    for name, scores in (("good[1].run", {"d0": 2.0, "d1": 1.0}), ("poor.run", {"d1": 2.0, "d0": 1.0})):
        write_run({f"q{query}": scores for query in range(10)}, tmp_path / name)
    return tmp_path


LOGGED = ("counterfactual", "good[1].run", "poor.run", "--log", "log.csv", "--map", MAP)


@pytest.mark.parametrize("source", [("--propensities", "p.csv"), ("--randomised",)])
def test_the_values_are_the_truth_within_their_intervals(distill, files, source):
    code, shown, error = distill(*LOGGED, *source, "--json", "out.json")
    assert (code, error) == (0, "")
    written = json.loads((files / "out.json").read_text())
    good, poor = written["rankings"]
    assert good["name"] == "good[1].run"
    # d0 first: .8 + .2 / 2 clicks a page; d1 first: .2 + .8 / 2; of attraction 1 that is as much reach
    for ranking, truth in ((good, 0.9), (poor, 0.6)):
        assert ranking["clicks_per_page"]["mean"] == pytest.approx(truth, rel=0.06)
        assert ranking["reach"]["mean"] == pytest.approx(truth, rel=0.06)
        assert ranking["name"] in shown
    assert poor["over_first"]["high"] < 0 < good["over_logged"]["low"]
    assert (written["lines"], written["pages"], good["covered"]) == (4_000, 2_000, 1.0)
    assert written["propensities"]["examination"] == pytest.approx([1, 0.5], rel=0.08)
    assert "reading depends on the position alone" in " ".join(shown.split())


def test_a_refused_run_gets_no_figures_and_the_command_says_so(distill, files):
    write_run({f"q{query}": {"d0": 1.0} for query in range(2)}, files / "thin.run")
    code, shown, error = distill(
        *LOGGED, "thin.run", "--propensities", "p.csv", "--min-effective", 300, "--json", "out.json"
    )
    assert code == 2
    assert error.startswith("error: thin.run: REFUSED: effective sample size ")
    assert error.endswith("300 are needed\n")
    assert error.count("\n") == 1
    assert "REFUSED" in next(line for line in shown.splitlines() if "thin.run" in line)
    refused = json.loads((files / "out.json").read_text())["rankings"][2]
    assert refused["clicks_per_page"] is refused["reach"] is None


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "give --propensities FILE, or --randomised if chance moved results in this log"),
        (("--propensities", "p.csv", "--randomised"), "give --propensities FILE, or --randomised"),
        (("--propensities", "none.csv"), "none.csv: no such file"),
        (("--propensities", "p.csv", "--map", "query=qid,rank=rank"), "column map: 'rank=rank'; accepted is each of"),
        (("--propensities", "p.csv", "--map", "query=q"), "log.csv: no column 'q'; there are 'qid'"),
        (("--propensities", "p.csv", "--log", "bad.csv"), "bad.csv:2: rank 'top'; whole numbers from 1"),
        (("--propensities", "p.csv", "--depth", 3), "depth 3; there are propensities for 2 positions"),
        (("--propensities", "p.csv", "--json", "p.csv"), "p.csv: exists already"),
    ],
)
def test_faults_get_one_line_and_leave_nothing(distill, files, arguments, said):
    (files / "bad.csv").write_text("qid,doc,rank,click\nq1,d0,top,1\n")
    before = sorted(path.name for path in files.iterdir())
    code, shown, error = distill(*LOGGED, *arguments)
    assert (code, shown) == (2, "")
    assert said in error
    assert error.count("\n") == 1
    assert sorted(path.name for path in files.iterdir()) == before
