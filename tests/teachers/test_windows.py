"""Windows of documents: how lists are cut, and that merging them gives the one long softmax."""

import pytest
import torch

from teachers.errors import TeacherError
from teachers.windows import DocumentWeights, cut_windows, merge_windows

LENGTHS = [3, 5, 2, 4, 4, 6, 1, 2, 5]


def test_windows_share_documents_and_keep_within_their_room():
    # the shared ones take 8 of 16, which leaves 8: (2 4), (4), (6 1), (2 5) is four windows with at most 7 more each
    windows = cut_windows(LENGTHS, 16, 2)
    assert windows == [[0, 1, 2, 3], [0, 1, 4], [0, 1, 5, 6], [0, 1, 7, 8]]
    assert all(sum(LENGTHS[place] for place in window) <= 16 for window in windows)


def test_windows_are_of_one_size():
    # ten at a time would leave a last one of two
    assert [len(window) for window in cut_windows([1] * 24, 12, 2)] == [2 + 8, 2 + 8, 2 + 6]


def test_a_list_that_fits_is_one_window():
    assert cut_windows(LENGTHS, sum(LENGTHS), 2) == [list(range(9))]


def test_a_window_must_hold_more_than_it_shares():
    with pytest.raises(TeacherError, match="room for 13 tokens of documents, and 2 that all windows share take 8"):
        cut_windows(LENGTHS, 13, 2)


def test_merged_windows_are_the_one_long_softmax():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 3, 4, sum(LENGTHS), generator=generator)
    # what stands around the documents, such as the first token that so much attention falls on
    around = torch.randn(2, 3, 4, 1, generator=generator) + 3
    ends = torch.tensor(LENGTHS).cumsum(0).tolist()
    spans = [(end - length, end) for end, length in zip(ends, LENGTHS, strict=True)]

    def softmax_over(places):
        inside = [logits[..., slice(*spans[place])] for place in places]
        weights = torch.cat([around, *inside], -1).softmax(-1)[..., 1:]
        stops = torch.tensor([part.shape[-1] for part in inside]).cumsum(0).tolist()
        return DocumentWeights(weights, list(zip([0, *stops], stops, strict=False)))

    merged = merge_windows([softmax_over(window) for window in cut_windows(LENGTHS, 16, 2)], 2)
    whole = softmax_over(range(len(LENGTHS)))
    assert merged.spans == whole.spans
    torch.testing.assert_close(merged.weights, whole.weights)


def _near_the_end(documents):
    """Attention that falls by half with every document between a document and the query, whatever the documents say."""
    weights = torch.tensor([0.5 ** (documents - place) for place in range(documents)]).expand(2, 1, 1, documents)
    return DocumentWeights(weights, [(place, place + 1) for place in range(documents)])


def test_a_preference_for_a_place_does_not_grow_from_window_to_window():
    windows = cut_windows([1] * 203, 13, 3)
    merged = merge_windows([_near_the_end(len(window)) for window in windows], 3).weights[0, 0, 0]
    assert len(windows) == 20
    by_window = merged[3:].view(20, 10)
    torch.testing.assert_close(by_window, by_window[:1].expand_as(by_window))


def test_a_head_that_does_not_see_what_is_shared_keeps_finite_weights():
    blind = DocumentWeights(torch.tensor([0.0, 0.3, 0.2]).expand(2, 1, 1, 3), [(0, 1), (1, 2), (2, 3)])
    merged = merge_windows([blind] * 4, 1).weights
    assert merged.isfinite().all()
    torch.testing.assert_close(merged[0, 0, 0, 1:3], merged[0, 0, 0, 3:5])
