"""What training shares between the two students: trainer, soup, checkpoints, resuming and the report."""

import hashlib
import json
import logging
import shutil
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from accelerate import PartialState
from datasets import Dataset
from safetensors.torch import save_model
from sentence_transformers import CrossEncoder, CrossEncoderTrainingArguments
from torch import nn
from transformers import EarlyStoppingCallback, PrinterCallback, TrainerCallback
from transformers.trainer import TRAINER_STATE_NAME
from transformers.utils import CONFIG_NAME, SAFE_WEIGHTS_NAME

from students import StudentError
from students.dataset import training_lists, used_columns, with_scores
from students.dev import DIVERGED, DevEvaluator, DevList, check_dev, dev_ndcg
from students.list_weights import with_weights
from students.losses import SIZED_LOSSES
from students.model_card import UNTOLD, CardFacts, Origin, card_body, card_metadata
from students.passages import CONFIG_KEY, PassageSettings
from students.saving import save_student
from students.scoring import Reranker
from students.soup import Outcome, average, finished_member, joined, keep_member
from students.trainer import Progress, ProgressCallback, StudentTrainer
from students.trainer_checks import check_optimizer, check_trainer
from students.training_settings import TrainingSettings, training_arguments

logger = logging.getLogger(__name__)

IDENTITY_FILE = "training.json"


@dataclass(frozen=True)
class TrainingReport:
    """What a training run did. `dev_ndcg` is of the saved model; None without dev lists."""

    folder: Path
    lists: int
    pairs: int
    steps: int
    seconds: float
    dev_ndcg: float | None
    best_step: int | None
    resumed_from: int | None
    history: list[dict[str, float]]


@dataclass(frozen=True)
class TrainingRequest:
    """The arguments that `train_encoder` and `train_decoder` share; they are documented there."""

    start: str
    dataset: Dataset
    dev: Sequence[DevList]
    settings: TrainingSettings
    out: Path
    on_progress: Progress | None
    origin: Origin = UNTOLD


@dataclass(frozen=True)
class UntrainedStudent:
    """What a student's own module builds: an objective around a `CrossEncoder`, and how to get the model to save."""

    objective: nn.Module
    finished_model: Callable[[], Any]

    @property
    def tokenizer(self) -> Any:
        """Of the cross-encoder; to be asked before training, which may wrap it."""
        cross_encoder: Any = self.objective.model
        return cross_encoder.tokenizer


def train_student(
    request: TrainingRequest, build: Callable[[], UntrainedStudent], defaults: Mapping[str, Any]
) -> TrainingReport:
    """Check the lists, train what `build` returns, save it and report.

    Args:
        request: as handed to the student's own function.
        build: makes the student, under the settings' seed; called once, or for a soup once a training and once more.
        defaults: the student's own trainer arguments, under those of the settings.
    """
    begun = time.perf_counter()
    if request.settings.loss in SIZED_LOSSES:
        request = replace(request, dataset=with_scores(request.dataset))
    settings, out = request.settings, request.out
    lists = with_weights(training_lists(request.dataset), settings.confidence_weight)
    dev = check_dev(request.dev)
    check_trainer(settings, bool(dev))
    checkpoints = checkpoint_folder(request)
    request = replace(request, dataset=lists, dev=dev)
    train = _train_one if settings.soup == 1 else _train_soup
    model, tokenizer, outcome = train(request, build, defaults, checkpoints)
    if not all(parameter.isfinite().all() for parameter in model.parameters()):
        raise StudentError(f"{out} is not written, as weights are no numbers: {DIVERGED}")
    report = TrainingReport(
        folder=out,
        lists=len(lists),
        pairs=sum(len(labels) for labels in lists["labels"]),
        steps=outcome.steps,
        seconds=time.perf_counter() - begun,
        dev_ndcg=outcome.dev_ndcg,
        best_step=outcome.best_step,
        resumed_from=outcome.resumed_from,
        history=outcome.history,
    )
    if PartialState().is_main_process:
        facts = _card_facts(request, report, dev)
        body, metadata = card_body(request.origin, facts), card_metadata(request.origin, facts)
        save_student(model, tokenizer, out, body, metadata)
        _keep_traces(checkpoints, out)
        shutil.rmtree(checkpoints)
    PartialState().wait_for_everyone()
    return report


