"""How lists are split where what is chosen on some is measured on others: one way, so that all mean the same folds."""

from __future__ import annotations

import torch
from torch import Tensor

from teachers.errors import TeacherError


def fold_places(count: int, folds: int, seed: int) -> list[tuple[Tensor, Tensor]]:
    """Places of the lists that are chosen on and of those that are measured, for each fold; no list is in two folds.

    Raises:
        TeacherError: fewer lists than folds.
    """
    if count < folds:
        raise TeacherError(f"{count} lists cannot be held out in {folds} folds; give more lists or fewer folds")
    fold_of = torch.randperm(count, generator=torch.Generator().manual_seed(seed)) % folds
    return [((fold_of != fold).nonzero()[:, 0], (fold_of == fold).nonzero()[:, 0]) for fold in range(folds)]
