"""Lists, tokens, memory and time of recipes, against numbers worked by hand and against runs that were timed."""

import shutil

import pytest

from distill.checking.estimate import memory, steps
from distill.checking.models import ModelFacts
from distill.checking.rates import find_hardware, known_hardware
from distill.checking.report import check_recipe, checked_recipe
from distill.checking.workload import workload
from distill.errors import RecipeError
from distill.recipe.file import load_recipe
from distill.stages.roles import plan_queries
from students.decoder import TRAINER_DEFAULTS as DECODER_DEFAULTS
from students.encoder import TRAINER_DEFAULTS as ENCODER_DEFAULTS

TEACHER = ModelFacts("teacher.model", "x", "here", "llama", 1_000_000_000, 800_000_000, 40)
STUDENTS = {
    "encoder.start": ModelFacts("encoder.start", "x", "here", "bert", 110_000_000, 90_000_000, 12),
    "decoder.start": ModelFacts("decoder.start", "x", "here", "qwen3", 600_000_000, 400_000_000, 20),
}


def test_lists_are_counted_as_the_run_will_plan_them(recipe_file, beir_folder):
    from distill.collections.beir import read_beir

    for overrides in ([], ["queries.fit_share=1.0", "queries.fit_limit=10"], ["queries.label_from=unjudged"],
                      ["queries.label_limit=3", "queries.test_limit=2", "queries.dev_split=null"]):  # fmt: skip
        recipe = load_recipe(str(recipe_file), overrides)
        plan, load = plan_queries(read_beir(beir_folder), recipe.queries), workload(recipe)
        assert load.counted
        assert (load.fit, load.label, load.dev, load.test) == tuple(
            map(len, (plan.fit, plan.label, plan.dev, plan.test))
        )
        assert load.words == 10


@pytest.mark.parametrize("line", ["{}\t{}\t{}", "{} 0 {} {}"], ids=["three columns", "TREC's four"])
def test_judgments_without_names_of_columns_are_counted_to_the_first(recipe_file, beir_folder, tmp_path, line):
    folder = shutil.copytree(beir_folder, tmp_path / "beir")
    for path in (folder / "qrels").glob("*.tsv"):
        rows = [row.split("\t") for row in path.read_text().splitlines()[1:]]
        path.write_text("".join(line.format(*row) + "\n" for row in rows))
    assert workload(load_recipe(str(recipe_file), [f"collection.path={folder}"])) == workload(
        load_recipe(str(recipe_file))
    )


def test_a_list_in_tokens_by_hand():
    recipe = load_recipe("gpu-8b", ["collection.path=nowhere"])
    load = workload(recipe)
    # nothing to count: 100 words a document at most; 1.6 tokens a word, 4 a document, 60 around, the query twice
    assert load.list_tokens(40) == pytest.approx(40 * (160 + 4) + 60 + 2 * 8 * 1.6)
    assert load.pair_tokens(256) == pytest.approx(108 * 1.6 + 4)
    assert load.pair_tokens(64) == 64


def test_measured_prompts_have_about_as_many_tokens_as_are_estimated():
    # docs/teacher.md: lists of so many documents of so many words, in tokens of SmolLM2
    for documents, words, tokens in ((20, 40, 1_382), (20, 100, 3_193), (50, 40, 3_267), (100, 40, 6_445)):
        changes = ["collection.path=nowhere", f"teacher.prompt.max_document_words={words}"]
        load = workload(load_recipe("gpu-8b", changes))
        assert load.list_tokens(documents) == pytest.approx(tokens, rel=0.1)


def test_work_by_hand():
    changes = ["collection.path=nowhere", "teacher.depth=30", "labels.orders=2", "decoder.layers=5", "labels.random=2"]
    recipe = load_recipe("gpu-8b", changes)
    load = workload(recipe)
    found = {step.name: step for step in steps(recipe, load, {"teacher.model": TEACHER, **STUDENTS})}
    each = load.list_tokens(40)
    assert found["teacher"].tokens == pytest.approx(500 * each)
    assert found["labels"].tokens == pytest.approx(20_000 * each * 2)
    # 30 of 40 layers
    assert found["labels"].parameters == 600_000_000
    # 42 documents a list, two epochs, and a backward pass of twice the work; LoRA leaves the weights' half of it out
    assert found["encoder"].tokens == pytest.approx(20_000 * 2 * 42 * load.pair_tokens(256))
    assert (found["encoder"].passes, found["decoder"].passes) == (3, 2)
    assert found["decoder"].parameters == 100_000_000
    # 989e12 operations a second, 30 % of them, two a parameter and token
    seconds = 2 * 600_000_000 * found["labels"].tokens / (0.3 * 989e12)
    assert found["labels"].seconds(find_hardware("h100")) == pytest.approx(seconds)
    sizes = {part.name: part.bytes for part in memory(recipe, {"teacher.model": TEACHER, **STUDENTS})}
    assert sizes == {"teacher": 2e9, "encoder": 110e6 * 16, "decoder": (600e6 - 400e6 * 15 / 20) * 4}