def _train_one(
    request: TrainingRequest, build: Callable[[], UntrainedStudent], defaults: Mapping[str, Any], folder: Path
) -> tuple[Any, Any, Outcome]:
    """The trained classifier, its tokenizer and what the training did."""
    student = _new_student(request, build)
    tokenizer = student.tokenizer
    outcome = _train(request, student, defaults, folder)
    return student.finished_model(), tokenizer, outcome


def _train_soup(
    request: TrainingRequest, build: Callable[[], UntrainedStudent], defaults: Mapping[str, Any], folder: Path
) -> tuple[Any, Any, Outcome]:
    """Likewise of the mean of several trainings, which begin with the same weights and differ in the order of lists."""
    members = [folder / f"member-{number}" for number in range(request.settings.soup)]
    outcomes = [_train_member(request, build, defaults, member, number) for number, member in enumerate(members)]
    student = _new_student(request, build)
    model = student.finished_model()
    average(model, members)
    # the first process removes the members once it has saved: not before all have read them
    PartialState().wait_for_everyone()
    dev = dev_ndcg(Reranker(model, student.tokenizer), request.dev) if request.dev else None
    return model, student.tokenizer, joined(outcomes, dev)


def _train_member(
    request: TrainingRequest,
    build: Callable[[], UntrainedStudent],
    defaults: Mapping[str, Any],
    folder: Path,
    number: int,
) -> Outcome:
    """Train one of the soup and keep its weights in its folder, unless they stand there from before an interruption."""
    stood = finished_member(folder)
    if stood is not None:
        return replace(stood, resumed_from=stood.steps)
    student = _new_student(request, build)
    outcome = _train(_of_member(request, number), student, defaults, folder)
    if PartialState().is_main_process:
        keep_member(student.finished_model(), outcome, folder)
    PartialState().wait_for_everyone()
    return outcome


def _of_member(request: TrainingRequest, number: int) -> TrainingRequest:
    """The request with the member's own seed, and progress that counts all members."""
    settings, on_progress = request.settings, request.on_progress

    def counted(step: int, steps: int, logs: Mapping[str, float]) -> None:
        if on_progress is not None:
            on_progress(number * steps + step, settings.soup * steps, logs)

    own = settings.model_copy(update={"seed": settings.seed + number})
    return replace(request, settings=own, on_progress=counted)


def _new_student(request: TrainingRequest, build: Callable[[], UntrainedStudent]) -> UntrainedStudent:
    with torch.random.fork_rng():
        torch.manual_seed(request.settings.seed)
        return build()


def _train(request: TrainingRequest, student: UntrainedStudent, defaults: Mapping[str, Any], folder: Path) -> Outcome:
    """Train the student where it stands, from the folder's last checkpoint if there is one."""
    measured = bool(request.dev)
    resumed = _last_whole_checkpoint(folder)
    arguments = training_arguments(request.settings, defaults, folder, measured)
    trainer = _trainer(student.objective, request.dataset, request.dev, arguments, _callbacks(request, measured))
    check_optimizer(arguments, trainer.model)
    trainer.train(resume_from_checkpoint=None if resumed is None else str(resumed))
    state = trainer.state
    return Outcome(
        steps=state.global_step,
        dev_ndcg=state.best_metric,
        best_step=state.best_global_step,
        resumed_from=None if resumed is None else _step(resumed),
        history=state.log_history,
    )


def _keep_traces(checkpoints: Path, out: Path) -> None:
    # TensorBoard writes beside the checkpoints, which go; in the student's folder, `runs` is where the hub looks for it
    for traces in list(checkpoints.rglob("runs")):
        kept = out / "runs" / traces.parent.relative_to(checkpoints)
        kept.parent.mkdir(parents=True, exist_ok=True)
        traces.rename(kept)


