import re
import shutil

import pytest

from distill import steps
from distill.collections.beir import read_beir
from distill.collections.trec import read_run, write_run
from distill.commands import label
from distill.errors import ModelError
from distill.first_stage import BM25Settings, bm25_run
from distill.models import ModelReference, causal_model_without_weights
from distill.recipe.settings import JudgeSection, MixSection, TeacherSection
from distill.stages.candidates import top
from distill.stages.judge_sources import ModelSource, TeacherSource
from distill.stages.label_engines import EngineSettings
from distill.stages.teacher import METHODS, fit_teacher
from labeling.parts import COLUMNS, part_paths
from tests.labeling.whole_folder import read_labels

TIMELESS = [name for name in COLUMNS.names if name not in ("seconds", "created")]


@pytest.fixture(scope="module")
def house(beir_folder, causal_folder, encoder_folder, small_routehead, tmp_path_factory):
    """A run and a fitted teacher with a mixture beside the collection."""
    folder = tmp_path_factory.mktemp("label")
    collection = read_beir(beir_folder)
    run = bm25_run(collection, collection.queries, 12, BM25Settings(stemmer="none", stop_words="none"))
    write_run(run, folder / "bm25.run")
    mix = MixSection(first_stage=True, pre_ranker=str(encoder_folder))
    section = TeacherSection(model=str(causal_folder), routehead=small_routehead, mix=mix)
    qrels = collection.qrels["train"]
    fit_teacher(collection, top(run, list(qrels)[:12], 12), qrels, section, folder / "teacher", lambda *_, **__: None)
    return folder


@pytest.fixture
def flags(house, beir_folder):
    return ["--collection", beir_folder, "--run", house / "bm25.run", "--teacher", house / "teacher"]


def rows(folder):
    return [read_labels(folder, TIMELESS, status).to_pylist() for status in ("ok", "failed")]


def test_two_processes_label_as_one(distill, flags, tmp_path):
    code, out, err = distill("label", *flags, "--out", tmp_path / "one")
    assert (code, err) == (0, "")
    assert "20 lists (0 stood already)" in out
    code, out, err = distill("label", *flags, "--out", tmp_path / "two", "--workers", 2)
    assert (code, err) == (0, "")
    assert rows(tmp_path / "two") == rows(tmp_path / "one")


@pytest.mark.slow
@pytest.mark.skipif("'slow' not in config.getoption('-m')", reason="a minute or more; run with -m slow")
def test_ray_labels_as_this_process(distill, flags, tmp_path):
    pytest.importorskip("ray", reason="the extra `ray` is not installed")
    distill("label", *flags, "--out", tmp_path / "one")
    code, out, err = distill("label", *flags, "--out", tmp_path / "ray", "--engine", "ray", "--workers", 1)
    assert code == 0, err
    assert "20 lists (0 stood already)" in out
    assert rows(tmp_path / "ray") == rows(tmp_path / "one")


@pytest.mark.parametrize("method", METHODS)
def test_a_teacher_describes_itself_without_its_weights(house, beir_folder, method):
    """The keys made in a process without the model are those of the process with it."""
    collection = read_beir(beir_folder)
    run = bm25_run(collection, collection.queries, 12, BM25Settings(stemmer="none", stop_words="none"))
    write_run(run, house / "again.run")
    says = JudgeSection(orders=2)
    source = TeacherSource(house / "teacher", method, beir_folder, house / "bm25.run", says)
    assert source.describe() == source.open().describe()
    assert source.describe()["teacher"]["method"] == {"mixture": "routehead"}.get(method, method)


@pytest.mark.parametrize("orders", [None, 2])
def test_a_model_that_needs_no_fit_describes_itself_without_its_weights(causal_folder, orders):
    says = JudgeSection(orders=orders, reasons=str(causal_folder))
    source = ModelSource("generative", str(causal_folder), says, 50)
    assert source.describe() == source.open().describe()
    assert source.orders == (orders or 1)


