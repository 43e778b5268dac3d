"""`distill teacher study` over stored head scores, on two small collections and a random decoder."""

import json
import re
import shutil
import struct
from dataclasses import replace

import pytest

from distill.studies.routing import joined, query_kinds

STUDIES = {
    "stability": ("--repeats", 3, "--queries", 2, "--queries", 4, "--held-out", 5),
    "layers": ("--folds", 2, "--timed-lists", 2),
    "redundancy": ("--folds", 2, "--pool", 16),
    "routing": ("--folds", 2, "--permutations", 19),
    "length": ("--folds", 2, "--size", 2, "--size", 6, "--limit", 12, "--order-lists", 6),
}


@pytest.fixture(scope="module")
def made(studied, tmp_path_factory):
    """The folder that all studies wrote into, each made once, with what it printed."""
    from typer.testing import CliRunner

    from distill.commands.study import app

    out, shown = tmp_path_factory.mktemp("studies"), {}
    for name, options in STUDIES.items():
        arguments = [name, *map(str, studied), "--out", str(out), *map(str, options)]
        result = CliRunner().invoke(app, arguments, catch_exceptions=False)
        assert result.exit_code == 0, result.output
        shown[name] = result.output
    return out, shown


@pytest.mark.parametrize("name", STUDIES)
def test_a_study_tells_its_figures_with_their_population(made, name):
    out, shown = made
    content = json.loads((out / f"{name}.json").read_text())
    assert content["question"].split()[0] in shown[name]
    assert 1 <= len(content["answer"]) <= 4
    facts = content["facts"]
    assert (facts["layers"], facts["model_layers"], facts["heads_per_layer"]) == (4, 4, 4)
    assert {entry["lists"] for entry in facts["collections"].values()} != {0}
    assert all("population" in entry and entry["candidates"] == 6 for entry in facts["collections"].values())
    for table in content["tables"]:
        assert table["rows"], table["title"]
        assert {len(row) for row in table["rows"]} == {len(table["columns"])}
    width, height = struct.unpack(">II", (out / f"{name}.png").read_bytes()[16:24])
    assert width > 800 and height > 500


def test_layers_beyond_the_teachers_depth_are_read_on_request(distill, studied, tmp_path):
    """A teacher of two of the model's four layers: the first table has all four, of the lists asked for."""
    shutil.copytree(studied[0], tmp_path / "teacher")
    told = json.loads((tmp_path / "teacher" / "teacher.json").read_text())
    told["settings"] |= {"depth": 2, "state_layer": 1}
    (tmp_path / "teacher" / "teacher.json").write_text(json.dumps(told))
    command = ("teacher", "study", "layers", tmp_path / "teacher", *studied[1:5], *studied[9:], "--limit", 12,
               "--folds", 2, "--timed-lists", 0, "--out", tmp_path)  # fmt: skip
    for options, layers, lists, said in (
        ((), 2, 12, "Layers from 2 on were not read"),
        (("--deeper-lists", 5, "--overwrite"), 4, 5, "read through all 4 layers on 5 lists"),
    ):
        code, shown, error = distill(*command, *options)
        assert code == 0, error
        assert said in " ".join(shown.split())
        content = json.loads((tmp_path / "layers.json").read_text())
        assert [row[1:3] for row in content["tables"][0]["rows"]] == [[lists, layer] for layer in range(layers)]
        assert content["facts"]["layers"] == 2
    (found,) = content["facts"]["found"].values()
    assert found["deeper"]["n"] == 5 and len(found["deeper"]["best"]) == 4


@pytest.mark.parametrize(
    ("study", "options", "said"),
    [
        ("layers", ("--deeper-lists", 3, "--folds", 5), "--deeper-lists leaves 3 lists, too few to be held out in 5"),
        (
            "length",
            ("--limit", 10, "--folds", 11, "--size", 3),
            "--limit leaves 10 lists, too few to be held out in 11",
        ),
    ],
)
def test_an_option_that_leaves_too_few_lists_for_the_folds_is_named(distill, studied, tmp_path, study, options, said):
    code, _, error = distill("teacher", "study", study, *studied, *options, "--out", tmp_path)
    assert code == 2 and f"{said} --folds" in " ".join(error.split())


