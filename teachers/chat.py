"""A user's turn in a model's own chat template, as token ids: queries and documents are data and cannot end it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from transformers import PreTrainedTokenizerBase

from teachers.errors import TeacherError

# Rendered through the chat template in place of the content, to learn what stands before and after it.
_CONTENT = "CONTENT-OF-THE-USER-TURN"
# Some templates tell the model what day it is: a teacher that was fitted yesterday must read the same prompt today.
_FIXED_DAY = "{%- macro strftime_now(layout) -%}26 Jul 2024{%- endmacro -%}"


class ChatFrame:
    """What a tokenizer's chat template puts around one user turn; nearly nothing where it has no template.

    Args:
        tokenizer: of the model that reads the turn.
        options: of the template, such as ``enable_thinking``; a template ignores those it does not know.

    Attributes:
        before, after: the template's text around the turn, the header of the answer included.

    Raises:
        TeacherError: the template does not show the turn's content exactly once.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, **options: Any) -> None:
        self.tokenizer = tokenizer
        self.before, self.after = self._around(options)

    def opening(self) -> list[int]:
        """Ids of what stands before the content."""
        return list(self.tokenizer(self.before, add_special_tokens=False).input_ids)

    def closing(self) -> list[int]:
        """Ids of what stands after it."""
        return list(self.tokenizer(self.after, add_special_tokens=False).input_ids)

    def data(self, text: str) -> list[int]:
        """Ids of a piece of the content; "<|im_end|>" inside a document is text, not the end of the user's turn."""
        return list(self.tokenizer(text, add_special_tokens=False, split_special_tokens=True).input_ids)

    def _around(self, options: Mapping[str, Any]) -> tuple[str, str]:
        if not self.tokenizer.chat_template:
            return self.tokenizer.bos_token or "", "\n"
        turn = [{"role": "user", "content": _CONTENT}]
        rendered = self.tokenizer.apply_chat_template(
            turn,
            chat_template=_FIXED_DAY + self.tokenizer.get_chat_template(),
            tokenize=False,
            add_generation_prompt=True,
            **options,
        )
        before, found, after = str(rendered).partition(_CONTENT)
        if not found or _CONTENT in after:
            raise TeacherError("the tokenizer's chat template must show the content of the user turn exactly once")
        return before, after
