import pytest

from labeling.texts import well_formed


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\0b\u202e\u2028\x1b", "a\0b\u202e\u2028\x1b"),
        ("😀 한국어", "😀 한국어"),
        ("\ud83d end", "\ufffd end"),
        ("\udc00\ud83d", "\ufffd\ufffd"),
        ("\ud83d\ude00", "😀"),  # both halves, as JSON writes a character
        ("", ""),
    ],
)
def test_only_surrogates_that_stand_alone_are_replaced(text, expected):
    assert well_formed(text) == expected
