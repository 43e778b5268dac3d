"""A query log in Korean that nobody has judged, from the log to exported students, with tiny random models."""

from __future__ import annotations

import csv
import html
import io
import json
import random
import shutil
from pathlib import Path

import pytest
import yaml
from rich.console import Console
from scipy.stats import kendalltau
from tokenizers import Tokenizer, models, pre_tokenizers
from tokenizers.processors import TemplateProcessing
from transformers import AutoModel, AutoModelForCausalLM, PreTrainedTokenizerFast

from distill.collections.beir import read_beir, write_beir
from distill.collections.collection import Collection, DataError, Document
from distill.collections.trec import read_run, write_run
from distill.commands.tables import metrics_table
from distill.pipeline import run_recipe
from distill.recipe.file import load_recipe
from distill.stages.finished_run import open_finished
from distill.steps import read_metrics
from labeling.formats import label_lists
from teachers.baselines import equal_weights
from teachers.heads import Head

NOUNS = [
    "고양이", "학교", "바다", "나무", "도서", "음악", "연필", "시장", "병원", "구름",
    "친구", "자전거", "사과", "시계", "편지", "우산", "지도", "동물", "강아지", "기차",
]  # fmt: skip
VERBS = ["보았다", "읽었다", "만났다", "들었다", "지났다"]
PARTICLES = ("", "는", "은", "를", "을", "에서")
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
HEAD_QUERIES = 3
STAGES = [
    "collection", "first_stage", "teacher", "labels", "held_out", "encoder", "evaluation", "export/encoder",
]  # fmt: skip


def tokenizer(**special):
    written = [noun + particle for noun in NOUNS for particle in PARTICLES]
    words = [*SPECIAL, ".", ":", "[", "]", *map(str, range(1, 30)), *written, *VERBS]
    plain = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="[UNK]"))
    plain.pre_tokenizer = pre_tokenizers.Whitespace()
    made = PreTrainedTokenizerFast(tokenizer_object=plain, unk_token="[UNK]", model_max_length=64, **special)
    return made, len(words)


