import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from students.decoder import DecoderSettings, train_decoder
from students.dev import dev_ndcg
from students.encoder import EncoderSettings, train_encoder
from students.scoring import Reranker
from students.soup import average

TRAINER = {"num_train_epochs": 2, "per_device_train_batch_size": 4, "logging_steps": 1, "learning_rate": 5e-3}


def settings(kind=EncoderSettings, **chosen):
    return kind(precision="fp32", max_tokens=24, trainer=TRAINER, **chosen)


def weights(folder):
    return load_file(folder / "model.safetensors")


class Broken(Exception):
    pass


def break_at(step):
    def on_progress(now, steps, logs):
        assert steps == 12
        if now == step:
            raise Broken

    return on_progress


def test_a_soup_is_the_mean_of_its_trainings(encoder_start, lists, tmp_path):
    # a start that has a head, so that a training alone begins as those of the soup do, whatever its seed
    start = tmp_path / "start"
    train_encoder(encoder_start, lists, [], settings(term_control_weight=0), start)
    for name, seed, soup in (("one", 3, 1), ("two", 4, 1), ("three", 5, 1), ("soup", 3, 3)):
        chosen = settings(seed=seed, soup=soup, term_control_weight=0)
        report = train_encoder(str(start), lists, [], chosen, tmp_path / name)
    assert report.steps == 18 and report.lists == 12
    one, two, three, soup = (weights(tmp_path / name) for name in ("one", "two", "three", "soup"))
    assert one.keys() == soup.keys()
    for name, weight in soup.items():
        torch.testing.assert_close(weight, (one[name] + two[name] + three[name]) / 3, rtol=1e-5, atol=1e-7)
    assert not torch.equal(one["classifier.weight"], two["classifier.weight"])


@pytest.mark.parametrize("kind", ["encoder", "decoder"])
def test_a_soup_that_was_interrupted_ends_as_an_unbroken_one(kind, encoder_start, decoder_start, lists, dev, tmp_path):
    start, train, of = {
        "encoder": (encoder_start, train_encoder, EncoderSettings),
        "decoder": (decoder_start, train_decoder, DecoderSettings),
    }[kind]
    whole = train(start, lists, dev, settings(of, soup=2), tmp_path / "whole")
    assert whole.resumed_from is None and whole.best_step is None
    for step in (5, 11):
        with pytest.raises(Broken):
            train(start, lists, dev, settings(of, soup=2), tmp_path / "broken", break_at(step))
    broken = train(start, lists, dev, settings(of, soup=2), tmp_path / "broken")
    # the first training stood in full, the second after its first epoch
    assert broken.resumed_from == 9
    assert (tmp_path / "whole/model.safetensors").read_bytes() == (tmp_path / "broken/model.safetensors").read_bytes()
    logged = [[(e["step"], e["loss"]) for e in report.history if "loss" in e] for report in (whole, broken)]
    assert logged[0] == logged[1] and [step for step, _ in logged[0]] == list(range(1, 13))
    assert not list(tmp_path.glob("*.checkpoints"))


def test_dev_ndcg_is_of_the_averaged_weights(encoder_start, lists, dev, tmp_path):
    out = tmp_path / "student"
    report = train_encoder(encoder_start, lists, dev, settings(soup=2), out)
    assert dev_ndcg(Reranker.load(out), dev) == pytest.approx(report.dev_ndcg)
    # under the name by which the curves know it
    assert [entry["soup_dev_ndcg"] for entry in report.history if "soup_dev_ndcg" in entry] == [report.dev_ndcg]
    assert AutoTokenizer.from_pretrained(out).model_max_length == 24
    expected = set(AutoModelForSequenceClassification.from_pretrained(out).state_dict())
    assert set(weights(out)) == expected


def test_weights_of_another_model_are_not_averaged(encoder_start, tmp_path):
    model = AutoModelForSequenceClassification.from_pretrained(encoder_start, num_labels=1)
    own = {name: weight.clone() for name, weight in model.state_dict().items()}
    own.pop("classifier.weight")
    save_file(own, tmp_path / "weights.safetensors")
    with pytest.raises(RuntimeError, match=r"classifier\.weight"):
        average(model, [tmp_path])
