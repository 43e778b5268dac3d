"""Windows of documents: how lists are cut, and that merging them gives the one long softmax."""

import pytest
import torch

from teachers.errors import TeacherError
from teachers.windows import DocumentWeights, cut_windows, merge_windows

LENGTHS = [3, 5, 2, 4, 4, 6, 1, 2, 5]


def test_windows_share_documents_and_keep_within_their_room():
    windows = cut_windows(LENGTHS, 15, 2)
    assert windows == [(0, 4), (2, 5), (3, 7), (5, 9)]
    assert all(sum(LENGTHS[start:end]) <= 15 for start, end in windows)


def test_a_list_that_fits_is_one_window():
    assert cut_windows(LENGTHS, sum(LENGTHS), 2) == [(0, 9)]


def test_a_window_must_hold_more_than_it_shares():
    with pytest.raises(TeacherError, match="room for 8 tokens of documents, which holds 2 of them and 2 are shared"):
        cut_windows(LENGTHS, 8, 2)


def test_merged_windows_are_the_one_long_softmax():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 3, 4, sum(LENGTHS), generator=generator)
    # what stands around the documents, such as the first token that so much attention falls on
    around = torch.randn(2, 3, 4, 1, generator=generator) + 3
    ends = torch.tensor(LENGTHS).cumsum(0).tolist()
    spans = [(end - length, end) for end, length in zip(ends, LENGTHS, strict=True)]

    def softmax_over(first, last):
        start, end = spans[first][0], spans[last - 1][1]
        weights = torch.cat([around, logits[..., start:end]], -1).softmax(-1)[..., 1:]
        return DocumentWeights(weights, [(a - start, b - start) for a, b in spans[first:last]])

    merged = merge_windows([softmax_over(*window) for window in cut_windows(LENGTHS, 15, 2)], 2)
    whole = softmax_over(0, len(LENGTHS))
    assert merged.spans == whole.spans
    torch.testing.assert_close(merged.weights, whole.weights)
