"""A frozen model that answers a question in words, greedily: what generating teachers and reasons have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from transformers import GenerationConfig, PreTrainedModel, PreTrainedTokenizerBase

from teachers.chat import ChatFrame
from teachers.placement import input_device


class Writer:
    """A causal language model, its tokenizer and its chat frame.

    Args:
        model: any causal language model of transformers.
        tokenizer: its tokenizer.
        model_id: what identifies the model's weights, for provenance.

    Attributes:
        frame: builds prompts.
        context: tokens that prompt and answer may have together.
    """

    def __init__(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, model_id: Mapping[str, str]) -> None:
        self._model = model
        self._tokenizer = tokenizer
        self._model_id = dict(model_id)
        # a model that thinks aloud first would spend its answer on that
        self.frame = ChatFrame(tokenizer, enable_thinking=False)
        self.context: int = model.config.get_text_config().max_position_embeddings

    @torch.inference_mode()
    def write(self, prompt: Sequence[int], room: int) -> str:
        """What the model writes behind the token ids ``prompt``, at most ``room`` tokens, special tokens left out."""
        model, tokenizer = self._model, self._tokenizer
        ids = torch.tensor([list(prompt)], device=input_device(model))
        end = model.generation_config.eos_token_id if model.generation_config else None
        # a configuration of its own: the model's may ask for sampling
        greedy = GenerationConfig(
            max_new_tokens=room, do_sample=False, pad_token_id=tokenizer.pad_token_id or tokenizer.eos_token_id,
            eos_token_id=end if end is not None else tokenizer.eos_token_id,
        )  # fmt: skip
        mask = torch.ones_like(ids)
        written: Any = model.generate(ids, attention_mask=mask, generation_config=greedy)  # type: ignore[operator]
        return str(tokenizer.decode(written[0, ids.shape[1] :], skip_special_tokens=True))

    def describe(self) -> dict[str, Any]:
        """The model, its chat frame and its number type."""
        dtype = str(self._model.dtype).removeprefix("torch.")
        return {"model": self._model_id, "frame": [self.frame.before, self.frame.after], "dtype": dtype}
