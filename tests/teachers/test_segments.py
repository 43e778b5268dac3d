"""Segments by hand, and what must hold of every cut: exact slices, nothing lost, nothing too long."""

import random
import re

import pytest
from pydantic import ValidationError
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from teachers.chat_history import read_chat
from teachers.errors import TeacherError
from teachers.segments import SegmentSettings, segment

# a real byte-level tokenizer without merges: each byte of UTF-8 is a token, so Hangul and Han take three
_ALPHABET = sorted(pre_tokenizers.ByteLevel.alphabet())
BYTES = Tokenizer(models.BPE(vocab={sign: number for number, sign in enumerate(_ALPHABET)}, merges=[]))
BYTES.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
BYTES.decoder = decoders.ByteLevel()

KOREAN = "서울은 대한민국의 수도이다. 부산은 항구 도시이다! 대전은 어디에 있는가?"
CHINESE = "北京是中国的首都。上海是最大的城市，人口超过两千万。" * 12
UNSPACED = "あ" * 500


def words(text):
    """A token for each word, the space before it included, as many tokenizers have it."""
    return [found.span() for found in re.finditer(r"\s?\S+", text)]


def by_bytes(text):
    return BYTES.encode(text).offsets


def cut(text, tokens=words, **settings):
    return segment(text, SegmentSettings(**settings), tokens)


def texts(segments):
    return [one.text for one in segments]


def test_sentences_have_their_characters_and_lines():
    text = "  One two. Three\nfour!\n\nFive"
    found = cut(text)
    assert texts(found) == ["One two.", "Three\nfour!", "Five"]
    assert [(one.start, one.end) for one in found] == [(2, 10), (11, 22), (24, 28)]
    assert [(one.line, one.last_line) for one in found] == [(1, 1), (1, 2), (4, 4)]


def test_short_sentences_are_packed_up_to_the_limit_and_not_over_a_blank_line():
    text = "He ran. She sat. We left. They all went home.\n\nNobody stayed."
    last = ["They all went home.", "Nobody stayed."]
    assert texts(cut(text, pack_words=4)) == ["He ran. She sat.", "We left.", *last]
    assert texts(cut(text, pack_words=100)) == [text.partition("\n")[0], "Nobody stayed."]
    assert texts(cut(text, pack_words=1)) == ["He ran.", "She sat.", "We left.", *last]


def test_paragraphs_by_hand():
    text = "One.\ntwo\n \nThree. Four five six.\r\n\r\nSeven"
    assert texts(cut(text, by="paragraphs")) == ["One.\ntwo", "Three. Four five six.", "Seven"]
    # a paragraph that is too long is cut at its sentences first
    assert texts(cut(text, by="paragraphs", max_words=3)) == ["One.\ntwo", "Three.", "Four five six.", "Seven"]


def test_a_sentence_too_long_is_cut_evenly_between_words():
    assert texts(cut("a b c d e f g", max_words=6)) == ["a b c d", "e f g"]
    assert texts(cut("a b c d e f g", max_words=3)) == ["a b c", "d e f", "g"]


def test_windows_of_tokens_overlap_at_word_boundaries():
    text = "a b c d e f g"
    assert texts(cut(text, by="tokens", segment_tokens=3)) == ["a b c", "d e f", "g"]
    assert texts(cut(text, by="tokens", segment_tokens=3, overlap_tokens=1)) == ["a b c", "c d e", "e f g"]
    # bytes: " word" is four tokens, so two words fit into 10 and a shared word does not into an overlap of 3
    assert texts(cut("word word word word", by_bytes, by="tokens", segment_tokens=10)) == ["word word"] * 2
    shared = cut("word word word", by_bytes, by="tokens", segment_tokens=10, overlap_tokens=4)
    assert [(one.start, one.end) for one in shared] == [(0, 9), (5, 14)]
    apart = cut("word word word", by_bytes, by="tokens", segment_tokens=10, overlap_tokens=3)
    assert [(one.start, one.end) for one in apart] == [(0, 9), (10, 14)]


def test_text_without_spaces_is_cut_by_its_tokens():
    assert len(UNSPACED.split()) == 1
    found = cut(UNSPACED, by_bytes, max_words=60)
    # 500 signs of three bytes: 1,500 tokens at 240 each take seven segments, none of them a crumb
    assert len(found) == 7
    assert all(68 <= len(one.text) <= 72 for one in found)
    assert "".join(texts(found)) == UNSPACED
    # 26 signs, 78 bytes, a pair of sentences
    assert len({one.text for one in cut(CHINESE, by_bytes, max_words=60)}) == 2
    packed = cut(CHINESE, by_bytes, max_words=60, pack_words=60)
    assert [one.text for one in packed] == ["北京是中国的首都。上海是最大的城市，人口超过两千万。" * 3] * 4


def test_korean_sentences_stay_whole_where_they_fit():
    assert texts(cut(KOREAN, by_bytes)) == [
        "서울은 대한민국의 수도이다.",
        "부산은 항구 도시이다!",
        "대전은 어디에 있는가?",
    ]
    # the first sentence has 37 bytes without the spaces between its words' tokens; 30 leave two words and one
    parts = cut("서울은 대한민국의 수도이다.", by_bytes, max_tokens=30)
    assert " ".join(texts(parts)) == "서울은 대한민국의 수도이다."
    assert len(parts) == 2


def test_a_long_word_is_never_cut_inside_what_a_reader_sees_as_one_sign():
    family, accented = "\U0001f468\u200d\U0001f469\u200d\U0001f467", "e\u0301"
    found = cut(family * 20 + accented * 20, by_bytes, max_tokens=40)
    assert len(found) > 5
    assert all(re.fullmatch(f"(?:{family}|{accented})+", one.text) for one in found)