def test_lists_of_a_run_are_as_long_as_they_are(tmp_path):
    run = tmp_path / "mine.run"
    lists = {"q1": 3, "q2": 60}
    rows = [f"{query} Q0 d{place} {place} {-place} mine\n" for query in lists for place in range(lists[query])]
    run.write_text("".join(rows))
    changes = ["collection.path=nowhere", f"first_stage.run={run}", "labels.random=2", "labels.max_ranked=5"]
    recipe = load_recipe("gpu-8b", changes)
    load = workload(recipe)
    found = {step.name: step for step in steps(recipe, load, {"teacher.model": TEACHER, **STUDENTS})}
    # of 40 candidates the teacher reads 3 and 40, of 5 that are kept the student 3 and 5, and two that are drawn
    assert found["teacher"].tokens == pytest.approx(500 * load.list_tokens(21.5))
    assert found["encoder"].tokens == pytest.approx(20_000 * 2 * 6 * load.pair_tokens(256))


def test_a_soup_costs_its_trainings():
    one, three = (
        {step.name: step for step in steps(recipe, workload(recipe), STUDENTS)}
        for recipe in (load_recipe("gpu-8b", ["collection.path=nowhere", *more]) for more in ([], ["encoder.soup=3"]))
    )
    assert three["encoder"].tokens == 3 * one["encoder"].tokens
    assert three["encoder"].arithmetic == f"3 trainings x {one['encoder'].arithmetic}"
    assert three["decoder"] == one["decoder"]


def test_a_warm_start_is_a_training_of_its_own():
    changes = ["encoder.warm_start={ranker: any/model, queries: 500, trainer: {num_train_epochs: 2}}", "encoder.soup=3"]
    recipe = load_recipe("gpu-8b", ["collection.path=nowhere", *changes])
    load = workload(recipe)
    warm = next(step for step in steps(recipe, load, STUDENTS) if step.name == "warm_start/encoder")
    # 16 documents of the first stage's and 4 drawn ones, whatever the training on labels does
    assert warm.tokens == pytest.approx(500 * 2 * 20 * load.pair_tokens(256))
    assert warm.passes == 3


@pytest.mark.parametrize(("most", "pairs"), [(8, 10), (40, 42), (100, 42)])
def test_shortened_lists_cost_what_is_left_of_them(most, pairs):
    places = ["collection.path=nowhere", f"labels.max_ranked={most}"]
    whole, cut = (
        {step.name: step for step in steps(recipe, workload(recipe), STUDENTS)}
        for recipe in (load_recipe("gpu-8b", places[:1]), load_recipe("gpu-8b", places))
    )
    for name in ("encoder", "decoder"):
        assert cut[name].tokens == pytest.approx(whole[name].tokens * pairs / 42)
    assert f"x {pairs} pairs x" in cut["encoder"].arithmetic


def test_judges_share_the_labelling():
    places = ["collection.path=nowhere", "labels.engine.judges=4"]
    alone, shared = (
        next(step for step in steps(recipe, workload(recipe), {"teacher.model": TEACHER}) if step.name == "labels")
        for recipe in (load_recipe("gpu-8b", places[:1]), load_recipe("multi-gpu-70b", places))
    )
    hardware = find_hardware("h100")
    assert shared.seconds(hardware) == pytest.approx(alone.seconds(hardware) / 4)


def test_what_is_not_known_is_not_estimated():
    recipe = load_recipe("gpu-8b", ["collection.path=nowhere", "queries.label_limit=null"])
    found = {step.name: step for step in steps(recipe, workload(recipe), {})}
    assert found["labels"].tokens is None
    assert all(step.seconds(find_hardware("h100")) is None for step in found.values())


