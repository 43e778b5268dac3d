"""Reads prompts off a model whose layers lie on two devices, on a machine that has neither; run by test_placement.py.

Fake tensors of a device that exists only in Python have no values, but every operation over tensors of two devices is
refused, as a GPU would refuse it. Registering such a device changes the process, so this is one of its own.
"""

from __future__ import annotations

from typing import Any

import torch
from accelerate import dispatch_model
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.overrides import TorchFunctionMode
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend
from transformers import AutoModelForCausalLM

from teachers.head_scores import _per_document
from teachers.prompt import ListPrompt
from teachers.prompt_pass import PromptPass
from teachers.windows import merge_windows
from tests.teachers.conftest import CONFIGS

# a device of this name is known to torch and to nothing else
_setup_privateuseone_for_python_backend("fakegpu")
FIRST, SECOND = "fakegpu:0", "fakegpu:1"


class MadeOnDevice(TorchFunctionMode):
    """`torch.tensor` of values copies them to a real device; here an empty tensor is made there."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        options = dict(kwargs or {})
        device = options.pop("device", None) if func is torch.tensor else None
        made = func(*args, **options)
        return made if device is None else torch.empty(made.shape, dtype=made.dtype, device=device)


def spread(family: str) -> Any:
    """The family's tiny model with two of its four layers on each device, under accelerate's hooks."""
    model: Any = AutoModelForCausalLM.from_config(CONFIGS[family]).eval()
    places = {"lm_head": SECOND, "model.norm": SECOND, "model.embed_tokens": FIRST, "model.rotary_emb": FIRST}
    places |= {f"model.layers.{layer}": FIRST if layer < 2 else SECOND for layer in range(4)}
    for name, device in places.items():
        # accelerate moves parameters by their values, which these do not have: they are put in place beforehand
        for module in model.get_submodule(name).modules():
            for key, weight in list(module._parameters.items()):
                if weight is not None:
                    empty = torch.empty(weight.shape, device=device)
                    module._parameters[key] = torch.nn.Parameter(empty, requires_grad=False)
            for key, buffer in list(module._buffers.items()):
                module._buffers[key] = torch.empty(buffer.shape, dtype=buffer.dtype, device=device)
    return dispatch_model(model, places, force_hooks=True)


def main(family: str, depth: int, state_layer: int) -> None:
    """Read two prompts of different lengths together, and two windows of one list."""
    prompts = [
        ListPrompt(list(range(1, 9)), [(1, 3), (4, 7)], [9, 10, 11, 12], (1, 3), [9, 10, 13], (1, 2), (1, 3)),
        ListPrompt(list(range(1, 7)), [(1, 3), (4, 5)], [9, 10, 11], (1, 2), [9, 10, 13], (1, 2), (1, 2)),
    ]
    with FakeTensorMode(allow_non_fake_inputs=True), MadeOnDevice():
        reader = PromptPass(spread(family), depth, state_layer)
        (first, state), (second, _) = reader.run(prompts)
        assert first.weights.shape == (2, depth, 4, 6)
        assert str(first.weights.device) == FIRST
        assert str(state.device) == (FIRST if state_layer < 2 else SECOND)
        merged = merge_windows([first, second], shared=1)
        columns, cut = torch.tensor([0, 1, 2]), torch.zeros(3, dtype=torch.int64)
        scores = _per_document(merged, columns, state, cut, tokens=8)
        assert scores.real.shape == (depth, 4, 3)
        assert {str(value.device) for value in (scores.real, scores.masked, scores.state)} == {"cpu"}


for family, depth, state_layer in (("llama", 4, 1), ("gemma2", 3, 2), ("mistral", 4, 3)):
    main(family, depth, state_layer)
    print(family)
