import json
import shutil

import pytest
import torch
from safetensors import safe_open
from sentence_transformers import CrossEncoder
from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer

from students import StudentError
from students.decoder import DecoderSettings, train_decoder
from students.encoder import EncoderSettings, train_encoder
from students.model_card import Origin
from students.passages import CONFIG_KEY
from students.scoring import Reranker

QUICK = {"num_train_epochs": 2, "per_device_train_batch_size": 4, "logging_steps": 1}


def quick(**trainer) -> dict:
    return {"precision": "fp32", "max_tokens": 24, "trainer": QUICK | trainer}


STUDENTS = {"encoder": (train_encoder, EncoderSettings), "decoder": (train_decoder, DecoderSettings)}


@pytest.fixture(params=STUDENTS)
def student(request, encoder_start, decoder_start):
    train, settings = STUDENTS[request.param]
    start = encoder_start if request.param == "encoder" else decoder_start
    return lambda lists, dev, out, on_progress=None, **chosen: train(
        start, lists, dev, settings(**chosen), out, on_progress
    )


def test_a_student_is_a_plain_folder_that_the_libraries_load(student, lists, dev, tmp_path):
    out = tmp_path / "student"
    report = student(lists, dev, out, **quick())
    config = json.loads((out / "config.json").read_text())
    assert config["architectures"][0].endswith("ForSequenceClassification")
    assert config["id2label"] == {"0": "LABEL_0"}
    assert isinstance(config["pad_token_id"], int)
    assert config.get("problem_type") is None
    assert config["sentence_transformers"]["activation_fn"] == "torch.nn.modules.linear.Identity"
    assert AutoTokenizer.from_pretrained(out).model_max_length == 24
    assert "pipeline_tag: text-ranking" in (out / "README.md").read_text()
    assert not list(tmp_path.glob("*.checkpoints")) and not list(tmp_path.glob(".*"))

    with safe_open(out / "model.safetensors", "pt") as weights:
        names = set(weights.keys())
    assert names == set(AutoModelForSequenceClassification.from_pretrained(out).state_dict())
    assert not any(part in name for name in names for part in ("lora", "base_layer", "modules_to_save", "layer.layer"))

    query, documents = "the w1", ["w1 w2", "w9", "w5 w6 w7 w8"]
    ours = Reranker.load(out).score_pairs(query, documents)
    theirs = CrossEncoder(str(out)).predict([(query, document) for document in documents])
    torch.testing.assert_close(torch.tensor(ours), torch.tensor(theirs))
    assert report.lists == 12 and report.pairs == 40 and report.steps == 6


def test_training_lowers_the_loss(student, lists, tmp_path):
    report = student(lists, [], tmp_path / "student", **quick(num_train_epochs=15, learning_rate=5e-3))
    losses = [entry["loss"] for entry in report.history if "loss" in entry]
    assert losses[-1] < 0.5 * losses[0]
    assert report.dev_ndcg is None


@pytest.mark.parametrize(("loss", "sized"), [("margin_mse", True), ("listnet", True), ("ranknet", False)])
def test_a_loss_that_uses_sizes_learns_the_teacher_s_scores_and_another_the_order(
    encoder_start, lists, tmp_path, loss, sized
):
    # squares keep the order of labels that are not negative, and change their distances
    squares = [[label**2 for label in row] for row in lists["labels"]]

    def learned(name, dataset):
        report = train_encoder(encoder_start, dataset, [], EncoderSettings(loss=loss, **quick()), tmp_path / name)
        return [entry["loss"] for entry in report.history if "loss" in entry]

    plain = learned("plain", lists)
    scored = learned("scored", lists.add_column("scores", squares))
    assert scored == learned("squares", lists.remove_columns("labels").add_column("labels", squares))
    assert (scored != plain) is sized
    # a list without any difference between scores is not lost: its labels still say an order
    assert learned("equal", lists.add_column("scores", [[1.0] * len(row) for row in lists["labels"]])) == plain


