"""A model soup: one student whose weights are the mean of several trainings that begin alike.

The uniform soup of Wortsman et al., "Model soups" (ICML 2022, arXiv:2203.05482): it costs its trainings, and serving it
costs what one student costs.
"""

import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_model

WEIGHTS_FILE = "weights.safetensors"
OUTCOME_FILE = "outcome.json"
SOUP_DEV = "soup_dev_ndcg"
"""What the history calls dev nDCG@10 of the averaged weights."""


@dataclass(frozen=True)
class Outcome:
    """What a training did, as its trainer counts it; see `TrainingReport`."""

    steps: int
    dev_ndcg: float | None
    best_step: int | None
    resumed_from: int | None
    history: list[dict[str, float]]


def keep_member(model: Any, outcome: Outcome, folder: Path) -> None:
    """Write a finished training of the soup; its checkpoints are not needed any more and go.

    Args:
        model: the classifier that the training ended with, adapters merged.
        outcome: what the training did.
        folder: of this training alone.
    """
    save_model(model, str(folder / WEIGHTS_FILE))
    # last and at once: a training whose outcome stands is finished
    beside = folder / f".{OUTCOME_FILE}"
    beside.write_text(json.dumps(asdict(outcome)), encoding="utf-8")
    beside.rename(folder / OUTCOME_FILE)
    for checkpoint in folder.glob("checkpoint-*"):
        shutil.rmtree(checkpoint)


def finished_member(folder: Path) -> Outcome | None:
    """What `keep_member` wrote there; None where the training has not finished."""
    file = folder / OUTCOME_FILE
    return Outcome(**json.loads(file.read_text(encoding="utf-8"))) if file.exists() else None


def average(model: Any, folders: Sequence[Path]) -> None:
    """Give the model the mean of the members' weights; one member after the other is read.

    Args:
        model: a classifier like the members.
        folders: of finished members.

    Raises:
        RuntimeError: a member has other parameters than the model.
    """
    mean: dict[str, torch.Tensor] = {}
    for folder in folders:
        for name, weight in load_file(folder / WEIGHTS_FILE).items():
            share = weight.double() / len(folders)
            mean[name] = mean[name] + share if name in mean else share
    own = model.state_dict()
    model.load_state_dict({name: mean[name].to(value.dtype) for name, value in own.items() if name in mean})


def joined(outcomes: Sequence[Outcome], dev_ndcg: float | None) -> Outcome:
    """The outcome of the soup: its trainings one behind the other.

    Args:
        outcomes: of the members.
        dev_ndcg: of the averaged weights; the members' own figures stand in the history.
    """
    history: list[dict[str, float]] = []
    before = 0
    for outcome in outcomes:
        history += [{**entry, "step": entry["step"] + before} for entry in outcome.history]
        before += outcome.steps
    if dev_ndcg is not None:
        history.append({"step": before, SOUP_DEV: dev_ndcg})
    stood = sum(outcome.resumed_from or 0 for outcome in outcomes)
    return Outcome(before, dev_ndcg, None, stood or None, history)