@pytest.mark.parametrize(("folds", "twice"), [(2, 4), (5, 0)])
def test_heads_for_two_orders_are_found_on_lists_that_are_left(distill, studied, tmp_path, folds, twice):
    """Six lists, and all 25 that are read in a second order by default: as many as the folds stay behind."""
    code, _, error = distill("teacher", "study", "length", studied[0], *studied[1:5], *studied[9:], "--split", "dev",
                             "--size", 3, "--folds", folds, "--out", tmp_path)  # fmt: skip
    assert code == 0, error
    content = json.loads((tmp_path / "length.json").read_text())
    (entry,) = content["facts"]["collections"].values()
    assert entry["lists"] == 6
    (found,) = content["facts"]["found"].values()
    assert {orders["n"] for orders in found["orders"].values()} == ({twice} if twice else set())
    rows = content["tables"][2]["rows"]
    assert {row[1] for row in rows} == {twice}
    assert rows[0][3].startswith("one order" if twice else "one order only: too few lists")


@pytest.mark.parametrize(
    ("query", "tested", "said"),
    [
        (lambda n: " ".join(["who", *["is"] * (n % 5)]), ["number of words"], "in 0 of 1 tests|in 1 of 1 tests"),
        (lambda n: "who is", [], "No kind of query is tested"),
    ],
)
def test_queries_of_a_single_kind_are_studied_without_it(studied, tmp_path, query, tested, said):
    from distill.studies.material import StudySource, open_material
    from distill.studies.routing import routing
    from distill.studies.study import write_study
    from teachers.studies.routing import RoutingSettings

    def unseen(done, total, **_):
        pass

    source = StudySource(studied[0], studied[2], studied[4])
    material = open_material([source], None, 6, None, unseen)
    (entry,) = material.collections
    queries = {query_id: query(n) for n, query_id in enumerate(entry.candidates)}
    entry = replace(entry, collection=replace(entry.collection, queries=queries))
    settings = RoutingSettings(folds=2, permutations=19, epochs=1)
    found = routing(replace(material, collections=[entry]), settings, unseen)
    assert [test["kind"] for test in found.facts["tests"]] == tested
    assert re.search(said, found.answer[0])
    assert all(path.stat().st_size for path in write_study(found, tmp_path))


def test_texts_and_names_reach_no_page_unescaped(made):
    for name in STUDIES:
        page = (made[0] / f"{name}.md").read_text()
        assert "<b>" not in page and "<script>" not in page


def test_a_study_is_refused_before_its_work_where_its_files_stand(distill, studied, made):
    code, _, error = distill("teacher", "study", "layers", *studied, "--out", made[0])
    assert code == 2
    assert "layers.json: exists already" in " ".join(error.split())


def test_too_few_lists_for_samples_are_refused_by_name(distill, studied, tmp_path):
    code, _, error = distill("teacher", "study", "stability", *studied, "--out", tmp_path / "none")
    assert code == 2
    assert "lists with a relevant document; two samples of 10 queries and 50 held out need 70" in " ".join(
        error.split()
    )
    assert not (tmp_path / "none").exists()


def test_kinds_are_thirds_of_words_and_frequent_first_words(studied):
    from distill.studies.material import StudySource, open_material

    source = StudySource(studied[0], studied[6], studied[8])
    material = open_material([source], None, 6, None, lambda done, total, **_: None)
    kinds = query_kinds(material.collections[0])
    assert set(kinds["question word"]) == {"how ...", "who ...", "<script> ..."}
    for query, words in zip(material.collections[0].queries(), kinds["number of words"], strict=True):
        count = len(query.split())
        if words.startswith("to"):
            assert count <= int(words.split()[1])
        if words.startswith("over"):
            assert count > int(words.split()[1])
    lists = material.collections[0].lists()
    both = joined([lists, lists.take(range(4))])
    assert len(both) == len(lists) + 4
    assert both.features[-4:].equal(lists.features[:4])
