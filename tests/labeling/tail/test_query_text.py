import random
import sys
import unicodedata

import pytest

from labeling.tail.query_text import content_words_in, merge_key, shown_text


@pytest.mark.parametrize(
    ("text", "key", "shown"),
    [
        ("Red  Shoes ", "red shoes", "Red Shoes"),
        ("red\tshoes\n", "red shoes", "red shoes"),
        ("Ｒｅｄ　ｓｈｏｅｓ", "red shoes", "Ｒｅｄ ｓｈｏｅｓ"),  # full width, ideographic space
        ("ﬁne ①", "fine 1", "ﬁne ①"),
        ("STRASSE", "strasse", "STRASSE"),
        ("Straße", "strasse", "Straße"),
        ("ΟΔΟΣ", "οδοσ", "ΟΔΟΣ"),
        ("οδος", "οδοσ", "οδος"),
        ("J\u030c", "\u01f0", "J\u030c"),
        ("\u01f0", "\u01f0", "\u01f0"),  # folding its case takes it apart
        ("cafe\u0301", "café", "cafe\u0301"),
        ("re\x00d", "red", "red"),
        ("\u202eshoes\u202c\u200f", "shoes", "\u202eshoes\u202c\u200f"),
        ("\ufeffshoes", "shoes", "\ufeffshoes"),
        ("so\u00adfa", "sofa", "so\u00adfa"),
        ("a\ud800b", "a\ufffdb", "a\ufffdb"),
        ("나이키  운동화", "나이키 운동화", "나이키 운동화"),
        ("\u1102\u1161이키", "나이키", "\u1102\u1161이키"),  # the first syllable in single letters
        (" \u200b \x00", "", "\u200b"),
        ("", "", ""),
    ],
)
def test_queries_are_one_by_key_and_shown_as_typed(text, key, shown):
    assert merge_key(text) == key
    assert shown_text(text) == shown


def test_every_character_of_format_or_control_leaves_no_trace():
    hidden = [c for c in map(chr, range(sys.maxunicode + 1)) if unicodedata.category(c) in ("Cf", "Cc")]
    assert len(hidden) > 200
    left = {c for c in hidden if merge_key(f"a{c}b") not in ("ab", "a b")}
    assert not left


def test_a_keys_key_is_the_key():
    draw = random.Random(0)
    characters = [chr(n) for n in range(0x3000)] + [chr(n) for n in range(0xA000, 0xABFF)] + ["ﬁ", "Ａ", "\U0001d400"]
    for _ in range(20_000):
        key = merge_key("".join(draw.choices(characters, k=4)))
        assert merge_key(key) == key


def test_the_short_way_for_ascii_gives_what_the_long_way_gives():
    draw = random.Random(1)
    for _ in range(5_000):
        text = "".join(chr(draw.randrange(128)) for _ in range(6))
        assert merge_key(text) == merge_key(text + "\u200b")  # a character that shows nothing leads the long way


@pytest.mark.parametrize(
    ("key", "language", "words"),
    [
        ("the red shoes for the men", "english", ["men", "red", "shoe"]),
        ("running shoes, size 9.5", "english", ["9.5", "run", "shoe", "size"]),
        ("men's t-shirt", "english", ["men", "shirt", "t"]),
        ("c++ or c#?", "english", ["c#", "c++"]),
        ("to be or not to be", "english", ["not"]),
        ("who is it", "english", ["who"]),
        ("to be", "english", ["be", "to"]),
        ("?!", "english", ["?!"]),
        ("die roten schuhe", "german", ["rot", "schuh"]),
        ("the red shoes", "none", ["red", "shoes", "the"]),
        ("운동화 나이키", "none", ["나이키", "운동화"]),
    ],
)
def test_content_words_are_stems_without_stop_words(key, language, words):
    assert content_words_in(language)(key) == words


def test_an_unknown_language_is_named():
    with pytest.raises(ValueError, match="no stemmer for 'klingon'; accepted are none, arabic"):
        content_words_in("klingon")
