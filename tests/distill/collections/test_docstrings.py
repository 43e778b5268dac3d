"""The embedded collection: fair, split by package, and the same everywhere."""

import os
import re
import subprocess
import sys
from collections import Counter

import pytest
from pydantic import ValidationError

from distill.collections.collection import Collection, DataError
from distill.collections.docstrings import DocstringSettings, build_docstring_collection, write_query_log

SMALL = DocstringSettings(
    documents=150, train=10, dev=4, test=6, max_share=0.5,
    train_packages=("click", "joblib"), dev_packages=("jinja2",), test_packages=("requests", "fsspec", "not_there"),
)  # fmt: skip
BODY = "Common words stand here in the body {} and are followed by some more of them, so that it is long enough {}."


@pytest.fixture(scope="module")
def small():
    """A collection from a few small packages, in a second."""
    return build_docstring_collection(SMALL)


@pytest.fixture(scope="module")
def default():
    """The collection that the quickstart builds, from everything that is installed."""
    return build_docstring_collection()


def test_the_default_has_the_promised_sizes(default):
    assert len(default.documents) == 6000
    assert {split: len(qrels) for split, qrels in default.qrels.items()} == {"train": 200, "dev": 40, "test": 100}


def test_every_query_has_few_relevant_documents_and_its_own_among_them(default):
    for qrels in default.qrels.values():
        for query_id, judged in qrels.items():
            assert query_id.removeprefix("q:") in judged
            assert 1 <= len(judged) <= 5
            assert set(judged.values()) == {1}
            assert judged.keys() <= default.documents.keys()
    assert set(default.queries) == {query_id for qrels in default.qrels.values() for query_id in qrels}


def test_no_two_queries_ask_for_the_same_document(default):
    asked = Counter(doc_id for qrels in default.qrels.values() for judged in qrels.values() for doc_id in judged)
    for qrels in default.qrels.values():
        own = {query_id.removeprefix("q:") for query_id in qrels}
        assert all(asked[name] == 1 for name in own)


def test_test_queries_come_from_other_packages_than_training_queries(default):
    packages = {
        split: {default.query_metadata[query_id]["package"] for query_id in qrels}
        for split, qrels in default.qrels.items()
    }
    assert min(map(len, packages.values())) > 1
    assert not packages["train"] & packages["test"]
    assert not packages["dev"] & (packages["train"] | packages["test"])


def test_no_package_dominates_the_documents(default, small):
    counts = Counter(document.metadata["package"] for document in default.documents.values())
    assert max(counts.values()) <= 0.2 * len(default.documents)
    assert len(counts) >= 15
    capped = build_docstring_collection(SMALL.model_copy(update={"max_share": 0.1}))
    counts = Counter(document.metadata["package"] for document in capped.documents.values())
    extra = sum(len(judged) - 1 for qrels in capped.qrels.values() for judged in qrels.values())
    assert max(counts.values()) <= 15 + extra
    assert len(capped.documents) < len(small.documents)


def test_neither_query_nor_document_names_its_object_outright(default):
    for doc_id, document in default.documents.items():
        own = doc_id.rpartition(".")[2]
        if "_" in own:
            assert not re.search(rf"\b{own}\b", document.text), doc_id
    for query_id, query in default.queries.items():
        own = query_id.rpartition(".")[2]
        assert own.islower() and own.isalpha() or not re.search(rf"\b{own}\b", query), query_id


def test_titles_are_empty_and_metadata_is_complete(small):
    assert {document.title for document in small.documents.values()} == {""}
    for doc_id, document in small.documents.items():
        assert document.metadata["name"] == doc_id == document.doc_id
    assert {tuple(sorted(row)) for row in small.query_metadata.values()} == {("frequency", "package", "shares_name")}


def test_the_collection_is_the_same_in_another_process_whatever_its_hash_seed(small):
    code = (
        "from distill.collections.docstrings import *\n"
        f"settings = DocstringSettings.model_validate_json({SMALL.model_dump_json()!r})\n"
        "print(build_docstring_collection(settings).fingerprint())"
    )
    for seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        command = [sys.executable, "-c", code]
        found = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        assert found.stdout.strip() == small.fingerprint()