@pytest.mark.parametrize("by", ["sentences", "tokens", "paragraphs"])
@pytest.mark.parametrize("limit", [1, 3, 17])
def test_every_cut_is_exact_within_the_limit_and_loses_no_word(by, limit):
    pieces = [
        "word",
        "a",
        "of.",
        "yes!",
        "\n\n",
        "\n",
        "한국어",
        "的确如此。",
        "x" * 90,
        "\u202e",
        "\x00",
        "\ud800",
        "  ",
    ]
    for seed in range(20):
        text = " ".join(random.Random(seed).choices(pieces, k=60))
        settings = {"by": by, "max_words": limit, "max_tokens": 12 * limit, "segment_tokens": 8 * limit}
        found = cut(text, by_bytes, **settings)
        room = 8 * limit if by == "tokens" else 12 * limit
        for one in found:
            assert text[one.start : one.end] == one.text == one.text.strip() != ""
            assert text.count("\n", 0, one.start) + 1 == one.line
            assert text.count("\n", 0, one.end) + 1 == one.last_line
            assert len(one.text.split()) <= limit
            # the token of a space before the first word is not the segment's
            count = len(BYTES.encode(one.text.replace("\ud800", "\ufffd")).ids)
            assert count - len(re.findall(r"\s", one.text)) <= room or len(one.text) == 1
        assert all(before.end <= after.start for before, after in zip(found, found[1:], strict=False))
        assert "".join("".join(one.text.split()) for one in found) == "".join(text.split())


@pytest.mark.parametrize("text", ["", " \n\n\t "])
@pytest.mark.parametrize("by", ["sentences", "tokens", "paragraphs"])
def test_an_empty_text_has_no_segments(text, by):
    assert cut(text, by=by) == []


def test_settings_that_contradict_each_other_are_refused():
    with pytest.raises(ValidationError, match="pack_words puts sentences together, but segments are cut by tokens"):
        SegmentSettings(by="tokens", pack_words=5)
    with pytest.raises(ValidationError, match=r"overlap_tokens \(64\) must be below segment_tokens \(64\)"):
        SegmentSettings(by="tokens", overlap_tokens=64)


CHAT = "User: Hi there.\nassistant: Hello! Note: I can\nhelp you. What is it?\n**User:** Cake\n"


def test_turns_of_a_labelled_history():
    chat = read_chat(CHAT)
    assert [(turn.number, turn.role) for turn in chat.turns] == [(1, "user"), (2, "assistant"), (3, "user")]
    found = cut(CHAT, by="turns")
    assert texts(found) == ["Hi there.", "Hello! Note: I can\nhelp you. What is it?", "Cake"]
    assert all(CHAT[one.start : one.end] == one.text for one in found)
    assert [one.line for one in found] == [1, 2, 4]
    # a turn too long is cut at its sentences; every part knows its turn
    parts = cut(CHAT, by="turns", max_words=5)
    assert [(one.text, one.turn.number) for one in parts] == [
        ("Hi there.", 1), ("Hello!", 2), ("Note: I can\nhelp you.", 2), ("What is it?", 2), ("Cake", 3),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        '[{"role": "user", "content": "Hi \\u2028 you.\\nSo?"}, {"role": "tool", "content": null}, '
        '{"role": "assistant", "content": "Yes."}]',
        '{"messages": [{"role": "user", "content": "Hi \\u2028 you.\\nSo?"}, {"role": "tool"}, '
        '{"role": "assistant", "content": "Yes."}]}',
        '{"role": "user", "content": "Hi \u2028 you.\\nSo?"}\n{"role": "tool", "content": ""}\n\n'
        '{"role": "assistant", "content": "Yes."}\n',
    ],
)
def test_turns_of_json_messages(text):
    chat = read_chat(text)
    assert chat.joined
    found = cut(text, by="turns")
    assert [(one.text, one.turn.number, one.turn.role) for one in found] == [
        ("Hi \u2028 you.\nSo?", 1, "user"),
        ("Yes.", 3, "assistant"),
    ]
    assert all(chat.text[one.start : one.end] == one.text for one in found)
    assert [one.start - one.turn.start for one in found] == [0, 0]


def test_sentences_of_a_history_do_not_cross_its_turns():
    chat = read_chat('[{"role": "user", "content": "No full stop"}, {"role": "user", "content": "here. Yes"}]')
    assert texts(segment(chat, SegmentSettings(pack_words=50), words)) == ["No full stop", "here. Yes"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Once upon a time.\nUser: hi", "no chat history: its first line must begin with User:, Human:"),
        ("", "no chat history"),
        ("[1]", "message 1: a JSON int; an object with role and content is accepted"),
        ('[{"role": "user", "content": ["a"]}]', "message 1: content is a JSON list; a string is accepted"),
        ('{"role": "user", "content": "a"}\n{"content": "b"}', "line 2: role is None; a name such as 'user'"),
        ('{"role": "user", "content": "a"}\n{oops', r"line 2: not JSON .*one message a line"),
        ('[{"role": "user", "content": "a"', "line 1: not JSON"),
        ("[" * 100_000, "not JSON that can be read .too deep"),
        ('{"role": "user", "content": "a"}\n' + '{"a":' * 100_000, "line 2: not JSON that can be read .too deep"),
        (f"[{'1' * 5000}]", "not JSON that can be read .too deep, or too long a number"),
        ('{"messages": "a"}', "messages is a JSON str; a list of messages is accepted"),
    ],
)
def test_what_is_no_history_is_said(text, message):
    with pytest.raises(TeacherError, match=message):
        read_chat(text)
