"""`distill compare`, run as a user runs it."""

import csv
import json
import os

import pytest
import typer
from typer.testing import CliRunner

from distill.collections.collection import DataError
from distill.collections.trec import write_qrels, write_run
from distill.commands.compare import compare
from distill.evaluation.measures import evaluate, mean_measures


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Thirty judged queries of three documents: the relevant one is second in old.run, first in new.run but for one."""
    queries = [f"q{i:02}" for i in range(30)]
    write_qrels({query: {"a": 1, "b": 0} for query in queries}, tmp_path / "qrels")
    write_run({query: {"a": 1.0, "b": 2.0, "c": 0.5} for query in queries}, tmp_path / "old.run")
    write_run({query: {"a": 3.0, "b": 2.0, "c": 0.5} for query in queries[1:]}, tmp_path / "new.run")
    lines = [
        "query_id,market,often",
        *(f"{query},{'de' if query < 'q10' else 'kr'},{i}" for i, query in enumerate(queries)),
    ]
    (tmp_path / "columns.csv").write_text("\n".join(lines))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments, code=0):
    """What the command prints; an error of ours is raised, as `cli.main` would see it."""
    app = typer.Typer()
    app.command()(compare)
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if isinstance(result.exception, DataError):
        raise result.exception
    assert result.exit_code == code, result.output
    return result.output


def test_figures_are_those_of_evaluate_and_the_verdict_is_told(folder):
    output = run("old.run", "new.run", "--qrels", "qrels", "--out", "report", "--first-stage", "old")
    found = json.loads((folder / "report/comparison.json").read_text())
    # both runs have documents that are not judged, and new.run lacks a query
    assert found["means"]["old"]["RR@10"] == pytest.approx(1 / 2)
    assert found["means"]["new"]["RR@10"] == pytest.approx(29 / 30)
    assert found["facts"]["old"]["judged"] == pytest.approx(2 / 3)
    assert found["facts"]["new"]["judged"] == pytest.approx(29 / 30 * 2 / 3)
    assert found["absent"] == {"old": [], "new": ["q00"]}
    assert found["verdict"] in output and found["verdict"].startswith("new is better than old: nDCG@10 0.967 against")
    assert "new lacks 1 judged queries, which count as 0: q00" in output
    assert found["slices"] == {"all queries": 30, "first stage: relevant document in its first 10": 30}


def test_every_figure_of_every_query_is_written(folder):
    run("old.run", "new.run", "--qrels", "qrels", "--out", "report", "--measure", "P@1", "--measure", "AP")
    rows = list(csv.DictReader((folder / "report/per_query.csv").open(newline="")))
    assert len(rows) == 60
    assert rows[1] == {"query_id": "q00", "system": "new", "P@1": "0.0", "AP": "0.0"}
    assert rows[2] == {"query_id": "q01", "system": "old", "P@1": "0.0", "AP": "0.5"}
    contrasts = list(csv.DictReader((folder / "report/contrasts.csv").open(newline="")))
    assert [(row["measure"], row["wins"], row["losses"]) for row in contrasts] == [
        ("P@1", "29", "0"),
        ("AP", "29", "1"),
    ]


def test_columns_and_frequencies_make_slices(folder):
    run("old.run", "new.run", "--qrels", "qrels", "--out", "report", "--columns", "columns.csv", "--frequency", "often")
    slices = json.loads((folder / "report/comparison.json").read_text())["slices"]
    assert slices["market: de"] == 10 and slices["market: kr"] == 20
    assert slices["traffic: head"] + slices["traffic: torso"] + slices["traffic: tail"] == 30


def test_agreement_with_a_teacher_and_its_ceiling(folder):
    run("a=old.run", "b=new.run", "--qrels", "qrels", "--out", "report",
        "--teacher", "new.run", "--teacher-again", "old.run")  # fmt: skip
    found = json.loads((folder / "report/comparison.json").read_text())
    assert found["agreement_with_teacher"]["b"]["tau_b"] == pytest.approx(1)
    # b before a before c against a before b before c
    assert found["agreement_with_teacher"]["a"]["tau_b"] == pytest.approx(1 / 3)
    assert found["agreement_of_teacher_with_itself"]["top_1"] == 0


def test_a_path_may_hold_the_sign_that_ends_a_name(folder):
    (folder / "old.run").rename(folder / "k=5.run")
    run("k=5.run", "better=new.run", "b=k=5.run", "--qrels", "qrels", "--out", "report")
    means = json.loads((folder / "report/comparison.json").read_text())["means"]
    assert list(means) == ["k=5", "better", "b"] and means["k=5"] == means["b"]


def test_names_that_are_not_utf_8_are_shown_with_marks_in_their_place(folder):
    odd = os.fsdecode(b"l\xff")
    (folder / "new.run").rename(folder / f"{odd}.run")
    (folder / "qrels").rename(folder / odd)
    output = run("old.run", f"{odd}.run", "--qrels", odd, "--out", odd + "out", "--system", odd, "--title", odd)
    found = json.loads((folder / f"{odd}out" / "comparison.json").read_text())
    assert list(found["means"]) == ["old", "l\ufffd"]
    assert (found["system"], found["judgments"], found["title"]) == ("l\ufffd", "l\ufffd", "l\ufffd")
    assert output.splitlines()[-1] == "l\\udcffout: report.html, comparison.json, contrasts.csv, per_query.csv"
    rows = list(csv.DictReader((folder / f"{odd}out" / "per_query.csv").open(newline="")))
    assert {row["system"] for row in rows} == {"old", "l\ufffd"}
    run("old.run", f"{odd}.run", "--out", "sides")
    rows = list(csv.DictReader((folder / "sides" / "per_query.csv").open(newline="")))
    assert list(rows[0])[-2:] == ["old", "l\ufffd"]
    # a name of the user's choice may hold such a byte too, and two of them may then be one
    (folder / os.fsdecode(b"l\xfe.run")).symlink_to("old.run")
    with pytest.raises(DataError, match="two runs cannot both be called"):
        run(f"{odd}=old.run", os.fsdecode(b"l\xfe.run"), "--qrels", odd, "--out", "both")


def write_times(path, lengths):
    """What `distill latency` would write: a document takes 2 ms at the median, with each model."""
    figures = [
        {
            "model": model,
            "documents": documents,
            "seconds": [documents * s for s in (0.001, 0.002, 0.009)],
            "tokens": 9.0,
            "filled": 0,
        }
        for model, each in lengths.items()
        for documents in each
    ]
    path.write_text(json.dumps({"figures": figures, "memory": {}, "machine": {}}))


def test_times_are_those_of_the_longest_lists(folder):
    write_times(folder / "times.json", {"new": [10, 50], "unknown": [10, 50]})
    run("old.run", "new.run", "--qrels", "qrels", "--out", "report", "--latency", "times.json")
    facts = json.loads((folder / "report/comparison.json").read_text())["facts"]
    assert facts["new"]["milliseconds"] == pytest.approx(100) and facts["old"]["milliseconds"] is None
    with pytest.raises(DataError, match="times of new, unknown, none of which is called like a run: a, b"):
        run("a=old.run", "b=new.run", "--qrels", "qrels", "--out", "other", "--latency", "times.json")


def test_times_are_those_of_the_longest_lists_that_all_timed_runs_share(folder):
    # 100 documents are those of a model that is no run here, 50 of one run alone
    write_times(folder / "times.json", {"old": [10, 20], "new": [10, 20, 50], "unknown": [100]})
    run("old.run", "new.run", "--qrels", "qrels", "--out", "report", "--latency", "times.json")
    facts = json.loads((folder / "report/comparison.json").read_text())["facts"]
    assert facts["old"]["milliseconds"] == facts["new"]["milliseconds"] == pytest.approx(40)


def test_times_that_share_no_length_are_refused(folder):
    write_times(folder / "times.json", {"old": [10, 20], "new": [50]})
    with pytest.raises(DataError, match="times.json: no length .* timed on: new 50; old 10, 20 documents"):
        run("old.run", "new.run", "--qrels", "qrels", "--out", "report", "--latency", "times.json")


def test_labels_of_each_student_are_read_from_a_table(folder):
    (folder / "budgets.csv").write_text("run,lists\nold,100\nnew,300\n")
    run("old.run", "new.run", "--qrels", "qrels", "--out", "report", "--budget", "budgets.csv")
    found = json.loads((folder / "report/comparison.json").read_text())["budgets"]
    assert found == {"old": {"lists": 100, "student": "student"}, "new": {"lists": 300, "student": "student"}}
    assert "Quality against labels" in (folder / "report/report.html").read_text()


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        ("run,count\nold,1\n", r"budgets.csv:1: columns run, count; accepted are run, lists and, if you like, student"),
        ("", "budgets.csv:1: columns none; accepted are"),
        ("run,lists\nolder,1\n", "budgets.csv:2: run 'older' is none of old, new"),
        ("run,lists\nold,1\nold,2\n", "budgets.csv:3: run 'old' stands here a second time"),
        ("run,lists\nold,0\n", "budgets.csv:2: lists '0'; a whole number above 0"),
        ("run,lists\nold," + 5_000 * "9" + "\n", "budgets.csv:2: lists '99999999999999999999'; a whole number"),
        ("run,lists\nold,1e3\n", "budgets.csv:2: lists '1e3'; a whole number above 0"),
        ("run,lists\nold\n", "budgets.csv:2: cells: 1; the first line has 2"),
        ("run,lists\nold,1,2\n", "budgets.csv:2: cells: 3; the first line has 2"),
    ],
)
def test_a_wrong_table_of_labels_is_named_with_its_line(folder, table, problem):
    (folder / "budgets.csv").write_text(table)
    with pytest.raises(DataError, match=problem):
        run("old.run", "new.run", "--qrels", "qrels", "--out", "report", "--budget", "budgets.csv")
    assert not (folder / "report").exists()


def test_an_undefined_figure_is_null_and_not_a_word_that_json_lacks(folder):
    write_run({f"q{i:02}": {"a": 3.0} for i in range(30)}, folder / "short.run")
    run("old.run", "short.run", "--qrels", "qrels", "--out", "report", "--teacher", "short.run")
    text = (folder / "report/comparison.json").read_text()
    assert "NaN" not in text and "Infinity" not in text
    assert json.loads(text)["agreement_with_teacher"]["old"]["tau_b"] is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["old.run"], "old.run: one run; a comparison needs at least two"),
        (["old.run", "old.run"], "two runs cannot both be called 'old'; give one another NAME=PATH"),
        (["old.run", "new.run", "--system", "newer"], "--system 'newer': no run is called so; accepted are old, new"),
        (["old.run", "new.run", "--first-stage", "bm25"], "--first-stage 'bm25': no run is called so"),
        (["old.run", "new.run", "--system", "old"], "old cannot be compared with itself"),
        (["old.run", "new.run", "--columns", "columns.csv", "--frequency", "n"], "no column 'n'; there are market"),
        (["old.run", "new.run", "--measure", "DCG"], "measure 'DCG'"),
        (["old.run", "new.run", "--measure", "gm_map"], "measure 'gm_map' decides, as the first, and is no mean"),
        (["old.run", "new.run", "--measure", "AP", "--measure", "num_ret"], "measure num_ret is no mean over queries"),
        (["old.run", "new.run", "--columns", "none.csv"], "none.csv: no such file"),
        (["old.run", "new.run", "--columns", "others.csv"], "others.csv: none of its 1 queries is judged"),
        (["old.run", "new.run", "--columns", "columns.csv"], "columns.csv:1: column 'often' has 30 different values"),
        (["old.run", "new.run", "--columns", "clash.csv", "--first-stage", "old"],
         "column 'first stage': there is a slice 'first stage: relevant document in its first 10' already"),
        (["old.run", "new.run", "--teacher", "strange.run"], "old and the teacher's run share no query"),
        (["old.run", "z=strange.run"],
         "z=strange.run: it has none of the 30 judged queries of qrels; do run and judgments belong together?"),
        (["strange.run", "z=strange.run"], "strange.run: it has none of the 30 judged queries of qrels"),
        (["old.run", "new.run", "--qrels", "empty"], "empty: 0 judged queries; a comparison needs at least 2"),
    ],
)  # fmt: skip
def test_faults_are_named_before_anything_is_written(folder, arguments, message):
    (folder / "others.csv").write_text("query_id,market\nx,de\n")
    (folder / "clash.csv").write_text("query_id,first stage\nq01,relevant document in its first 10\n")
    (folder / "strange.run").write_text("x Q0 a 1 1.0 strange\n")
    (folder / "empty").write_text("")
    with pytest.raises(DataError) as error:
        run("--qrels", "qrels", *arguments, "--out", "report")
    assert message in str(error.value)
    assert not (folder / "report").exists()


def test_a_teacher_s_other_run_needs_the_teacher(folder):
    output = run("old.run", "new.run", "--qrels", "qrels", "--out", "report", "--teacher-again", "old.run", code=2)
    assert "give --teacher too" in " ".join(output.replace("│", " ").split())


def test_figures_of_ten_and_more_keep_their_zeros(folder):
    many = {f"q{i:02}": {f"d{n}": 1.0 for n in range(11)} | {"a": 2.0} for i in range(30)}
    write_run(many, folder / "many.run")
    # trec_eval's utility: relevant documents less the others, 1 - 11 and 1 - 2
    output = run("many.run", "old.run", "--qrels", "qrels", "--out", "report", "--measure", "utility")
    assert "-10.000" in output and "+9.000" in output


def test_a_pipe_gets_every_figure_of_many_measures(folder):
    name = "a_name_that_is_long_enough_to_take_the_room_of_several_columns_of_figures_or_even_more_of_them.run"
    (folder / "new.run").rename(folder / name)
    measures = ["nDCG@10", "RR@10", "AP", "judged@10", "iprec_at_recall_0.10", "success_10", "set_relative_P", "P@1"]
    asked = [text for measure in measures for text in ("--measure", measure)]
    output = run("old.run", name, "--qrels", "qrels", "--out", "report", *asked)
    # old.run has the one relevant of three documents, two of them judged, in the second place
    means = [".631", ".500", ".500", ".667", ".500", "1.000", "1.000", ".000"]
    row = next(line for line in output.splitlines() if line.startswith("│ old "))
    assert [cell.strip() for cell in row.split("│")[2:11]] == [*means, "67%"]
    assert all(f" {measure} " in output for measure in measures)


def test_side_by_side_leaves_nothing_of_the_comparison_that_stood_there(folder):
    run("old.run", "new.run", "--qrels", "qrels", "--out", "report")
    run("old.run", "new.run", "--out", "report", "--overwrite")
    assert sorted(path.name for path in (folder / "report").iterdir()) == ["per_query.csv", "report.html"]


def test_a_report_is_not_written_over_another(folder):
    run("old.run", "new.run", "--qrels", "qrels", "--out", "report")
    with pytest.raises(DataError, match=r"exists already"):
        run("old.run", "new.run", "--qrels", "qrels", "--out", "report")
    run("old.run", "new.run", "--qrels", "qrels", "--out", "report", "--overwrite")


def test_without_judgments_two_runs_are_set_side_by_side(folder):
    write_run({"q01": {"c": 3.0, "b": 2.0, "a": 1.0}, "q02": {"b": 2.0, "a": 1.0, "c": 0.5}}, folder / "other.run")
    output = run("old.run", "other.run", "--out", "report")
    assert "old and other, 2 queries without judgments" in output and "the same document first for 50%" in output
    rows = list(csv.DictReader((folder / "report/per_query.csv").open(newline="")))
    assert [(row["query_id"], row["old"], row["other"]) for row in rows] == [
        ("q01", "b a c", "c b a"),
        ("q02", "b a c", "b a c"),
    ]
    page = (folder / "report/report.html").read_text()
    assert "No judgments were given" in page and page.index("q01") < page.index("q02")
    with pytest.raises(DataError, match="exists already"):
        run("old.run", "other.run", "--out", "report")
    with pytest.raises(DataError, match="3 runs without judgments; two are set side by side"):
        run("old.run", "new.run", "other.run", "--out", "three")


@pytest.mark.parametrize(
    ("option", "value"), [("--measure", "AP"), ("--system", "new"), ("--columns", "columns.csv"), ("--title", "a")]
)
def test_what_needs_judgments_is_not_passed_over_without_them(folder, option, value):
    output = run("old.run", "new.run", "--out", "report", option, value, code=2)
    assert f"{option} need judgments: give --qrels, or --labels" in " ".join(output.replace("│", " ").split())
    assert not (folder / "report").exists()


def test_two_judged_queries_have_no_difference_that_would_show(folder):
    write_qrels({query: {"a": 1} for query in ("q00", "q01")}, folder / "few")
    output = run("old.run", "new.run", "--qrels", "few", "--out", "report")
    assert "No difference is shown" in output and "nan" not in output


def test_side_by_side_texts_stay_texts(folder):
    (folder / "data").mkdir()
    bad = "<script>alert(1)</script> \u202e {{ 7*7 }}"
    (folder / "data/corpus.jsonl").write_text("".join(json.dumps({"_id": i, "text": bad}) + "\n" for i in "abc"))
    (folder / "data/queries.jsonl").write_text(
        "".join(json.dumps({"_id": f"q{i:02}", "text": bad}) + "\n" for i in range(30))
    )
    run("old.run", "new.run", "--out", "report", "--collection", "data")
    page = (folder / "report/report.html").read_text()
    assert page.count("<script>") == 1 and "\u202e" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page and "{{ 7*7 }}" in page


def test_judgments_of_two_kinds_are_refused(folder):
    output = run("old.run", "new.run", "--qrels", "qrels", "--labels", ".", "--out", "report", code=2)
    assert "--labels" in output


def test_means_equal_evaluate(folder):
    from distill.collections.trec import read_qrels, read_run

    run("old.run", "new.run", "--qrels", "qrels", "--out", "report")
    found = json.loads((folder / "report/comparison.json").read_text())
    expected = mean_measures(evaluate(read_run(folder / "new.run"), read_qrels(folder / "qrels")))
    assert found["means"]["new"] == pytest.approx(expected)
