"""`distill label` under each kind of judge, and what the rows say beside the scores."""

import pytest
from scipy import stats

from distill.collections.beir import read_beir
from distill.collections.trec import read_run, write_run
from distill.first_stage import BM25Settings, bm25_run
from distill.recipe.settings import ListSection, TeacherSection
from distill.stages.candidates import top
from distill.stages.teacher import fit_teacher
from distill.stages.training_lists import training_lists
from teachers.evidence import sentences
from tests.labeling.whole_folder import read_labels


@pytest.fixture(scope="module")
def house(beir_folder, causal_folder, small_routehead, tmp_path_factory):
    """Candidates of twelve test and open queries, and a teacher fitted on others: the arguments of the command."""
    folder = tmp_path_factory.mktemp("house")
    collection = read_beir(beir_folder)
    run = bm25_run(collection, collection.queries, 8, BM25Settings(stemmer="none", stop_words="none"))
    write_run(run, folder / "bm25.run")
    section = TeacherSection(model=str(causal_folder), routehead=small_routehead)
    fitting = top(run, list(collection.qrels["train"])[:16], 8)
    fit_teacher(collection, fitting, collection.qrels["train"], section, folder / "teacher", lambda done, total: None)
    (folder / "ids.txt").write_text("".join(f"q{number}\n" for number in range(30, 42)))
    return folder, (
        "--collection", beir_folder, "--run", folder / "bm25.run", "--queries", folder / "ids.txt", "--candidates", 5,
    )  # fmt: skip


def label(distill, house, out, *options):
    """The rows that the command writes under these options."""
    code, _, errors = distill("label", *house[1], "--out", out, *options)
    assert (code, errors) == (0, "")
    return read_labels(out).to_pylist()


def test_a_fitted_teacher_names_sentences_and_is_sure_or_not(distill, house, beir_folder, tmp_path):
    rows = label(distill, house, tmp_path / "labels", "--teacher", house[0] / "teacher", "--orders", 2)
    collection = read_beir(beir_folder)
    for row in rows:
        text = collection.text(row["doc_id"])
        span = (row["evidence_start"], row["evidence_end"])
        assert (span in sentences(text)) if row["group"] == "ranked" else span == (None, None)
    by_list = {row["query_id"]: row["confidence"] for row in rows}
    assert len(by_list) == 12
    assert all(-1 <= confidence <= 1 for confidence in by_list.values())
    assert len(set(by_list.values())) > 1
    # one row in two reads: the prompts of both orders count
    single = label(distill, house, tmp_path / "single", "--teacher", house[0] / "teacher", "--no-evidence")
    assert {row["confidence"] for row in single} == {None}
    assert {row["evidence_start"] for row in single} == {None}
    assert [row["tokens"] for row in rows] == [2 * row["tokens"] for row in single]


def test_a_file_of_queries_says_what_a_line_should_hold(distill, house, tmp_path):
    wrong = tmp_path / "queries.jsonl"
    wrong.write_text('q30\n{"_id": "q31"}\n')
    code, _, error = distill(
        "label", *house[1], "--queries", wrong, "--teacher", house[0] / "teacher", "--out", tmp_path / "labels"
    )
    assert code == 2
    assert "queries.jsonl:2: expected a query id of the collection" in error and """got '{"_id": "q31"}'""" in error
    assert not (tmp_path / "labels").exists()


def test_another_first_order_shows_how_far_the_teacher_agrees_with_itself(distill, house, tmp_path):
    teacher = ("--teacher", house[0] / "teacher", "--method", "all_heads", "--no-evidence")
    both, first, second = (
        {(row["query_id"], row["doc_id"]): row for row in label(distill, house, tmp_path / name, *teacher, *options)}
        for name, options in {"both": ("--orders", 2), "first": (), "second": ("--first-order", 1)}.items()
    )
    for query_id in {query_id for query_id, _ in both}:
        pairs = [pair for pair in both if pair[0] == query_id]
        readings = ([rows[pair]["score"] for pair in pairs] for rows in (first, second))
        assert both[pairs[0]]["confidence"] == pytest.approx(stats.kendalltau(*readings).statistic)
    # the job of one order is not taken for that of another
    assert {row["list_key"] for row in first.values()}.isdisjoint(row["list_key"] for row in second.values())


def test_only_a_fitted_teachers_order_can_be_chosen(distill, house, causal_folder, tmp_path):
    options = ("--generate", causal_folder, "--first-order", 1, "--out", tmp_path / "labels")
    code, _, errors = distill("label", *house[1], *options)
    assert code == 2 and "it is for --teacher alone" in errors