def test_runs_that_were_timed_are_estimated_well():
    # manifests of earlier runs (quickstart, WikiQA) on two cores without AMX; their label stages made no rate
    parameters = 22 / 30 * 106_187_328
    for lists, documents, words, seconds in ((206, 12, 50, 299.7), (300, 20, 22, 415.6)):
        changes = ["collection.path=nowhere", f"teacher.prompt.max_document_words={words}"]
        tokens = lists * workload(load_recipe("gpu-8b", changes)).list_tokens(documents)
        assert find_hardware("cpu2").seconds("read", parameters, tokens, 1) == pytest.approx(seconds, rel=0.35)


@pytest.mark.parametrize(
    ("parameters", "pairs", "passes", "seconds"),
    [(10_646_784, 39_995, 3, 912), (10_646_784, 2 * 6_600, 3, 251), (28_316_544, 6_600, 2, 317)],
    ids=["warm start", "encoder", "decoder"],
)
def test_trainings_that_made_no_rate_are_estimated_well(parameters, pairs, passes, seconds):
    # manifests of README's run of WikiQA, 52 tokens a pair; the rates are the quickstart's
    estimate = find_hardware("cpu2-bf16").seconds("train", parameters, 52 * pairs, passes)
    assert estimate == pytest.approx(seconds, rel=0.35)


def test_only_what_was_measured_is_called_so():
    assert [name for name, hardware in known_hardware().items() if hardware.measured] == ["cpu2", "cpu2-bf16"]
    with pytest.raises(RecipeError, match="--hardware abacus: no rates for it; there are cpu2, cpu2-bf16, a100, h100"):
        find_hardware("abacus")


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("", "mine.run: no line in it"),
        ("q1 Q0 d1 1.0\n", "mine.run:1: 4 columns"),
        ("q1 Q0 d1 1 nan x\n", "mine.run:1: score"),
    ],
)
def test_a_run_that_cannot_be_read_is_found_by_a_check(recipe_file, tmp_path, lines, said):
    (tmp_path / "mine.run").write_text(lines)
    checked = check_recipe(str(recipe_file), [f"first_stage.run={tmp_path / 'mine.run'}"])
    assert [said in problem.message for problem in checked.problems] == [True]


def test_a_fitting_split_without_judgments_is_found_by_a_check(recipe_file, beir_folder, tmp_path):
    shutil.copytree(beir_folder, tmp_path / "beir")
    (tmp_path / "beir/qrels/train.tsv").write_text("query-id\tcorpus-id\tscore\n")
    checked = check_recipe(str(recipe_file), [f"collection.path={tmp_path / 'beir'}"])
    assert "no judged query in the split 'train' that is to fit the teacher" in checked.problems[0].message


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("q0\td0\tyes\n", "train.tsv:2: relevance 'yes'"),
        ("q0\td0\n", "train.tsv:2: 2 columns where the first line has 3"),
    ],
)
def test_judgments_that_cannot_be_read_are_found_by_a_check(recipe_file, beir_folder, tmp_path, lines, said):
    folder = shutil.copytree(beir_folder, tmp_path / "beir")
    (folder / "qrels/train.tsv").write_text("query-id\tcorpus-id\tscore\n" + lines)
    checked = check_recipe(str(recipe_file), [f"collection.path={folder}"])
    assert [said in problem.message for problem in checked.problems] == [True]


def test_parts_of_a_collection_that_are_there_twice_are_all_found_before_a_run(recipe_file, beir_folder, tmp_path):
    folder = shutil.copytree(beir_folder, tmp_path / "beir")
    for name in ("corpus.jsonl", "queries.jsonl"):
        (folder / f"{name}.gz").touch()
    with pytest.raises(RecipeError) as raised:
        checked_recipe(str(recipe_file), [f"collection.path={folder}"])
    assert [problem.message for problem in raised.value.problems] == [
        f"collection.path: {folder}: both {name} and {name}.gz; keep one of them"
        for name in ("corpus.jsonl", "queries.jsonl")
    ]


@pytest.mark.parametrize(("name", "defaults"), [("encoder", ENCODER_DEFAULTS), ("decoder", DECODER_DEFAULTS)])
def test_a_training_of_which_the_recipe_says_nothing_is_estimated_by_the_trainers_own_defaults(name, defaults):
    def shown(*changes):
        recipe = load_recipe("gpu-8b", ["collection.path=nowhere", *changes])
        return next(step.arithmetic for step in steps(recipe, workload(recipe), STUDENTS) if step.name == name)

    epochs, batch = defaults["num_train_epochs"], defaults["per_device_train_batch_size"]
    assert shown(f"{name}.trainer={{}}").startswith(f"20,000 lists x {epochs} epochs")
    assert shown(f"{name}.trainer={{max_steps: 7}}").startswith(f"7 steps x {batch} lists")