@pytest.mark.parametrize("kind", ["cross_encoder", "bi_encoder"])
@pytest.mark.parametrize("with_reasons", [False, True])
def test_a_model_that_scores_pairs_is_described_where_its_weights_are_not(
    encoder_folder, causal_folder, tmp_path, kind, with_reasons
):
    bare = shutil.copytree(encoder_folder, tmp_path / "bare", ignore=shutil.ignore_patterns("*.safetensors"))
    source = ModelSource(kind, str(bare), JudgeSection(reasons=str(causal_folder) if with_reasons else None), 50)
    described = source.describe()
    assert (described["teacher"], described["model"]["reference"]) == ({"method": kind}, str(bare))
    assert ("reasons" in described) == with_reasons
    with pytest.raises(ModelError):
        source.open()


def test_a_bi_encoder_with_reasons_is_described_as_it_is(encoder_folder, causal_folder):
    source = ModelSource("bi_encoder", str(encoder_folder), JudgeSection(reasons=str(causal_folder)), 50)
    assert source.describe() == source.open().describe()


@pytest.mark.parametrize(("options", "said"), [((), {}), (("--batch-lists", 1), {"batch_lists": 1})])
def test_one_list_at_a_time_can_be_said_over_a_recipe(distill, tmp_path, monkeypatch, options, said):
    told = []
    monkeypatch.setattr(label, "_label_recipe", lambda name, changes, out, said, dry_run: told.append(said))
    assert distill("label", "quickstart", "--out", tmp_path / "run", *options)[0] == 0
    assert told == [said]
    eight = EngineSettings(batch_lists=8)
    assert label._engine(eight, said).batch_lists == said.get("batch_lists", 8)


def test_a_model_without_weights_takes_no_memory(causal_folder):
    import torch

    model = causal_model_without_weights(ModelReference.parse(str(causal_folder)), torch.float32)
    assert {parameter.device.type for parameter in model.parameters()} == {"meta"}


def test_shards_hold_every_list_once(distill, flags, tmp_path):
    for shard in ("1/3", "2/3", "3/3"):
        code, _, err = distill("label", *flags, "--out", tmp_path / shard[0], "--shard", shard)
        assert (code, err) == (0, "")
    distill("label", *flags, "--out", tmp_path / "whole")
    joined = [row for shard in "123" for row in rows(tmp_path / shard)[0]]
    assert len(joined) == len(rows(tmp_path / "whole")[0])
    assert sorted(joined, key=_place) == sorted(rows(tmp_path / "whole")[0], key=_place)
    assert all(0 < len(rows(tmp_path / shard)[0]) < len(joined) / 2 for shard in "123")


def _place(row):
    return row["query_id"], row["position"]


def test_a_dry_run_tells_and_writes_nothing(distill, flags, tmp_path):
    labels = tmp_path / "labels"
    code, out, err = distill("label", *flags, "--out", labels, "--dry-run")
    assert (code, err) == (0, "")
    assert not labels.exists()
    assert re.search(r"queries, each a list\W+20 with 2\d\d documents", out)
    assert re.search(r"lists to label\W+20", out)
    assert re.search(r"prompts\W+20", out)
    assert re.search(r"mean of 8 spread over all lengths", out)
    distill("label", *flags, "--out", labels, "--shard", "1/2", "--part-lists", 4)
    before = {path: path.stat().st_mtime_ns for path in labels.iterdir()}
    code, out, _ = distill("label", *flags, "--out", labels, "--dry-run")
    assert {path: path.stat().st_mtime_ns for path in labels.iterdir()} == before
    stood = int(re.search(r"stand in the folder\W+(\d+), and 0 that failed", out).group(1))
    assert stood == len({row["query_id"] for row in rows(labels)[0]})
    assert re.search(rf"lists to label\W+{20 - stood}\b", out)
    assert re.search(r"teacher\W+no change", out)
    _, out, _ = distill("label", *flags, "--out", labels, "--dry-run", "--method", "all_heads")
    assert "has changed (mixture, opinions," in " ".join(out.split())
    assert re.search(r"lists to label\W+20", out)


def test_a_dry_run_of_a_finished_folder_needs_no_sample(distill, flags, tmp_path):
    distill("label", *flags, "--out", tmp_path / "labels")
    code, out, _ = distill("label", *flags, "--out", tmp_path / "labels", "--dry-run")
    assert code == 0
    assert re.search(r"lists to label\W+0", out)
    assert "one list takes" not in out


