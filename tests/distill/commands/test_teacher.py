"""`distill teacher` after a fit: what it measures and what it shows, on a small collection and a random decoder."""

import json
import shutil
import struct

import pytest
import torch
from safetensors.torch import load_file, save_file

from distill.collections.beir import read_beir
from distill.collections.trec import read_run, write_run
from distill.evaluation.measures import evaluate
from distill.stages.candidates import top
from distill.stages.teacher import fit_teacher, read_section
from labeling.formats import label_lists
from labeling.shards import Shard

LISTS = ("--limit", 16, "--candidates", 6)


@pytest.fixture(scope="module")
def house(beir_folder, causal_folder, small_routehead, tmp_path_factory):
    """A first stage and a fitted teacher, made once: the arguments that name the collection, and the teacher."""
    from distill.first_stage import bm25_run
    from distill.recipe.settings import TeacherSection
    from teachers.prompt import PromptSettings

    folder = tmp_path_factory.mktemp("house")
    collection = read_beir(beir_folder)
    ranked = bm25_run(collection, collection.queries, 8)
    write_run(ranked, folder / "bm25.run")
    qrels = collection.split("train")
    section = TeacherSection(
        model=str(causal_folder), prompt=PromptSettings(max_document_words=100), routehead=small_routehead
    )
    lists = top(ranked, list(qrels)[:16], 6)
    fit_teacher(collection, lists, qrels, section, folder / "teacher", lambda done, total: None)
    return ("--collection", beir_folder, "--run", folder / "bm25.run"), folder / "teacher"


def test_other_weights_of_the_same_shape_are_read_anew(house, beir_folder, causal_folder, small_routehead, tmp_path):
    arguments, first = house
    tuned = tmp_path / "tuned"
    shutil.copytree(causal_folder, tuned)
    weights = load_file(tuned / "model.safetensors")
    generator = torch.Generator().manual_seed(1)
    mixed = {name: torch.randn(tensor.shape, generator=generator) for name, tensor in weights.items()}
    save_file(mixed, tuned / "model.safetensors", metadata={"format": "pt"})
    collection, run = read_beir(beir_folder), read_run(arguments[3])
    qrels = collection.split("train")
    lists = top(run, list(qrels)[:16], 6)
    section = read_section(first).model_copy(update={"model": str(tuned)})
    used, fresh = tmp_path / "used", tmp_path / "fresh"
    shutil.copytree(first, used)
    for folder in (used, fresh):
        fit_teacher(collection, lists, qrels, section, folder, lambda done, total: None)
    learned = [json.loads((folder / "static_weights.json").read_text()) for folder in (first, used, fresh)]
    assert learned[1] == learned[2] != learned[0]


def test_evaluate_writes_the_runs_that_its_figures_come_from(distill, house, encoder_folder, beir_folder, tmp_path):
    arguments, teacher = house
    out = tmp_path / "evaluated"
    stored = sorted(path.stat().st_mtime_ns for path in (teacher / "scores").iterdir())
    command = ("teacher", "evaluate", teacher, *arguments, *LISTS, "--folds", 4, "--pre-ranker", encoder_folder)
    code, shown, _ = distill(*command, "--out", out)
    assert code == 0
    assert all(name in shown for name in ("first_stage", "contrastive_heads", "oracle_heads"))
    assert sorted(path.stat().st_mtime_ns for path in (teacher / "scores").iterdir()) == stored
    content = json.loads((out / "evaluation.json").read_text())
    assert content["judged"] == 16
    assert {"pre_ranker", "routehead+first_stage", "routehead+first_stage+pre_ranker"} <= set(content["methods"])
    assert content["methods"]["static_weights"]["difference"]["p_value"] == 1.0
    train = read_beir(beir_folder).split("train")
    qrels = {query_id: train[query_id] for query_id in list(train)[:16]}
    for name, row in content["methods"].items():
        values = [figures["nDCG@10"] for figures in evaluate(read_run(out / "runs" / f"{name}.run"), qrels).values()]
        assert row["judged"]["mean"] == pytest.approx(sum(values) / 16), name
    assert distill(*command, "--out", out)[0] == 2


def test_inspect_shows_the_heads_and_draws_their_map(distill, house, tmp_path):
    arguments, teacher = house
    code, _, error = distill("teacher", "inspect", teacher, *arguments, *LISTS, "--map", tmp_path / "map.txt")
    assert code == 2 and "map.txt: a PNG file is written" in error
    code, shown, _ = distill("teacher", "inspect", teacher, *arguments, *LISTS, "--map", tmp_path / "map.png")
    assert code == 0
    assert "16 heads are used over 16 queries" in shown
    content = (tmp_path / "map.png").read_bytes()
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", content[16:24])
    assert width > 100 and height > 100