@pytest.fixture(scope="module")
def models_folder(tmp_path_factory, causal_folder, encoder_folder):
    """The tiny models of the house with Korean words."""
    folder = tmp_path_factory.mktemp("korean models")
    for name, place, kind in (
        ("decoder", causal_folder, AutoModelForCausalLM), ("encoder", encoder_folder, AutoModel),
    ):  # fmt: skip
        special = {"pad_token": "[PAD]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
        if name == "decoder":
            special = {"eos_token": "[SEP]", "pad_token": "[SEP]", "bos_token": "[CLS]"}
        made, count = tokenizer(**special)
        model = kind.from_pretrained(place)
        model.resize_token_embeddings(count, mean_resizing=False)
        if name == "encoder":
            made.backend_tokenizer.post_processor = TemplateProcessing(
                single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
            )
        model.save_pretrained(folder / name)
        made.save_pretrained(folder / name)
    return folder


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    """Documents, a log of queries without particles, and heads as another model's fit would leave them."""
    folder, chance = tmp_path_factory.mktemp("korean"), random.Random(0)
    documents = {}
    for number in range(30):
        one, two, three = chance.sample(NOUNS, 3)
        text = f"{one}는 {two}에서 {chance.choice(VERBS)}. {three}를 {chance.choice(VERBS)}."
        documents[f"d{number}"] = Document(f"d{number}", "", text)
    write_beir(Collection("korean", documents, {}), folder / "beir")
    (folder / "beir" / "queries.jsonl").unlink()
    queries = {" ".join(chance.sample(NOUNS, 2)) for _ in range(40)}
    with (folder / "log.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["검색어", "횟수"])
        for place, query in enumerate(sorted(queries)):
            table.writerow([query, 1_000 if place < HEAD_QUERIES else 1 + place % 5])
    equal_weights([Head(1, 2), Head(2, 0), Head(2, 3)]).save(folder / "heads.json")
    return folder


@pytest.fixture(scope="module")
def recipe_of_log(house, models_folder):
    recipe = {
        "name": "korean",
        "collection": {
            "kind": "log", "corpus": str(house / "beir"), "log": str(house / "log.csv"),
            "columns": {"query": "검색어", "frequency": "횟수"},
        },
        "queries": {
            "tail": {"head_share": 0.97, "language": "none"}, "held_out": {"dev": 4, "test": 6}, "label_limit": 8,
        },
        "first_stage": {"depth": 12, "candidates": 5, "bm25": {"language": "korean_particles"}},
        "teacher": {
            "model": str(models_folder / "decoder"), "published": str(house / "heads.json"),
            "prompt": {"instruction": "위의 글에서 다음 검색어에 답하는 글을 찾으세요."},
        },
        "encoder": {
            "start": str(models_folder / "encoder"), "max_tokens": 32, "language": "korean_particles",
            "trainer": {"num_train_epochs": 1},
        },
        "evaluation": {"timed_queries": 1},
        "export": {"pairs": 4},
    }  # fmt: skip
    path = house / "korean.yaml"
    path.write_text(yaml.safe_dump(recipe, allow_unicode=True), encoding="utf-8")
    return path


def carry_out(recipe, folder, *overrides, last=None):
    shown = io.StringIO()
    run_recipe(load_recipe(str(recipe), overrides), folder, Console(file=shown, width=300), last)
    return shown.getvalue()


@pytest.fixture(scope="module")
def finished(recipe_of_log, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "korean"
    carry_out(recipe_of_log, folder)
    return folder


def plan_of(folder):
    return json.loads((folder / "collection" / "queries.json").read_text())


def manifest(folder, stage):
    return json.loads((folder / stage / "manifest.json").read_text())


def test_roles_are_the_tails_and_no_query_has_two(finished, house):
    plan = plan_of(finished)
    assert {role: len(ids) for role, ids in plan.items()} == {"fit": 0, "label": 8, "dev": 4, "test": 6}
    everyone = [query_id for ids in plan.values() for query_id in ids]
    assert len(everyone) == len(set(everyone))
    collection = read_beir(finished / "collection" / "beir")
    assert collection.qrels == {}
    with (house / "log.csv").open(encoding="utf-8") as file:
        tail = {row["검색어"] for row in csv.DictReader(file) if int(row["횟수"]) < 1_000}
    assert set(collection.queries.values()) == tail
    assert {row["frequency"] for row in collection.query_metadata.values()} <= {1, 2, 3, 4, 5}


def test_words_are_found_behind_their_particles(finished):
    collection, run = (
        read_beir(finished / "collection" / "beir"),
        read_run(finished / "first_stage" / "first_stage.run"),
    )
    assert len(run) == 18
    for query_id, scores in run.items():
        for doc_id in scores:
            assert any(noun in collection.text(doc_id) for noun in collection.query(query_id).split())


def test_held_out_labels_teach_nobody(finished):
    plan = plan_of(finished)
    assert set(read_run(finished / "labels" / "labels.run")) == set(plan["label"])
    assert set(read_run(finished / "held_out" / "labels.run")) == {*plan["dev"], *plan["test"]}
    assert manifest(finished, "encoder")["lists"] == len(plan["label"])
    assert json.loads((finished / "teacher" / "teacher.json").read_text())["fitted_on"] == []


def test_evidence_is_a_sentence_of_the_document(finished):
    collection = read_beir(finished / "collection" / "beir")
    found = [
        collection.text(doc_id)[slice(*span)]
        for row in label_lists(finished / "labels" / "lists")
        for doc_id, span in zip(row.doc_ids, row.evidence, strict=True)
        if span is not None
    ]
    assert found and all(text.endswith("다.") and text.count(".") == 1 for text in found)


def test_agreement_is_that_of_scipy_on_the_written_files(finished):
    metrics, plan = read_metrics(finished), plan_of(finished)
    labels = read_run(finished / "held_out" / "labels.run")
    assert list(metrics["systems"]) == ["first_stage", "all_heads", "static_heads", "bi_encoder", "encoder"]
    assert (metrics["queries"], metrics["without_labels"]) == (6, 0)
    for system, row in metrics["systems"].items():
        run = read_run(finished / "evaluation" / "runs" / f"{system}.run")
        assert set(run) == set(plan["test"])
        taus, firsts = [], []
        for query_id, scores in run.items():
            documents = sorted(scores)
            tau = kendalltau([scores[d] for d in documents], [labels[query_id][d] for d in documents]).statistic
            taus += [] if tau != tau else [tau]
            # of equals the larger id, as trec_eval has it
            first, right = (
                max((score, doc_id) for doc_id, score in given.items()) for given in (scores, labels[query_id])
            )
            firsts.append(first[1] == right[1])
        assert row["tau_b"] == pytest.approx(sum(taus) / len(taus))
        assert row["top_1"] == pytest.approx(sum(firsts) / len(firsts))
        assert row["tau_b_interval"][0] <= row["tau_b"] <= row["tau_b_interval"][1]


def test_nothing_is_called_quality_that_nobody_has_judged(finished):
    metrics = read_metrics(finished)
    assert metrics["against"] == "teacher_labels" and "Nobody has judged them" in metrics["says"]
    assert "ndcg" not in json.dumps(metrics).lower()
    shown = io.StringIO()
    Console(file=shown, width=300).print(metrics_table(metrics))
    assert "Nobody has judged them" in shown.getvalue() and "nDCG" not in shown.getvalue()
    trained = manifest(finished, "encoder")
    assert "dev_ndcg" not in trained and trained["dev_agreement"] is not None
    assert "which nobody has judged" in trained["dev_is"] and trained["dev_is"] in trained["summary"]
    card = (finished / "export" / "encoder" / "model" / "README.md").read_text()
    assert "No person has judged its dev lists. By the teacher's first 3 documents" in card


def test_the_report_says_whose_figures_these_are(finished, distill, tmp_path):
    code, shown, error = distill("report", finished, "--out", tmp_path / "report")
    assert (code, error) == (0, "")
    assert shown.startswith("encoder ranks as the teacher labels with Kendall's tau-b")
    page, beside = ((tmp_path / "report" / name).read_text() for name in ("index.html", "encoder.html"))
    says = read_metrics(finished)["says"]
    assert html.unescape(page).count(says) >= 2
    assert "No judgments were given." in beside and "the teacher" in beside
    opened = open_finished(finished)
    with pytest.raises(DataError, match="nobody has judged its test queries; evaluation/metrics.json holds agreement"):
        opened.comparison("encoder")


def test_a_second_run_and_another_machine_repeat_nothing(finished, recipe_of_log):
    for changes in ((), ("teacher.device_map={'': cpu}", "labels.engine.judges=1")):
        shown = carry_out(recipe_of_log, finished, *changes)
        assert [line.split()[0] for line in shown.splitlines() if " stands " in line] == STAGES


def test_other_heads_label_again_but_read_no_log_again(finished, recipe_of_log, house, tmp_path):
    copy = Path(shutil.copytree(finished, tmp_path / "copy"))
    equal_weights([Head(0, 1)]).save(house / "others.json")
    changes = (f"teacher.published={house / 'others.json'}", "teacher.device_map=auto")
    shown = carry_out(recipe_of_log, copy, *changes, last="labels")
    assert [line.split()[0] for line in shown.splitlines() if " stands " in line] == ["collection", "first_stage"]
    assert read_run(copy / "labels" / "labels.run") != read_run(finished / "labels" / "labels.run")
    assert json.loads((copy / "teacher" / "teacher.json").read_text())["settings"]["device_map"] == "auto"


def test_a_log_that_cannot_be_used_is_named(distill, recipe_of_log, tmp_path):
    for change, said in (
        ("collection.columns.query=query", "log.csv"),
        ("collection.corpus=nowhere", "nowhere: no such file"),
        ("queries.held_out.test=60", "no query is left to label"),
    ):
        code, _, error = distill("run", recipe_of_log, "--out", tmp_path / "run", "--set", change)
        assert code == 2 and said in error and error.count("\n") == 1


def test_a_stronger_rankers_run_teaches_in_place_of_judgments(finished, recipe_of_log, tmp_path):
    """Its first documents are the fitting judgments; its queries are neither labelled nor held out."""
    run = read_run(finished / "first_stage" / "first_stage.run")
    plan, taught = plan_of(finished), {}
    for query_id in [*plan["label"], *plan["dev"]]:
        taught[query_id] = {doc_id: -score for doc_id, score in run[query_id].items()}
    write_run(taught, tmp_path / "strong.run")
    changes = [
        "teacher.published=null", f"teacher.ranking={tmp_path / 'strong.run'}", "teacher.relevant=1",
        "queries.held_out={dev: 2, test: 3}", "queries.fit_share=1.0", "encoder=null",
        "teacher.routehead={router: {folds: 2, epochs: 10}, search: {bootstraps: 1}}", "first_stage.candidates=12",
        "teacher.routehead.static={pool_sizes: [8]}",
    ]  # fmt: skip
    carry_out(recipe_of_log, tmp_path / "run", *changes, last="teacher")
    now, facts = plan_of(tmp_path / "run"), manifest(tmp_path / "run", "teacher")
    assert set(now["fit"]) == set(taught)
    assert not set(now["fit"]) & {*now["label"], *now["dev"], *now["test"]}
    assert facts["judgments"] == str(tmp_path / "strong.run")
    assert "nDCG@10 by the first documents of strong.run" in facts["summary"]
    assert set(json.loads((tmp_path / "run" / "teacher" / "teacher.json").read_text())["fitted_on"]) == set(taught)
