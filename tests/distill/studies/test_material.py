"""Studies' material: judged lists as they stand in the store, and what is refused."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from distill.collections.collection import DataError
from distill.studies import material
from distill.studies.material import open_material, sources


@pytest.fixture
def parts(studied):
    """(teacher, collection, run) of both collections."""
    return [(studied[0], studied[2], studied[4]), (studied[0], studied[6], studied[8])]


def quiet(done, total, **_):
    pass


def opened(parts, splits=None, limit=None):
    return open_material([material.StudySource(*part) for part in parts], splits, 6, limit, quiet)


def test_scores_are_what_the_model_reads_and_are_read_once(parts, tmp_path):
    teacher = Path(shutil.copytree(parts[0][0], tmp_path / "teacher"))
    both = [(teacher, *part[1:]) for part in parts]
    found = opened(both)
    assert (found.layers, found.heads_per_layer, found.heads) == (4, 4, 16)
    for place, entry in enumerate(found.collections):
        query, documents = entry.texts()[3]
        again = found.reader(place).read(query, documents)
        torch.testing.assert_close(again.real, entry.scores[3].real)
    stored = {path: path.stat().st_mtime_ns for path in (teacher / "scores").iterdir()}
    assert [len(entry.scores) for entry in opened(both).collections] == [len(e.scores) for e in found.collections]
    assert {path: path.stat().st_mtime_ns for path in (teacher / "scores").iterdir()} == stored


def test_lists_hold_a_relevant_document_in_their_own_order(parts):
    entry = opened(parts[1:]).collections[0]
    lists = entry.lists()
    assert len(lists) == len(entry.scores) == len(entry.queries()) <= entry.judged == 20
    assert (lists.gains > 0).any(1).all()
    for row, (query_id, documents) in enumerate(entry.candidates.items()):
        expected = [float(entry.qrels[query_id].get(doc_id, 0)) for doc_id in documents]
        assert lists.gains[row, : len(expected)].tolist() == expected


def test_a_limit_draws_the_same_lists_each_time_and_keeps_their_order(parts):
    whole, some = opened(parts[:1]).collections[0], opened(parts[:1], limit=7).collections[0]
    assert len(some.scores) == 7
    assert list(some.candidates) == [query for query in whole.candidates if query in some.candidates]
    assert list(some.candidates) == list(opened(parts[:1], limit=7).collections[0].candidates)


def test_collections_of_one_name_are_told_apart(parts):
    found = opened([parts[0], parts[0], parts[0]], splits=["train"])
    first = found.collections[0].name
    assert [entry.name for entry in found.collections] == [first, f"{first} (2)", f"{first} (3)"]


def test_a_split_that_is_not_there_is_refused(parts):
    with pytest.raises(DataError, match="no split nothing; it has test"):
        opened(parts[1:], splits=["nothing"])


def test_a_split_that_only_one_collection_has_is_taken_there_and_a_mistyped_one_refused(parts):
    assert len(opened(parts, splits=["train", "test"]).collections) == 2
    with pytest.raises(DataError, match="--split tset: no collection has it; there are .*test"):
        opened(parts, splits=["train", "test", "tset"])


def test_teachers_of_two_depths_are_refused(parts, tmp_path):
    shallow = Path(shutil.copytree(parts[0][0], tmp_path / "shallow"))
    settings = json.loads((shallow / "teacher.json").read_text())
    settings["settings"]["depth"] = 3
    (shallow / "teacher.json").write_text(json.dumps(settings))
    with pytest.raises(DataError, match=r"shallow: depth is 3, but .* has None"):
        opened([parts[0], (shallow, *parts[1][1:])])


@pytest.mark.parametrize(
    ("teachers", "collections", "runs", "message"),
    [(1, 2, 1, "2 --collection and 1 --run"), (1, 0, 0, "0 --collection"), (3, 2, 2, "3 teachers for 2 collections")],
)
def test_numbers_that_do_not_fit_are_refused(teachers, collections, runs, message):
    with pytest.raises(DataError, match=message):
        sources([Path("t")] * teachers, [Path("c")] * collections, [Path("r")] * runs)


def test_one_teacher_serves_all_collections_and_several_go_in_order():
    a, b = Path("a"), Path("b")
    assert [source.teacher for source in sources([a], [a, b], [b, a])] == [a, a]
    assert [source.teacher for source in sources([a, b], [a, b], [b, a])] == [a, b]
