"""Puts a decoder's pair format into its tokenizer: `tokenizer(query, document)` is then what is trained and served."""

import re
from typing import Any

from tokenizers.processors import TemplateProcessing

from students import StudentError

SIDES = {"{query}": "$A", "{document}": "$B"}


def set_pair_template(tokenizer: Any, template: str) -> None:
    """Make the tokenizer encode a pair as `template` with both texts filled in.

    Truncation never cuts the template's own text, so the last token is the same for every pair: its state is what a
    sequence classifier pools, with padding on either side.

    Args:
        tokenizer: a fast tokenizer with a padding token. It is changed in place and loses its chat template, which
            `CrossEncoder` would render pairs with.
        template: holds `{query}` and `{document}` once each, and ends in text of its own.

    Raises:
        StudentError: the template is none, or its last token is the padding token, which pooling would skip.
    """
    pieces = re.split(r"(\{query\}|\{document\})", template)
    if sorted(pieces[1::2]) != sorted(SIDES) or not pieces[-1].strip():
        raise StudentError(
            f"a pair template has {{query}} and {{document}} once each and ends in text, "
            f"as in 'document: {{document}} query: {{query}} relevant:'; got {template!r}"
        )
    sequence: list[str] = []
    separators: list[dict[str, Any]] = []
    for number, ids in enumerate(_piece_ids(tokenizer, pieces)):
        if isinstance(ids, str):
            sequence.append(ids)
        elif ids:
            sequence.append(f"<part-{number}>")
            separators.append({"id": sequence[-1], "ids": ids, "tokens": tokenizer.convert_ids_to_tokens(ids)})
    if separators[-1]["ids"][-1] == tokenizer.pad_token_id:
        raise StudentError(f"pair template {template!r} ends in the padding token {tokenizer.pad_token!r}")
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single="$A", pair=sequence, special_tokens=separators
    )
    tokenizer.chat_template = None


def _piece_ids(tokenizer: Any, pieces: list[str]) -> list[str | list[int]]:
    """The template in tokenizers' terms: `$A` and `$B`, and the token ids of the text before, between and after."""
    parts: list[str | list[int]] = [
        SIDES[piece] if piece in SIDES else tokenizer.encode(piece, add_special_tokens=False) for piece in pieces
    ]
    begins = tokenizer.bos_token_id is not None and tokenizer.encode("a")[0] == tokenizer.bos_token_id
    return [[tokenizer.bos_token_id], *parts] if begins else parts
