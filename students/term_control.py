"""The Term Control Layer: while training, a second score is read from the document tokens that match the query."""

import unicodedata
from collections.abc import Sequence

import torch
from tokenizers import Encoding
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence


def matching_positions(
    encoding: Encoding, query: str, document: str, stop_words: frozenset[str], special_ids: frozenset[int]
) -> list[int]:
    """Positions of the document tokens that match the query, in order; special tokens are never among them.

    A token matches where its word, normalised, is a word of the query, or where its id is that of a token of the query.
    Words count on either side only if they hold a letter or a digit and are no stop words.

    Args:
        encoding: the pair (query, document) as a fast tokenizer encodes it, with or without padding.
        query: the text that was encoded first.
        document: the text that was encoded second.
        stop_words: normalised words that never match.
        special_ids: token ids that do not match as such; the unknown token stands for different words.

    Source: RRADistill (arXiv 2410.18097) selects document tokens by the query's; the rule here is our own definition.
    """
    query_words = _content_words(encoding, 0, query, stop_words)
    document_words = _content_words(encoding, 1, document, stop_words)
    terms = set(query_words.values())
    ids = {encoding.ids[position] for position in query_words} - special_ids
    return [position for position, word in document_words.items() if word in terms or encoding.ids[position] in ids]


def normalised(word: str) -> str:
    """The word in the form in which words are compared: compatibility characters unified, case folded."""
    return unicodedata.normalize("NFKC", word).casefold().strip()


def _content_words(encoding: Encoding, sequence: int, text: str, stop_words: frozenset[str]) -> dict[int, str]:
    """Token position -> normalised word, for the tokens of one side of the pair whose word carries content."""
    spans: dict[int, tuple[int, int]] = {}
    word_of: dict[int, int] = {}
    for position, (part, word) in enumerate(zip(encoding.sequence_ids, encoding.word_ids, strict=True)):
        if part == sequence and word is not None:
            start, end = encoding.offsets[position]
            spans[word] = (spans.get(word, (start, end))[0], end)
            word_of[position] = word
    words = {word: normalised(text[start:end]) for word, (start, end) in spans.items()}
    content = {word: form for word, form in words.items() if _has_content(form) and form not in stop_words}
    return {position: content[word] for position, word in word_of.items() if word in content}


def _has_content(word: str) -> bool:
    return any(character.isalnum() for character in word)


class TermControlLayer(nn.Module):
    """One transformer layer over the classification token and the selected tokens of each pair.

    Args:
        hidden_size: width of the encoder's states.
        heads: attention heads; divides `hidden_size`.
        intermediate_size: width of the feed-forward part.
        dropout: probability in [0, 1), used while training.
    """

    def __init__(self, hidden_size: int, heads: int, intermediate_size: int, dropout: float = 0.1) -> None:
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(
            hidden_size, heads, intermediate_size, dropout, activation="gelu", batch_first=True
        )

    def forward(self, states: Tensor, positions: Sequence[Sequence[int]]) -> Tensor:
        """The classification token's new state, (pairs, 1, hidden).

        Args:
            states: last hidden states, (pairs, tokens, hidden), the classification token first.
            positions: the selected token positions of each pair; where there are none, the token attends to itself.
        """
        rows = [torch.tensor([0, *selected], device=states.device) for selected in positions]
        index = pad_sequence(rows, batch_first=True, padding_value=-1)
        chosen = states.gather(1, index.clamp(min=0)[:, :, None].expand(-1, -1, states.shape[-1]))
        return self.layer(chosen, src_key_padding_mask=index < 0)[:, :1]
