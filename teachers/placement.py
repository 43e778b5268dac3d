"""Where a model's layers lie: one device, or several between which accelerate's hooks carry what a layer reads.

A model that is spread over devices has no device of its own: transformers' ``model.device`` is that of its first
weight, which is ``meta`` for a layer that waits on disk or in the processor's memory.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel

# What accelerate's hooks leave on a module itself: bound to that module, and so wrong on a copy of it.
_HOOKED = ("forward", "_old_forward", "_hf_hook")


def input_device(model: PreTrainedModel) -> torch.device:
    """Where token ids have to be: where the embeddings are, or are brought to for the moment that they work."""
    embeddings: Any = model.get_input_embeddings()
    hook = getattr(embeddings, "_hf_hook", None)
    device = getattr(hook, "execution_device", None)
    return torch.device(embeddings.weight.device if device is None else device)


def without_own_hook(view: nn.Module) -> nn.Module:
    """The copy of a module, with the copied module's own hook taken off; hooks of the modules inside stay.

    What it would do is done by those: it only carries inputs to the first of them.
    """
    for name in _HOOKED:
        vars(view).pop(name, None)
    return view