def test_a_dry_run_is_refused_where_the_job_would_be(distill, flags, tmp_path):
    other = tmp_path / "thesis"
    other.mkdir()
    (other / "thesis.tex").touch()
    said = []
    for options in ((), ("--dry-run",)):
        code, _, err = distill("label", *flags, "--out", other, *options)
        assert code == 2
        said.append(err)
    assert (
        said[0] == said[1] == f"error: {other}: holds thesis.tex but no manifest.json; give an empty folder or a "
        "label folder\n"
    )


def test_a_dry_run_counts_what_the_job_would_make_again(distill, flags, tmp_path, caplog):
    distill("label", *flags, "--out", tmp_path / "labels", "--part-lists", 4)
    part = part_paths(tmp_path / "labels")[1]
    part.write_bytes(part.read_bytes()[:-9])
    code, out, _ = distill("label", *flags, "--out", tmp_path / "labels", "--dry-run")
    assert code == 0
    assert re.search(r"lists to label\W+4\b", out)
    assert "the job would set it aside and label its lists again" in caplog.text
    assert part.exists()
    _, out, _ = distill("label", *flags, "--out", tmp_path / "labels")
    assert "20 lists (16 stood already)" in out


def test_a_dry_run_for_a_cluster_is_timed_by_one_judge(distill, flags, tmp_path, monkeypatch):
    monkeypatch.setattr("distill.models.cuda_devices", lambda: ["0", "1", "2", "3"])
    dry_run = ("label", *flags, "--out", tmp_path / "labels", "--dry-run")
    assert "by 4 workers" in distill(*dry_run)[1]
    cluster = distill(*dry_run, "--engine", "ray")[1]
    assert "workers, if" not in cluster and "the time is that of one judge" in cluster
    told = distill(*dry_run, "--engine", "ray", "--workers", 3)[1]
    assert "by 3 workers" in told and "the time is that of one judge" not in told


@pytest.mark.parametrize("name", ["lab[v2]", "lab[/v2]"])
def test_a_folder_may_be_named_like_markup(distill, flags, tmp_path, name):
    folder = tmp_path / name
    code, out, err = distill("label", *flags, "--out", folder, "--dry-run")
    assert (code, err) == (0, "")
    assert f"{name}: a dry run" in "".join(out.split("\n"))
    code, out, err = distill("label", *flags, "--out", folder)
    assert (code, err) == (0, "")
    assert f"{folder}: 20 lists" in out


def test_a_recipe_is_carried_out_as_far_as_its_labels(distill, recipe_file, tmp_path):
    code, out, err = distill("label", recipe_file, "--out", tmp_path / "run", "--dry-run")
    assert code == 2
    assert "the stage collection does not stand for this recipe, and labels needs it" in err
    assert not (tmp_path / "run").exists()
    code, out, err = distill("label", recipe_file, "--out", tmp_path / "run")
    assert (code, err) == (0, "")
    assert {path.name for path in (tmp_path / "run").iterdir()} == {
        "collection", "first_stage", "teacher", "labels", "recipe.yaml",
    }  # fmt: skip
    assert read_labels(tmp_path / "run" / "labels" / "lists").num_rows > 0
    code, out, _ = distill("label", recipe_file, "--out", tmp_path / "run")
    assert code == 0
    assert re.search(r"labels +stands", out)
    code, out, _ = distill("label", recipe_file, "--out", tmp_path / "run", "--dry-run")
    assert code == 0
    assert re.search(r"lists to label\W+0", out)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["quickstart", "--queries", "q.txt"], "with a recipe there is no --queries"),
        (["quickstart", "--shard", "1/2"], "with a recipe there is no --shard"),
        (["quickstart", "--max-document-words", 40], "with a recipe there is no --max-document-words"),
        (["quickstart", "--reason-documents", 2], "with a recipe there is no --reason-documents"),
        ([], "without a recipe, --collection and --run are needed"),
        (["--set", "labels.bottom=3"], "it changes a recipe's settings, and no recipe is given"),
        (["quickstart", "--address", "auto"], "'auto' is for --engine ray; the engine is local"),
    ],
)
def test_flags_that_do_not_fit_are_refused(distill, tmp_path, arguments, message):
    code, _, err = distill("label", *arguments, "--out", tmp_path / "labels")
    assert code == 2
    assert message in " ".join(re.sub(r"[│╭╮╰╯─]", " ", err).split())
    assert not (tmp_path / "labels").exists()