def test_inspect_shows_what_was_looked_at_in_one_document(distill, house):
    arguments, teacher = house
    run = read_run(arguments[3])
    document = next(iter(run["q0"]))
    code, shown, _ = distill("teacher", "inspect", teacher, *arguments, "--query", "q0", "--document", document)
    assert code == 0
    assert "words by attention" in shown
    text = read_beir(arguments[1]).text(document)
    assert all(word in shown for word in text.split())
    code, shown, _ = distill("teacher", "inspect", teacher, *arguments, "--query", "q0", "--method", "static_heads")
    assert code == 0
    assert "heads: " in shown


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (("--query", "nobody"), "the run has no candidates for query 'nobody'"),
        (("--query", "q0", "--document", "nothing"), "'nothing' is none of the"),
        (("--document", "d0"), "needs --query"),
    ],
)
def test_inspect_names_what_it_does_not_find(distill, house, wanted, message):
    arguments, teacher = house
    code, _, error = distill("teacher", "inspect", teacher, *arguments, *wanted)
    assert code == 2
    assert message in " ".join(error.split())


def test_a_stronger_ranking_teaches_where_there_are_no_judgments(distill, house, causal_folder, tmp_path):
    arguments, _ = house
    run = read_run(arguments[3])
    # the last of each list first: a fit on this ranking must turn the first stage round
    turned = {q: {doc_id: -score for doc_id, score in list(scores.items())[:6]} for q, scores in run.items()}
    write_run(turned, tmp_path / "strong.run")
    fit = ("teacher", "fit", *arguments, "--model", causal_folder, "--candidates", 6, "--limit", 20)
    ranking = ("--ranking", tmp_path / "strong.run", "--relevant", 2, "--mix-first-stage")
    reading = ("--orders", 2, "--window-tokens", 4000)
    code, shown, _ = distill(*fit, *ranking, *reading, "--out", tmp_path / "teacher")
    assert code == 0
    prompt = json.loads((tmp_path / "teacher" / "teacher.json").read_text())["settings"]["prompt"]
    assert (prompt["orders"], prompt["window_tokens"]) == (2, 4000)
    assert "fitted on 20 of 20 lists" in shown
    mixture = json.loads((tmp_path / "teacher" / "mixture.json").read_text())
    assert mixture["weights"]["first_stage"] < 0
    # a finished teacher is not fitted anew by chance: labels may stand on it
    before = (tmp_path / "teacher" / "teacher.json").read_bytes()
    code, _, error = distill(*fit, *ranking, "--out", tmp_path / "teacher")
    assert code == 2
    assert "holds a teacher already; give a new folder, or pass --overwrite" in error
    assert (tmp_path / "teacher" / "teacher.json").read_bytes() == before
    code, shown, _ = distill(*fit, *ranking, *reading, "--overwrite", "--out", tmp_path / "teacher")
    assert code == 0
    assert (tmp_path / "teacher" / "teacher.json").read_bytes() == before


def test_a_fit_that_is_cut_off_leaves_no_teacher_of_two_fits(house, beir_folder, monkeypatch, tmp_path):
    collection, section = read_beir(beir_folder), read_section(house[1])
    lists = top(read_run(house[0][3]), list(collection.qrels["train"])[:16], 6)
    (tmp_path / "teacher.json").write_text("of the fit before")

    def cut_off(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("teachers.routehead.RouteHead.save", cut_off)
    with pytest.raises(KeyboardInterrupt):
        fit_teacher(collection, lists, collection.qrels["train"], section, tmp_path, lambda done, total: None)
    assert not (tmp_path / "teacher.json").exists()


def test_every_judged_query_gets_labels_of_a_teacher_that_left_it_out(
    distill, house, beir_folder, causal_folder, tmp_path
):
    arguments, _ = house
    judged = set(read_beir(beir_folder).split("train")) & read_run(arguments[3]).keys()
    (tmp_path / "judged.txt").write_text("\n".join(sorted(judged)))
    labelled = []
    for share in ("1/2", "2/2"):
        teacher, labels = tmp_path / f"teacher{share[0]}", tmp_path / f"labels{share[0]}"
        code, _, error = distill("teacher", "fit", *arguments, "--out", teacher, "--model", causal_folder,
                                 "--candidates", 6, "--leave-out", share, "--scores", tmp_path / "scores")  # fmt: skip
        assert code == 0, error
        code, _, error = distill("label", *arguments, "--queries", tmp_path / "judged.txt", "--teacher", teacher,
                                 "--candidates", 6, "--no-evidence", "--out", labels)  # fmt: skip
        assert code == 0, error
        labelled.append({entry.query_id for entry in label_lists(labels)})
        assert labelled[-1] == set(filter(Shard.parse(share).holds, judged))
        assert labelled[-1] == judged - set(json.loads((teacher / "teacher.json").read_text())["fitted_on"])
        assert not (teacher / "scores").exists()
    assert not labelled[0] & labelled[1] and labelled[0] | labelled[1] == judged
    # both fits have read their lists into the one folder, and a third finds them there
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "scores").iterdir()}
    code, _, error = distill("teacher", "fit", *arguments, "--out", tmp_path / "all", "--model", causal_folder,
                             "--candidates", 6, "--scores", tmp_path / "scores")  # fmt: skip
    assert code == 0, error
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "scores").iterdir()} == before


def test_a_share_that_is_none_is_refused(distill, house, causal_folder, tmp_path):
    code, _, error = distill("teacher", "fit", *house[0], "--out", tmp_path / "teacher", "--model", causal_folder,
                             "--leave-out", "4/3")  # fmt: skip
    assert code == 2
    assert "a share is written I/N with I from 1 to N, as in 3/8; got '4/3'" in error
