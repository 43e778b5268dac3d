"""The two relevance labels as a decoder's tokenizer writes them behind the pair template."""

import re
from dataclasses import dataclass
from typing import Any

from students import StudentError

SPELLINGS = ((" yes", " no"), ("yes", "no"), (" Yes", " No"), ("Yes", "No"))


@dataclass(frozen=True)
class RelevanceWords:
    """Token ids of both labels; their first tokens differ."""

    yes: list[int]
    no: list[int]


def relevance_words(tokenizer: Any, template: str) -> RelevanceWords:
    """The first spelling of yes and no that differs from its first token on, where it follows the template.

    A spelling may be cut as no single token: with a space before it, some tokenizers make the space a token of its own.

    Args:
        tokenizer: a fast tokenizer.
        template: the pair template; its text behind the last placeholder is what the labels follow.

    Raises:
        StudentError: the tokenizer tells no spelling of yes from that of no.
    """
    end = re.split(r"\{query\}|\{document\}", template)[-1]
    for spelling in SPELLINGS:
        yes, no = (_continuation(tokenizer, end, word) for word in spelling)
        if yes and no and yes[0] != no[0] and tokenizer.unk_token_id not in (yes[0], no[0]):
            return RelevanceWords(yes, no)
    raise StudentError(
        "the start model's tokenizer has no two different tokens for yes and no, which label_weight and reason_weight "
        "need; set both to 0"
    )


def _continuation(tokenizer: Any, end: str, word: str) -> list[int]:
    """Tokens that `word` adds to `end`; those of the word alone where the two grow together."""
    before: list[int] = tokenizer.encode(end, add_special_tokens=False)
    whole: list[int] = tokenizer.encode(end + word, add_special_tokens=False)
    if whole[: len(before)] == before:
        return whole[len(before) :]
    alone: list[int] = tokenizer.encode(word, add_special_tokens=False)
    return alone
