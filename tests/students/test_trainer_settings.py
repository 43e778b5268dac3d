"""What users set in `trainer:` reaches the library: gradient checkpointing, trackers."""

import struct

import pytest
import torch
from pydantic import ValidationError
from transformers import modeling_utils

from students import StudentError
from students.decoder import DecoderSettings, train_decoder
from students.encoder import EncoderSettings, train_encoder
from students.training_settings import training_arguments

QUICK = {"num_train_epochs": 2, "per_device_train_batch_size": 4, "logging_steps": 1}


def losses(report) -> list[float]:
    return [entry["loss"] for entry in report.history if "loss" in entry]


@pytest.mark.parametrize("student", ["encoder", "decoder"])
def test_gradient_checkpointing_runs_layers_again_and_changes_no_loss(
    student, encoder_start, decoder_start, lists, tmp_path, monkeypatch
):
    train, settings, start = {
        "encoder": (train_encoder, EncoderSettings, encoder_start),
        "decoder": (train_decoder, DecoderSettings, decoder_start),
    }[student]
    used = []
    original = modeling_utils.checkpoint

    def counting(*args, **kwargs):
        used.append(1)
        return original(*args, **kwargs)

    monkeypatch.setattr(modeling_utils, "checkpoint", counting)
    found = []
    for again in (False, True):
        chosen = settings(max_tokens=24, precision="fp32", trainer=QUICK | {"gradient_checkpointing": again})
        found.append(losses(train(start, lists, [], chosen, tmp_path / f"{again}")))
        assert bool(used) == again
    assert found[1] == pytest.approx(found[0], rel=1e-5)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"lr_scheduler_type": "cosin"}, "lr_scheduler_type is 'cosin'; accepted are linear, cosine,"),
        ({"optim": "adamw_foo"}, "optim is 'adamw_foo'; accepted are adamw_torch,"),
        ({"learning_rate": "abc"}, "learning_rate is 'abc'; float is accepted"),
        ({"num_train_epochs": 0}, "num_train_epochs is 0; a number above 0 is accepted"),
        ({"per_device_train_batch_size": 1.5}, "per_device_train_batch_size is 1.5; int is accepted"),
        ({"per_device_train_batch_size": True}, "per_device_train_batch_size is True; int is accepted"),
        ({"bf16": True}, "bf16 is set elsewhere: by `precision`"),
        ({"hub_token": "hf_secret"}, "hub_token is not taken: a student is uploaded from its finished folder"),
        ({"push_to_hub": True}, "push_to_hub is not taken"),
        ({"load_best_model_at_end": False}, "load_best_model_at_end is not taken: with dev lists the best checkpoint"),
        ({"save_only_model": True}, "save_only_model is not taken: an interrupted training goes on with its optimizer"),
        ({"neftune_noise_alpha": 5.0}, "neftune_noise_alpha is not taken: the trainer adds noise to a transformers"),
        ({"learning_rate": -1}, "learning_rate is -1; 0 or more is accepted"),
        ({"max_steps": 0}, "max_steps is 0; a number above 0 is accepted, or -1"),
        ({"report_to": ["wandb", "tensorboard"]}, "report_to is 'wandb'; here are .*tensorboard"),
    ],
)
def test_a_wrong_value_is_named_before_any_work(given, message):
    with pytest.raises(ValidationError, match=message):
        EncoderSettings(trainer=given)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"r": 0}, "r is 0; a number above 0"),
        ({"bias": "foo"}, "bias is 'foo'"),
        ({"lora_alpha": "x"}, "lora_alpha is"),
    ],
)
def test_a_wrong_value_of_lora_is_named_before_any_work(given, message):
    with pytest.raises(ValidationError, match=message):
        DecoderSettings(lora=given)


def test_values_that_the_libraries_take_are_taken():
    given = {
        "learning_rate": 1, "lr_scheduler_type": "cosine", "report_to": ["tensorboard"], "warmup_steps": 0.1,
        "gradient_checkpointing_kwargs": {"use_reentrant": False}, "max_steps": 3, "save_total_limit": None,
        "eval_strategy": "steps", "save_strategy": "steps", "batch_sampler": "no_duplicates",
    }  # fmt: skip
    assert EncoderSettings(trainer=given).trainer == given
    assert DecoderSettings(lora={"init_lora_weights": "pissa_niter_4", "target_modules": ["q_proj"]}).lora