def as_cross_encoder(model: Any, tokenizer: Any, passages: PassageSettings | None = None) -> CrossEncoder:
    """The model as sentence-transformers loads it from a plain folder: what is trained is what will be served.

    How long documents are cut stands in its configuration, where training, scoring and the saved folder find it.
    """
    # a start that was trained with passages names its own
    if passages is not None:
        setattr(model.config, CONFIG_KEY, passages.model_dump())
    elif hasattr(model.config, CONFIG_KEY):
        delattr(model.config, CONFIG_KEY)
    with TemporaryDirectory() as parent:
        folder = Path(parent) / "start"
        save_student(model, tokenizer, folder, body="")
        if not (folder / CONFIG_NAME).exists():
            # of several processes transformers lets the first alone write, but each reads a folder of its own here
            model.config.save_pretrained(folder)
            save_model(model, str(folder / SAFE_WEIGHTS_NAME), metadata={"format": "pt"})
        return CrossEncoder(str(folder), model_kwargs={"attn_implementation": _training_attention()})


def _training_attention() -> str:
    # on a processor the fused kernel's backward pass costs more than all of eager attention at these lengths:
    # 8 layers of SmolLM2, 30 pairs of 100 tokens, one core: 2.29 s with sdpa, 1.75 s with eager
    return "sdpa" if torch.accelerator.is_available() else "eager"


def _trainer(
    objective: Any,
    lists: Dataset,
    dev: Sequence[DevList],
    arguments: CrossEncoderTrainingArguments,
    callbacks: list[TrainerCallback],
) -> StudentTrainer:
    trainer = StudentTrainer(
        model=objective.model,
        args=arguments,
        train_dataset=lists,
        loss=objective,
        evaluator=DevEvaluator(dev) if dev else None,
        callbacks=callbacks,
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


def _callbacks(request: TrainingRequest, measured: bool) -> list[TrainerCallback]:
    callbacks: list[TrainerCallback] = []
    if measured and request.settings.patience is not None:
        callbacks.append(EarlyStoppingCallback(early_stopping_patience=request.settings.patience))
    if request.on_progress is not None:
        callbacks.append(ProgressCallback(request.on_progress))
    return callbacks


def checkpoint_folder(request: TrainingRequest) -> Path:
    """The folder beside `out` that holds the checkpoints of this very training, emptied of any other's.

    Raises:
        FileExistsError: `out` exists.
        StudentError: something else stands where the checkpoints go.
    """
    out = request.out
    if out.exists():
        raise FileExistsError(f"{out} exists; a student is written to a new folder")
    identity = json.dumps(
        {
            "start": [request.start, request.origin.version],
            "settings": request.settings.model_dump(mode="json"),
            "lists": _content_hash(used_columns(request.dataset)),
            "dev": _content_hash(request.dev),
        },
        indent=1,
    )
    folder = out.with_name(f"{out.name}.checkpoints")
    note = folder / IDENTITY_FILE
    # several processes on a processor find each other only if told that it is one; else each takes itself for the first
    with PartialState(cpu=not torch.accelerator.is_available()).main_process_first():
        if not note.exists() or note.read_text(encoding="utf-8") != identity:
            if folder.exists() and not note.exists() and any(folder.iterdir()):
                raise StudentError(f"{folder}: checkpoints go there, and it holds something else; move it")
            if folder.exists():
                logger.warning("%s holds checkpoints of another training; they are removed", folder)
                shutil.rmtree(folder)
            folder.mkdir(parents=True)
            note.write_text(identity, encoding="utf-8")
    return folder


def _content_hash(rows: Iterable[Any]) -> str:
    """One row after the other, as a data set need not fit into memory."""
    digest = hashlib.sha256()
    for row in rows:
        digest.update(json.dumps(row, ensure_ascii=False).encode() + b"\n")
    return digest.hexdigest()


def _last_whole_checkpoint(folder: Path) -> Path | None:
    # the trainer writes its state last: a checkpoint without it was cut off
    whole = [path for path in folder.glob("checkpoint-*") if (path / TRAINER_STATE_NAME).exists()]
    return max(whole, key=_step, default=None)


def _step(checkpoint: Path) -> int:
    return int(checkpoint.name.rpartition("-")[2])


def _card_facts(request: TrainingRequest, report: TrainingReport, dev: Sequence[DevList]) -> CardFacts:
    settings = request.settings
    return CardFacts(
        start=request.start,
        lists=report.lists,
        pairs=report.pairs,
        steps=report.steps,
        dev_lists=len(dev),
        dev_ndcg=report.dev_ndcg,
        max_tokens=settings.max_tokens,
        passages=settings.passages,
        settings=settings.model_dump(mode="json"),
    )
