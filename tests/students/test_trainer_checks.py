"""What would keep a training from beginning is told before any model is read."""

import importlib.util
import sys
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from transformers import trainer_optimizer

from students import StudentError
from students.encoder import EncoderSettings, train_encoder
from students.trainer_checks import check_optimizer, check_trainer
from students.training_settings import training_arguments

WITHOUT_PACKAGE = [("adamw_8bit", "bitsandbytes"), ("grokadamw", "grokadamw"), ("lomo", "lomo_optim")]


@pytest.mark.parametrize(("optim", "package"), WITHOUT_PACKAGE)
def test_an_optimizer_without_its_package_is_named(optim, package):
    if importlib.util.find_spec(package) is not None:
        pytest.skip(f"{package} is here")
    with pytest.raises(StudentError, match=rf"^trainer\.optim is '{optim}': .*install .*{package}"):
        check_trainer(EncoderSettings(trainer={"optim": optim}), measured=False)


@pytest.mark.parametrize(
    ("trainer", "message"),
    [
        ({"adam_beta1": 2.0}, r"^trainer\.optim is 'adamw_torch_fused': Invalid beta parameter at index 0: 2\.0$"),
        ({"optim_args": "foo"}, r"^trainer\.optim is 'adamw_torch_fused': not enough values"),
        ({"lr_scheduler_type": "cosine_with_min_lr"}, r"^trainer\.lr_scheduler_type is .*kwargs none: One of min_lr"),
        ({"lr_scheduler_kwargs": {"foo": 1}}, r"^trainer\.lr_scheduler_type is 'linear', .* argument 'foo'$"),
        ({"dataloader_persistent_workers": True}, "^trainer, among its dataloader_ arguments: persistent_workers"),
        ({"accelerator_config": {"foo": 1}}, "^trainer: .* argument 'foo'$"),
        ({"deepspeed": "none.json"}, "^trainer: .*deepspeed"),
        ({"save_strategy": "steps", "eval_strategy": "epoch"}, "^trainer: .*Save strategy: SaveStrategy.STEPS$"),
    ],
)
def test_arguments_with_which_no_training_begins_are_one_line(trainer, message):
    with pytest.raises(StudentError, match=message):
        check_trainer(EncoderSettings(trainer=trainer), measured=True)


def test_patience_without_dev_lists_has_nothing_to_go_by():
    patient = EncoderSettings(patience=2)
    check_trainer(patient, measured=True)
    with pytest.raises(StudentError, match=r"^patience is 2, but there are no dev lists"):
        check_trainer(patient, measured=False)


@pytest.mark.parametrize("trainer", [{"eval_strategy": "epoch"}, {"eval_on_start": True}])
def test_nothing_is_measured_without_dev_lists(trainer):
    check_trainer(EncoderSettings(trainer=trainer), measured=True)
    with pytest.raises(StudentError, match=rf"^trainer\.{next(iter(trainer))} is set, but there are no dev lists"):
        check_trainer(EncoderSettings(trainer=trainer), measured=False)


@pytest.mark.parametrize("trainer", [{"save_strategy": "epoch"}, {"save_strategy": "steps", "save_steps": 2}])
def test_checkpoints_need_no_dev_lists(encoder_start, lists, tmp_path, trainer):
    quick = {"num_train_epochs": 1, "per_device_train_batch_size": 4}
    settings = EncoderSettings(max_tokens=24, precision="fp32", trainer=quick | trainer)
    assert train_encoder(encoder_start, lists, [], settings, tmp_path / "student").steps > 0


@pytest.mark.parametrize(
    "trainer",
    [
        {},
        {"optim": "adafactor"},
        {"optim": "sgd", "lr_scheduler_type": "reduce_lr_on_plateau"},
        {"lr_scheduler_type": "cosine_with_min_lr", "lr_scheduler_kwargs": {"min_lr_rate": 0.1}},
        {"lr_scheduler_type": "warmup_stable_decay", "lr_scheduler_kwargs": {"num_decay_steps": 2}},
        {"dataloader_num_workers": 1, "dataloader_persistent_workers": True, "dataloader_prefetch_factor": 2},
    ],
)
def test_what_is_let_through_trains(encoder_start, lists, dev, tmp_path, trainer):
    quick = {"num_train_epochs": 1, "per_device_train_batch_size": 4}
    settings = EncoderSettings(max_tokens=24, precision="fp32", trainer=quick | trainer)
    assert train_encoder(encoder_start, lists, dev, settings, tmp_path / "student").steps > 0


def test_no_model_is_read_for_it(encoder_start, lists, tmp_path, monkeypatch):
    monkeypatch.setattr("students.encoder.load_classifier", lambda *given: pytest.fail("a model was read"))
    with pytest.raises(StudentError, match=r"^trainer\.lr_scheduler_type"):
        wrong = EncoderSettings(max_tokens=24, trainer={"lr_scheduler_type": "warmup_stable_decay"})
        train_encoder(encoder_start, lists, [], wrong, tmp_path / "student")


def test_what_an_optimizer_wants_of_the_model_is_asked_of_the_model(tmp_path, monkeypatch):
    """GaLore's package is stood in for, as its answer plays no part: the library looks for the modules itself."""
    kinds = dict.fromkeys(["GaLoreAdamW", "GaLoreAdamW8bit", "GaLoreAdafactor"], torch.optim.AdamW)
    monkeypatch.setitem(sys.modules, "galore_torch", SimpleNamespace(**kinds))
    monkeypatch.setattr(trainer_optimizer, "is_galore_torch_available", lambda: True)
    settings = EncoderSettings(trainer={"optim": "galore_adamw", "optim_target_modules": ["attn"]})
    check_trainer(settings, measured=False)
    arguments = training_arguments(settings, {}, tmp_path, measured=False)
    with pytest.raises(StudentError, match=r"^trainer\.optim is 'galore_adamw': No target modules found"):
        check_optimizer(arguments, nn.Sequential(nn.Linear(2, 2)))
