"""Lists longer than one prompt: overlapping windows of documents, their attention merged on a common scale.

A softmax shares one unit of attention among the tokens of its own window. The odds between two documents of one window
hold in any window that has both, so the documents that two windows share tell how the scales of the two relate. Where
attention logits do not depend on the window, the merged weights are exactly those of one long prompt.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from teachers.attention import Span
from teachers.errors import TeacherError


@dataclass(frozen=True, slots=True)
class DocumentWeights:
    """Attention of the real and the null query to the documents of one prompt.

    Args:
        weights: (2, layers, heads, tokens), from the first document's first token to the last one's last.
        spans: tokens of each document, counted in ``weights``.
    """

    weights: Tensor
    spans: list[Span]


def cut_windows(lengths: Sequence[int], room: int, overlap: int) -> list[Span]:
    """Half-open ranges of documents, each within ``room`` tokens; neighbours share ``overlap`` documents.

    Args:
        lengths: tokens of each document.
        room: tokens that a window's documents may have together.
        overlap: documents shared, at least 1.

    Raises:
        TeacherError: the documents are so long that a window would hold no more than the shared ones.
    """
    windows: list[Span] = []
    start = 0
    while True:
        end, used = start, 0
        while end < len(lengths) and used + lengths[end] <= room:
            used += lengths[end]
            end += 1
        windows.append((start, end))
        if end == len(lengths):
            return windows
        if end - start <= overlap:
            raise TeacherError(
                f"a window has room for {room} tokens of documents, which holds {end - start} of them and {overlap} "
                "are shared with the next; lower max_document_words or raise window_tokens"
            )
        start = end - overlap


def merge_windows(windows: Sequence[DocumentWeights], overlap: int) -> DocumentWeights:
    """The windows' documents as if one prompt had held them all; shared documents count as the earlier window saw them.

    Args:
        windows: in order; the last ``overlap`` documents of each are the first of the next.
        overlap: documents shared.
    """
    weights, spans = [windows[0].weights], list(windows[0].spans)
    scale = torch.ones_like(windows[0].weights[..., 0])
    for before, window in zip(windows, windows[1:], strict=False):
        scale = scale * _mass(before, -overlap, None) / _mass(window, None, overlap).clamp_min(1e-12)
        first_new = window.spans[overlap - 1][1]
        shift = sum(part.shape[-1] for part in weights) - first_new
        weights.append(window.weights[..., first_new:] * scale[..., None])
        spans += [(start + shift, end + shift) for start, end in window.spans[overlap:]]
    # the first window's tokens share one unit; the others' come on top of it in the one long softmax
    total = 1 + sum(part.sum(-1) for part in weights[1:])
    return DocumentWeights(torch.cat(weights, -1) / torch.as_tensor(total)[..., None], spans)


def _mass(window: DocumentWeights, first: int | None, last: int | None) -> Tensor:
    """Sum over the tokens of some documents, (2, layers, heads)."""
    return torch.stack([window.weights[..., start:end].sum(-1) for start, end in window.spans[first:last]]).sum(0)