def test_a_no_without_quotes_is_false_in_yaml():
    assert EncoderSettings(trainer={"save_strategy": False}).trainer == {"save_strategy": "no"}


@pytest.mark.parametrize("seed", [-1, 2**31])
def test_a_seed_that_torch_would_refuse_is_named(seed):
    with pytest.raises(ValidationError, match="seed"):
        EncoderSettings(seed=seed)


@pytest.mark.parametrize(
    "given", [{"save_strategy": "steps", "save_steps": 2}, {"eval_strategy": "steps", "eval_steps": 2}]
)
def test_what_is_saved_is_measured_and_the_other_way_round(tmp_path, given):
    arguments = training_arguments(EncoderSettings(trainer=given), {}, tmp_path, measured=True)
    assert (arguments.save_strategy, arguments.eval_strategy) == ("steps", "steps")
    assert (arguments.save_steps, arguments.eval_steps) == (2, 2)


def test_arguments_that_do_not_go_together_are_one_line(tmp_path):
    """Checkpoints by steps want dev figures by steps, if there are dev lists at all."""
    chosen = EncoderSettings(trainer={"save_strategy": "steps", "eval_strategy": "epoch"})
    training_arguments(chosen, {}, tmp_path, measured=False)
    with pytest.raises(StudentError, match="trainer: .*eval strategy to match.*Save strategy: SaveStrategy.STEPS$"):
        training_arguments(chosen, {}, tmp_path, measured=True)


def test_fp16_takes_the_place_of_bf16_or_is_refused(tmp_path):
    chosen = EncoderSettings(trainer={"fp16": True})
    found = training_arguments(chosen, {}, tmp_path, measured=False)
    assert (found.fp16, found.bf16) == (True, False)
    with pytest.raises(ValidationError, match="precision is bf16 and trainer.fp16 is set; keep one of them"):
        EncoderSettings(precision="bf16", trainer={"fp16": True})


@pytest.mark.parametrize(
    ("amx", "avx512_bf16", "precision", "bf16"),
    [
        (True, True, "auto", True),
        (False, True, "auto", True),
        (False, False, "auto", False),
        (False, False, "bf16", True),
        (True, True, "fp32", False),
    ],
)
def test_training_takes_bf16_where_the_processor_multiplies_it_or_where_told_to(
    amx, avx512_bf16, precision, bf16, tmp_path, monkeypatch
):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx512_bf16)
    settings = EncoderSettings(precision=precision)
    assert training_arguments(settings, {}, tmp_path, measured=False).bf16 is bf16


def tensorboard_scalars(folder) -> dict[str, list[float]]:
    """Scalars by tag, read from TensorBoard's own files: length, checksum, event, checksum, and so on."""
    event_pb2 = pytest.importorskip("tensorboardX.proto.event_pb2", reason="the dev extra is not installed")
    found: dict[str, list[float]] = {}
    for path in folder.rglob("events.out.tfevents.*"):
        content = path.read_bytes()
        while content:
            (length,) = struct.unpack("<Q", content[:8])
            event = event_pb2.Event.FromString(content[12 : 12 + length])
            for value in event.summary.value:
                if value.HasField("simple_value"):
                    found.setdefault(value.tag, []).append(value.simple_value)
            content = content[12 + length + 4 :]
    return found


def test_a_tracker_gets_every_loss_and_its_files_outlive_the_checkpoints(encoder_start, lists, tmp_path):
    pytest.importorskip("tensorboardX", reason="the dev extra is not installed")
    trainer = QUICK | {"report_to": "tensorboard"}
    settings = EncoderSettings(max_tokens=24, precision="fp32", trainer=trainer)
    report = train_encoder(encoder_start, lists, [], settings, tmp_path / "student")
    scalars = tensorboard_scalars(tmp_path / "student" / "runs")
    assert scalars["train/loss"] == pytest.approx(losses(report))
    assert scalars["train/term_control"] and not list(tmp_path.glob("*.checkpoints"))


def test_an_argument_that_the_library_does_not_know_is_refused_before_training(encoder_start):
    with pytest.raises(ValidationError, match="gradient_chekpointing"):
        EncoderSettings(trainer={"gradient_chekpointing": True})
