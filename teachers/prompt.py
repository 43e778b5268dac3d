"""The list prompt: all candidates of one query in one text, with the token span of each noted while it is built.

The text is assembled from token ids, never searched: a document that repeats another, or that looks like the
template, cannot move a span. Documents come before the query, so that the query's tokens can attend to them and
the documents' keys and values serve the real and the null query alike.

Source: Chen, Gutierrez, Su, Attention in Large Language Models Yields Efficient Zero-Shot Re-Rankers, ICLR 2025.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, model_validator
from transformers import PreTrainedTokenizerBase

from teachers.attention import Span
from teachers.chat import ChatFrame
from teachers.errors import TeacherError


class PromptSettings(BaseModel):
    """What the list prompt says and how far texts are cut."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    introduction: str = Field("Here are some paragraphs:", description="opens the prompt, before the documents")
    instruction: str = Field(
        "Please find the paragraphs above that answer the following query.", description="stands before the query"
    )
    null_query: str = Field("N/A", min_length=1, description="content-free query whose attention is subtracted")
    null_instruction: bool = Field(
        True,
        description="the null query stands behind the instruction too; published results differ on which is better",
    )
    query_span: Literal["query", "suffix"] = Field(
        "query", description="tokens whose attention is read: the query's own, or all from the instruction on"
    )
    max_document_words: PositiveInt = Field(100, description="words of a document that are read")
    max_query_words: PositiveInt = Field(64, description="words of a query that are read")
    order: Literal["seeded", "best_last"] = Field(
        "seeded",
        description="of the documents: drawn from query and texts alone, so that the caller's order never matters; or "
        "the caller's order with its first document last, as published results have it",
    )
    orders: PositiveInt = Field(1, description="seeded orders that are read and averaged")
    window_tokens: PositiveInt | None = Field(
        None, description="longest prompt read at once, longer lists are read in windows; none: the model's context"
    )
    window_overlap: PositiveInt = Field(3, description="documents that open every window")

    @model_validator(mode="after")
    def _one_order_of_the_callers(self) -> Self:
        if self.order == "best_last" and self.orders > 1:
            raise ValueError(f"orders is {self.orders}, but the caller's order is one; give order: seeded")
        return self


@dataclass(frozen=True, slots=True)
class ListPrompt:
    """Token ids of one list prompt: the documents, then the real or the null query.

    Args:
        prefix: everything up to the instruction, the same for both queries.
        spans: tokens of each document, counted from the start of ``prefix``.
        suffix: instruction, query and the assistant's header; ``null_suffix`` the same for the null query.
        rows: tokens of ``suffix`` whose attention is read; ``null_rows`` likewise.
        query_tokens: the query's own tokens, counted from the start of ``suffix``.
    """

    prefix: list[int]
    spans: list[Span]
    suffix: list[int]
    rows: Span
    null_suffix: list[int]
    null_rows: Span
    query_tokens: Span

    @property
    def lengths(self) -> list[int]:
        """Tokens that each document adds to the prompt, its number and line breaks included."""
        starts = [start for start, _ in self.spans]
        return [end - start for start, end in itertools.pairwise([*starts, len(self.prefix)])]

    @property
    def token_count(self) -> int:
        """Tokens of the longer of the two prompts."""
        return len(self.prefix) + max(len(self.suffix), len(self.null_suffix))

    def trimmed(self) -> ListPrompt:
        """The same readings off fewer tokens: spans, rows and query tokens are the same ones, ``lengths`` are not.

        What both suffixes begin with moves into the prefix, to be read once, and what stands behind all tokens that
        are read goes, as no token looks ahead.
        """
        starts = (self.rows[0], self.null_rows[0], self.query_tokens[0])
        end, null_end = max(self.rows[1], self.query_tokens[1]), self.null_rows[1]
        # each suffix keeps a token, also where the query has none
        pairs = zip(self.suffix[: min(*starts, end - 1)], self.null_suffix[: null_end - 1], strict=False)
        shared = len(list(itertools.takewhile(lambda pair: pair[0] == pair[1], pairs)))
        rows, null_rows, query = (
            (start - shared, stop - shared) for start, stop in (self.rows, self.null_rows, self.query_tokens)
        )
        prefix = self.prefix + self.suffix[:shared]
        return ListPrompt(
            prefix, self.spans, self.suffix[shared:end], rows, self.null_suffix[shared:null_end], null_rows, query
        )


