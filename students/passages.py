"""Long documents in passages: a document's score is that of its best passage (MaxP), in training and in scoring.

Free of torch and transformers: a server that has neither cuts by this module too.
"""

from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, PositiveInt, model_validator

from students import StudentError

CONFIG_KEY = "passages"
"""Where a student's `config.json` says how long documents are cut; libraries leave the key alone."""


class PassageSettings(BaseModel):
    """How a document that is longer than one passage is cut."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    tokens: PositiveInt = Field(description="longest passage, in the student's tokens; leave room for the query")
    overlap: NonNegativeInt = Field(0, description="tokens that a passage shares with the one before it")
    most: PositiveInt | None = Field(
        None, description="passages of a document that are read, from its start; none: all"
    )

    @model_validator(mode="after")
    def _moves_on(self) -> Self:
        if self.overlap >= self.tokens:
            raise ValueError(f"overlap ({self.overlap}) must be below tokens ({self.tokens})")
        return self


def passages_of(config: Any) -> PassageSettings | None:
    """How a model's configuration says that long documents are cut; None where it says nothing."""
    settings = getattr(config, CONFIG_KEY, None)
    return None if settings is None else PassageSettings.model_validate(settings)


def cut(tokenizer: Any, documents: Sequence[str], settings: PassageSettings | None) -> list[list[str]]:
    """The passages of each document, in their order; a document of one passage, or without settings, stays whole.

    Passages are texts, so that any server scores them as it scores documents.

    Args:
        tokenizer: the student's fast tokenizer, or the `tokenizers.Tokenizer` in it, whose truncation is set.
        documents: texts.
        settings: see `PassageSettings`.

    Raises:
        StudentError: the tokenizer's special tokens leave no room for the overlap.
    """
    if settings is None or not documents:
        return [[document] for document in documents]
    backend = getattr(tokenizer, "backend_tokenizer", tokenizer)
    windows = {
        "max_length": settings.tokens, "stride": settings.overlap, "strategy": "longest_first", "direction": "right",
    }  # fmt: skip
    # compared first, as a tokenizer that another thread reads refuses to be changed
    if backend.truncation != windows:
        _check_overlap(backend, settings)
        backend.enable_truncation(**windows)
    if backend.padding is not None:
        backend.no_padding()
    encodings = backend.encode_batch(list(documents), add_special_tokens=False)
    return [
        [text[window.offsets[0][0] : window.offsets[-1][1]] for window in (encoding, *encoding.overflowing)]
        [: settings.most]
        if encoding.overflowing
        else [text]
        for text, encoding in zip(documents, encodings, strict=True)
    ]  # fmt: skip


def _check_overlap(backend: Any, settings: PassageSettings) -> None:
    # tokenizers counts a text's special tokens into a window, though passages are cut without them
    special = backend.num_special_tokens_to_add(is_pair=False)
    most = max(0, settings.tokens - special)
    if settings.overlap > most:
        raise StudentError(
            f"passages.overlap ({settings.overlap}) must be at most {most}: this tokenizer counts its {special} "
            f"special tokens into passages.tokens ({settings.tokens})"
        )


def best_passage_scores(
    lists: Sequence[tuple[str, Sequence[str]]],
    cut_documents: Callable[[list[str]], list[list[str]]],
    score: Callable[[list[str], list[str]], Iterable[float]],
) -> list[list[float]]:
    """One list of scores for each (query, documents), in the order given; a document has its best passage's.

    All pairs are scored in one call, so that many short lists cost no more than one long one.

    Args:
        lists: queries with their documents.
        cut_documents: gives each document's passages, at least one.
        score: gives one score for each of the queries and the passages beside them.
    """
    documents = list(chain.from_iterable(documents for _, documents in lists))
    if not documents:
        return [[] for _ in lists]
    passages = cut_documents(documents)
    owners = (query for query, documents in lists for _ in documents)
    queries = [query for query, texts in zip(owners, passages, strict=True) for _ in texts]
    scores = iter(score(queries, list(chain.from_iterable(passages))))
    best = (max(next(scores) for _ in texts) for texts in passages)
    return [[next(best) for _ in documents] for _, documents in lists]