def test_the_best_checkpoint_on_dev_is_saved(student, lists, dev, tmp_path):
    from students.dev import dev_ndcg

    out = tmp_path / "student"
    report = student(lists, dev, out, **quick(num_train_epochs=4, learning_rate=5e-3))
    by_step = {entry["step"]: entry["eval_dev_ndcg"] for entry in report.history if "eval_dev_ndcg" in entry}
    assert report.dev_ndcg == max(by_step.values()) == by_step[report.best_step]
    assert dev_ndcg(Reranker.load(out), dev) == pytest.approx(report.dev_ndcg)


def test_the_same_seed_gives_the_same_student(student, lists, tmp_path):
    weights = []
    for name, seed in (("one", 3), ("two", 3), ("three", 4)):
        student(lists, [], tmp_path / name, seed=seed, **quick(num_train_epochs=1))
        weights.append((tmp_path / name / "model.safetensors").read_bytes())
    assert weights[0] == weights[1] != weights[2]


def test_progress_reaches_the_last_step(student, lists, tmp_path):
    seen = []

    def on_progress(step, steps, logs):
        seen.append((step, steps, "loss" in logs))

    student(lists, [], tmp_path / "student", on_progress, **quick())
    assert (6, 6, True) in seen


def test_an_existing_folder_is_left_alone(student, lists, tmp_path):
    out = tmp_path / "student"
    out.mkdir()
    with pytest.raises(FileExistsError, match="student exists"):
        student(lists, [], out, **quick())


class Broken(Exception):
    pass


def break_at(step):
    def on_progress(now, steps, logs):
        if now == step:
            raise Broken

    return on_progress


def test_an_interrupted_training_ends_as_an_unbroken_one(student, lists, dev, tmp_path):
    settings = quick(num_train_epochs=3, learning_rate=1e-3)
    whole = student(lists, dev, tmp_path / "whole", **settings)
    with pytest.raises(Broken):
        student(lists, dev, tmp_path / "broken", break_at(5), **settings)
    assert not (tmp_path / "broken").exists()
    (tmp_path / "broken.checkpoints" / "checkpoint-4").mkdir()  # as one looks whose writing was cut off
    resumed = student(lists, dev, tmp_path / "broken", **settings)
    assert resumed.resumed_from == 3
    losses = [[(e["step"], e["loss"]) for e in report.history if "loss" in e] for report in (whole, resumed)]
    assert losses[0] == losses[1]
    one, two = ((tmp_path / name / "model.safetensors").read_bytes() for name in ("whole", "broken"))
    assert one == two


def test_an_interrupted_training_stops_as_early_as_an_unbroken_one(encoder_start, lists, dev, tmp_path):
    """Nothing is learned: the first epoch stays the best, and the second after it is the last."""
    settings = EncoderSettings(patience=2, **quick(num_train_epochs=9, learning_rate=0.0))
    assert train_encoder(encoder_start, lists, dev, settings, tmp_path / "whole").steps == 9
    with pytest.raises(Broken):
        train_encoder(encoder_start, lists, dev, settings, tmp_path / "broken", break_at(8))
    resumed = train_encoder(encoder_start, lists, dev, settings, tmp_path / "broken")
    assert (resumed.resumed_from, resumed.steps) == (6, 9)


def test_patience_without_dev_lists_is_refused(student, lists, tmp_path):
    with pytest.raises(StudentError, match="patience is 2, but there are no dev lists to measure it by"):
        student(lists, [], tmp_path / "student", patience=2, **quick())


def test_what_is_no_checkpoint_is_left_alone(student, lists, tmp_path):
    (tmp_path / "student.checkpoints").mkdir()
    (tmp_path / "student.checkpoints" / "thesis.txt").write_text("all of it")
    with pytest.raises(StudentError, match=r"student.checkpoints: checkpoints go there, and it holds something else"):
        student(lists, [], tmp_path / "student", **quick())
    assert (tmp_path / "student.checkpoints" / "thesis.txt").read_text() == "all of it"