def test_students_leave_unsure_lists_out(distill, house, beir_folder, tmp_path):
    rows = label(distill, house, tmp_path / "labels", "--teacher", house[0] / "teacher", "--orders", 2)
    confidences = {row["query_id"]: row["confidence"] for row in rows}
    least = sorted(confidences.values())[4]
    kept = training_lists(
        read_beir(beir_folder), [tmp_path / "labels"], ListSection(random=1, max_ranked=1, min_confidence=least)
    )
    assert set(kept["query_id"]) == {query_id for query_id, known in confidences.items() if known >= least}
    for row in kept:
        ranked = [doc for doc, group in zip(row["doc_ids"], row["groups"], strict=True) if group == "ranked"]
        best = sorted(
            (entry for entry in rows if entry["query_id"] == row["query_id"] and entry["group"] == "ranked"),
            key=lambda entry: entry["rank"],
        )
        assert ranked == [entry["doc_id"] for entry in best[:1]]
        # the teacher's own scores reach the students beside the grades
        assert row["scores"][: len(ranked)] == [entry["score"] for entry in best[:1]]
        assert row["groups"].count("random") == 1
        assert len(row["docs"]) == len(row["labels"]) == len(row["scores"]) == len(row["doc_ids"])


def test_a_light_models_run_says_which_documents_are_read(distill, house, encoder_folder, tmp_path):
    options = ("--collection", house[1][1], "--run", house[1][3])
    assert distill("rank", encoder_folder, *options, "--out", tmp_path / "light.run")[0] == 0
    light = read_run(tmp_path / "light.run")
    rows = label(
        distill, house, tmp_path / "labels", "--teacher", house[0] / "teacher",
        "--pre-ranked", tmp_path / "light.run", "--bottom", 2,
    )  # fmt: skip
    for query_id in {row["query_id"] for row in rows}:
        order = sorted(light[query_id], key=lambda doc_id: (light[query_id][doc_id], doc_id), reverse=True)
        read = {row["doc_id"] for row in rows if row["query_id"] == query_id}
        assert read == {*order[:3], *order[-2:]}


def test_a_light_run_of_other_lists_is_refused(distill, house, tmp_path):
    write_run({"q31": {"d1": 1.0}}, tmp_path / "other.run", tag="other")
    code, _, errors = distill(
        "label", *house[1], "--teacher", house[0] / "teacher", "--out", tmp_path / "labels",
        "--pre-ranked", tmp_path / "other.run",
    )  # fmt: skip
    assert code == 2
    assert "query 'q30': the pre-ranker's run does not rank the documents of the first stage" in errors
    assert not (tmp_path / "labels").exists()


def test_a_cross_encoder_labels_and_reasons_are_written(distill, house, encoder_folder, causal_folder, tmp_path):
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    AutoModelForSequenceClassification.from_pretrained(encoder_folder, num_labels=1).save_pretrained(tmp_path / "ce")
    AutoTokenizer.from_pretrained(encoder_folder).save_pretrained(tmp_path / "ce")
    options = ("--cross-encoder", tmp_path / "ce", "--reasons", causal_folder, "--reason-documents", 2)
    rows = label(distill, house, tmp_path / "labels", *options)
    assert {row["group"] for row in rows} == {"ranked"}
    for row in rows:
        assert (row["reason"] is not None) == (row["rank"] <= 2)


def test_a_bi_encoder_labels_as_it_ranks(distill, house, encoder_folder, tmp_path):
    rows = label(distill, house, tmp_path / "labels", "--bi-encoder", encoder_folder)
    run = ("--collection", house[1][1], "--run", house[1][3])
    assert distill("rank", encoder_folder, *run, "--out", tmp_path / "light.run")[0] == 0
    light = read_run(tmp_path / "light.run")
    assert rows
    for row in rows:
        assert row["score"] == pytest.approx(light[row["query_id"]][row["doc_id"]], abs=1e-5)


def test_a_model_that_writes_no_order_fails_list_by_list_and_is_quoted(distill, house, causal_folder, tmp_path):
    # a random model writes words, hardly ever numbers
    code, shown, _ = distill("label", *house[1], "--generate", causal_folder, "--out", tmp_path / "labels")
    assert code == 0
    assert "lists failed" in shown
    failed = read_labels(tmp_path / "labels", status="failed").to_pylist()
    assert failed
    assert all(row["error"].startswith("TeacherError: the answer names none of the 5 documents: ") for row in failed)


def test_one_judge_is_needed(distill, house, tmp_path):
    code, _, errors = distill("label", *house[1], "--out", tmp_path / "labels")
    assert code == 2
    assert "one judge is needed" in errors
    assert not (tmp_path / "labels").exists()
