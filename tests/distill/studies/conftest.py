"""Two small judged collections, and a teacher of a random decoder that has read them both."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from distill.collections.beir import read_beir, write_beir
from distill.collections.collection import Collection, Document
from distill.collections.trec import write_run


@pytest.fixture(scope="session")
def other_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """30 documents, 20 judged queries that ask with question words; ids and texts are no markup, whatever they hold."""
    chance = random.Random(1)
    documents = {
        f"<d{n}>": Document(f"<d{n}>", "", " ".join(f"word{chance.randrange(60, 120)}" for _ in range(10)))
        for n in range(30)
    }
    queries, qrels = {}, {"test": {}}
    for n in range(20):
        target = documents[f"<d{n}>"]
        start = ("how", "who", "<script>")[n % 3]
        queries[f"x{n}"] = f"{start} {' '.join(chance.sample(target.text.split(), 2 + n % 4))}"
        qrels["test"][f"x{n}"] = {target.doc_id: 1}
    folder = tmp_path_factory.mktemp("collection") / "<b>$other|"
    write_beir(Collection("other", documents, queries, qrels), folder)
    return folder


@pytest.fixture(scope="session")
def studied(beir_folder, other_folder, causal_folder, small_routehead, tmp_path_factory) -> tuple[object, ...]:
    """Arguments of a study of both collections, their head scores stored: the teacher's folder first."""
    from distill.first_stage import bm25_run
    from distill.recipe.settings import TeacherSection
    from distill.stages.candidates import top
    from distill.stages.teacher import fit_teacher
    from teachers.prompt import PromptSettings

    folder = tmp_path_factory.mktemp("studied")
    prompt = PromptSettings(max_document_words=100)
    section = TeacherSection(model=str(causal_folder), prompt=prompt, routehead=small_routehead)
    collection = read_beir(beir_folder)
    ranked = bm25_run(collection, collection.queries, 8)
    write_run(ranked, folder / "a.run")
    qrels = collection.split("train")
    fit_teacher(collection, top(ranked, qrels, 6), qrels, section, folder / "teacher", lambda done, total: None)
    other = read_beir(other_folder)
    write_run(bm25_run(other, other.queries, 8), folder / "b.run")
    first = ("--collection", beir_folder, "--run", folder / "a.run")
    second = ("--collection", other_folder, "--run", folder / "b.run")
    return (folder / "teacher", *first, *second, "--candidates", 6)