@pytest.mark.parametrize("outputs", [2, 3])
def test_a_start_with_another_head_gets_a_new_one(encoder_start, encoder_tokenizer, lists, caplog, outputs, tmp_path):
    config = AutoConfig.from_pretrained(encoder_start, num_labels=outputs)
    start = AutoModelForSequenceClassification.from_config(config)
    start.save_pretrained(tmp_path / "classes")
    encoder_tokenizer.save_pretrained(tmp_path / "classes")
    settings = EncoderSettings(**quick(max_steps=1, learning_rate=0.0))
    train_encoder(str(tmp_path / "classes"), lists, [], settings, tmp_path / "student")
    found = AutoModelForSequenceClassification.from_pretrained(tmp_path / "student")
    assert found.classifier.out_features == 1
    assert torch.equal(found.bert.pooler.dense.weight, start.bert.pooler.dense.weight)
    assert f"its head classifier.weight has {outputs} outputs; the student begins with a new one" in caplog.text


def test_weights_of_another_size_than_the_configuration_says_are_refused(encoder_start, lists, tmp_path):
    start = shutil.copytree(encoder_start, tmp_path / "start")
    config = json.loads((start / "config.json").read_text()) | {"vocab_size": 7}
    (start / "config.json").write_text(json.dumps(config))
    with pytest.raises(
        StudentError, match=r"word_embeddings.weight has the shape \(\d+, 32\); by its config.* \(7, 32\)"
    ):
        train_encoder(str(start), lists, [], EncoderSettings(**quick()), tmp_path / "student")


def test_checkpoints_of_another_training_are_not_resumed(student, lists, tmp_path):
    with pytest.raises(Broken):
        student(lists, [], tmp_path / "student", break_at(5), **quick())
    report = student(lists, [], tmp_path / "student", seed=7, **quick())
    assert report.resumed_from is None


def test_checkpoints_from_other_weights_under_the_same_name_are_not_resumed(encoder_start, lists, tmp_path):
    settings, out = EncoderSettings(**quick()), tmp_path / "student"
    with pytest.raises(Broken):
        train_encoder(encoder_start, lists, [], settings, out, break_at(5), Origin(version="1"))
    assert train_encoder(encoder_start, lists, [], settings, out, origin=Origin(version="2")).resumed_from is None


def test_term_selection_concerns_the_layer_s_loss_alone(encoder_start, lists, tmp_path):
    first = {}
    for selection in ("matching", "all"):
        settings = EncoderSettings(term_selection=selection, **quick(max_steps=1))
        first[selection] = train_encoder(encoder_start, lists, [], settings, tmp_path / selection).history[0]
    assert first["matching"]["base"] == first["all"]["base"]
    assert first["matching"]["term_control"] != first["all"]["term_control"]


def test_a_training_that_diverged_is_no_student(encoder_start, lists, dev, tmp_path):
    wild = EncoderSettings(max_tokens=24, precision="fp32", trainer=QUICK | {"learning_rate": 1e30})
    with pytest.raises(StudentError, match=r"dev query 'q13' has a score that is no number: the training has diverged"):
        train_encoder(encoder_start, lists, dev, wild, tmp_path / "measured")
    with pytest.raises(StudentError, match=r"unmeasured is not written, as weights are no numbers: the training has"):
        train_encoder(encoder_start, lists, [], wild, tmp_path / "unmeasured")
    assert not (tmp_path / "measured").exists() and not (tmp_path / "unmeasured").exists()


def test_passages_of_the_start_are_not_the_student_s_own(encoder_start, lists, tmp_path):
    cut = EncoderSettings(max_tokens=24, passages={"tokens": 12, "overlap": 2}, trainer=QUICK)
    train_encoder(encoder_start, lists, [], cut, tmp_path / "cut")
    assert CONFIG_KEY in json.loads((tmp_path / "cut" / "config.json").read_text())
    whole = EncoderSettings(max_tokens=24, trainer=QUICK)
    train_encoder(str(tmp_path / "cut"), lists, [], whole, tmp_path / "whole")
    assert CONFIG_KEY not in json.loads((tmp_path / "whole" / "config.json").read_text())


def test_a_card_says_that_no_evaluation_fell_into_the_training(encoder_start, lists, dev, tmp_path):
    late = EncoderSettings(max_tokens=24, trainer=QUICK | {"eval_delay": 100})
    train_encoder(encoder_start, lists, dev, late, tmp_path / "late")
    assert "no evaluation by them fell into the training" in (tmp_path / "late" / "README.md").read_text()