class PromptBuilder:
    """Builds list prompts with a tokenizer's own chat template, or plainly where it has none."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, settings: PromptSettings) -> None:
        self.tokenizer = tokenizer
        self.settings = settings
        self._frame = ChatFrame(tokenizer)

    def build(self, query: str, documents: Sequence[str]) -> ListPrompt:
        """The prompt of one query over ``documents``, in the given order."""
        ids = self._frame.opening() + self._frame.data(self.settings.introduction + "\n")
        spans = []
        for number, document in enumerate(documents, start=1):
            ids += self._frame.data(f"\n[{number}] ")
            start = len(ids)
            ids += self._frame.data(cut_words(document, self.settings.max_document_words)[0])
            spans.append((start, len(ids)))
            ids += self._frame.data("\n")
        suffix, query_tokens = self._suffix(cut_words(query, self.settings.max_query_words)[0], instructed=True)
        null_suffix, null_tokens = self._suffix(self.settings.null_query, self.settings.null_instruction)
        whole = self.settings.query_span == "suffix"
        rows = (0, len(suffix)) if whole else query_tokens
        null_rows = (0, len(null_suffix)) if whole else null_tokens
        return ListPrompt(ids, spans, suffix, rows, null_suffix, null_rows, query_tokens)

    def offsets(self, document: str) -> list[Span]:
        """Characters of ``document`` that each of its tokens in a prompt stands for; what was cut off has no token.

        Raises:
            TeacherError: the tokenizer cannot tell, as only fast tokenizers can.
        """
        words = list(itertools.islice(re.finditer(r"\S+", document), self.settings.max_document_words))
        # the prompt holds the words joined by single spaces: place of each of its characters in the document
        place = [at for word in words for at in range(word.start(), word.end() + 1)]
        read = " ".join(word.group() for word in words)
        return [(place[start], place[end - 1] + 1) if end > start else (0, 0) for start, end in self.token_spans(read)]

    def token_spans(self, text: str) -> list[Span]:
        """Characters of each token of the whole of ``text``.

        Raises:
            TeacherError: the tokenizer cannot tell, as only fast tokenizers can.
        """
        if not self.tokenizer.is_fast:
            raise TeacherError(f"{type(self.tokenizer).__name__} cannot tell where its tokens stand in a text")
        encoded = self.tokenizer(text, add_special_tokens=False, split_special_tokens=True, return_offsets_mapping=True)
        return list(encoded.offset_mapping)

    @property
    def fingerprint(self) -> str:
        """Hash of everything that shapes a prompt but the query and the documents.

        How many orders are averaged is no part of it: each is a prompt of the same shape, so what was fitted on one
        can be used on several.
        """
        shape = [self._frame.before, self._frame.after, self.settings.model_dump(mode="json", exclude={"orders"})]
        return hashlib.sha256(json.dumps(shape, sort_keys=True).encode()).hexdigest()[:16]

    def _suffix(self, query: str, instructed: bool) -> tuple[list[int], Span]:
        ids = self._frame.data(f"\n{self.settings.instruction}\n\nQuery:" if instructed else "\nQuery:")
        start = len(ids)
        ids += self._frame.data(f" {query}")
        end = len(ids)
        ids += self._frame.closing()
        return ids, (start, end)


def cut_words(text: str, max_words: int) -> tuple[str, int]:
    """The first ``max_words`` white-space words of ``text``, joined by single spaces, and how many were cut off."""
    words = text.split()
    return " ".join(words[:max_words]), max(0, len(words) - max_words)