@pytest.mark.parametrize(
    ("judge", "option", "judges"),
    [
        (("--judgments", "train"), ("--method", "routehead"), "--teacher alone"),
        (("--generate", "no/model"), ("--first-order", 1), "--teacher alone"),
        (("--cross-encoder", "no/model"), ("--max-document-words", 40), "--generate alone"),
        (("--bi-encoder", "no/model"), ("--orders", 2), "--teacher and --generate alone"),
        (("--judgments", "train"), ("--reason-documents", 5), "--reasons alone"),
    ],
)
def test_what_a_judge_would_ignore_is_refused(distill, flags, tmp_path, judge, option, judges):
    code, _, err = distill("label", *flags[:4], *judge, *option, "--out", tmp_path / "labels")
    assert code == 2
    said = " ".join(re.sub(r"[│╭╮╰╯─]", " ", err).split())
    assert f"Invalid value for {option[0]}: it is for {judges}" in said


def test_a_job_by_flags_writes_as_many_lists_at_once_as_a_recipes():
    assert label.PART_LISTS == steps.PART_LISTS


def test_more_documents_from_the_end_than_are_read_are_refused(distill, flags, tmp_path):
    code, _, err = distill("label", *flags, "--candidates", 4, "--bottom", 4, "--out", tmp_path / "labels")
    assert code == 2
    said = " ".join(re.sub(r"[│╭╮╰╯─]", " ", err).split())
    assert "Invalid value for --bottom: 4 is not below --candidates 4" in said


def test_queries_that_the_run_lacks_are_counted(distill, house, flags, tmp_path):
    ranked = read_run(house / "bm25.run")
    write_run({query_id: ranked[query_id] for query_id in ("q30", "q31")}, tmp_path / "short.run")
    (tmp_path / "ids.txt").write_text("q30\nq32\nq33\n")
    options = [*flags[:2], "--run", tmp_path / "short.run", "--judgments", "test", "--queries", tmp_path / "ids.txt"]
    code, out, _ = distill("label", *options, "--out", tmp_path / "labels")
    assert code == 0
    said = " ".join(out.split())
    assert "2 of 3 queries have no candidates in" in said and "such as 'q32'; they are left out" in said
    (tmp_path / "ids.txt").write_text("q32\n")
    code, _, err = distill("label", *options, "--out", tmp_path / "none")
    assert code == 2
    assert "1 of 1 queries have no candidates in" in err
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("shard", ["0/2", "3/2", "2", "a/b", "1/0"])
def test_a_shard_that_is_none_is_refused(distill, flags, tmp_path, shard):
    code, _, err = distill("label", *flags, "--out", tmp_path / "labels", "--shard", shard)
    assert code == 2
    assert f"a share is written I/N with I from 1 to N, as in 3/8; got '{shard}'" in err


def test_queries_that_measure_students_get_labels_only_by_name(distill, flags, beir_folder, tmp_path):
    qrels = read_beir(beir_folder).qrels
    distill("label", *flags, "--out", tmp_path / "all")
    labelled = {row["query_id"] for row in read_labels(tmp_path / "all", ["query_id"]).to_pylist()}
    assert labelled and not labelled & {*qrels["dev"], *qrels["test"]}
    (tmp_path / "ids.txt").write_text("\n".join(qrels["test"]))
    distill("label", *flags, "--out", tmp_path / "named", "--queries", tmp_path / "ids.txt")
    named = {row["query_id"] for row in read_labels(tmp_path / "named", ["query_id"]).to_pylist()}
    assert named == qrels["test"].keys()
    measured = tmp_path / "test.run"
    measured.write_text("".join(f"{query_id} Q0 d1 1 1.0 x\n" for query_id in qrels["test"]))
    code, _, err = distill("label", *flags, "--run", measured, "--out", tmp_path / "none")
    assert (code, err) == (2, f"error: {measured}: none of its 10 queries is left to label\n")