def test_unjudged_queries_are_added_without_changing_the_judged_ones(small):
    more = build_docstring_collection(SMALL.model_copy(update={"unjudged": 5}))
    assert more.qrels == small.qrels
    added = more.queries.keys() - small.queries.keys()
    assert len(added) == 5
    assert {more.query_metadata[query_id]["package"] for query_id in added} <= set(SMALL.train_packages)
    assert all(query_id.removeprefix("q:") in more.documents for query_id in added)


def test_another_seed_chooses_other_queries(small):
    other = build_docstring_collection(SMALL.model_copy(update={"seed": 1}))
    assert set(other.queries) != set(small.queries)
    assert len(other.documents) == len(small.documents) == 150


def write_package(folder, docstrings):
    """A package of one module whose functions have the given docstrings."""
    folder.mkdir()
    (folder / "__init__.py").touch()
    body = "".join(f'def {name}():\n    """{text}"""\n' for name, text in docstrings.items())
    (folder / "module.py").write_text(body)


@pytest.fixture
def made(tmp_path, monkeypatch):
    """Builds a collection with one test query per entry of an importable package."""
    monkeypatch.syspath_prepend(tmp_path)

    def build(docstrings, count):
        write_package(tmp_path / "made_up_package", docstrings)
        packages = {"train_packages": (), "dev_packages": (), "test_packages": ("made_up_package",)}
        return build_docstring_collection(
            DocstringSettings(documents=100, train=0, dev=0, test=count, max_share=1, **packages)
        )

    return build


def test_a_sentence_that_says_all_that_a_query_asks_makes_its_document_relevant(made):
    texts = {
        "total": "Return the sum of all masked values along one given axis.",
        "total_of_floats": "Return the sum of all masked float values along one given axis.",
        "largest": "Return the maximum of all masked values along one given axis.",
    }
    bodies = {name: f"{text}\n\n{BODY.format(name * 3, name[::-1])}\n\n{name} " * 2 for name, text in texts.items()}
    collection = made(bodies, 2)
    names = {doc_id.rpartition(".")[2] for doc_id in collection.documents}
    assert names == set(texts)
    judged = {
        query_id.rpartition(".")[2]: {doc_id.rpartition(".")[2] for doc_id in documents}
        for query_id, documents in collection.qrels["test"].items()
    }
    # The general query is answered by the special function too, never the other way round, and never by the maximum.
    expected = {"total": {"total", "total_of_floats"}, "total_of_floats": {"total_of_floats"}, "largest": {"largest"}}
    assert all(expected[name] == documents for name, documents in judged.items())
    assert "largest" in judged


def test_documents_that_say_nearly_the_same_are_one(made):
    long = " ".join(f"word{i} and" for i in range(30))
    texts = {"first": f"Do the first thing here.\n\n{long} one.", "second": f"Do it then once more.\n\n{long} two."}
    collection = made(texts, 1)
    assert list(collection.documents) == ["made_up_package.module.first"]


def test_too_few_queries_are_named(made):
    with pytest.raises(DataError, match="9 test queries asked for, but the installed packages hold 1"):
        made({"only": f"Do the only thing here.\n\n{BODY}"}, 9)


def test_a_package_in_two_splits_is_refused():
    with pytest.raises(ValidationError, match="package torch is named twice; a package belongs to one split"):
        DocstringSettings(dev_packages=("torch",))


def test_the_query_log_has_a_long_tail(default, tmp_path):
    write_query_log(default, tmp_path / "log.tsv")
    header, *rows = (tmp_path / "log.tsv").read_text(encoding="utf-8").splitlines()
    assert header == "query_id\tquery\tfrequency"
    assert [row.split("\t")[:2] for row in rows] == [[key, text] for key, text in default.queries.items()]
    frequencies = sorted((int(row.split("\t")[2]) for row in rows), reverse=True)
    # One query in k is asked k times or more: about half are asked once, and a few make most of the traffic.
    assert 0.35 < frequencies.count(1) / len(frequencies) < 0.65
    assert sum(frequencies[: len(frequencies) // 10]) > 0.4 * sum(frequencies)


def test_a_log_needs_frequencies_and_lines(tmp_path):
    with pytest.raises(DataError, match="query 'q' has frequency None"):
        write_query_log(Collection("tiny", {}, {"q": "text"}), tmp_path / "log.tsv")
    with pytest.raises(DataError, match="holds a tab or a line end"):
        write_query_log(Collection("tiny", {}, {"q": "a\tb"}, {}, {"q": {"frequency": 1}}), tmp_path / "log.tsv")
