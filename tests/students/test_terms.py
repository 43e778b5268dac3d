import random

import pytest
import Stemmer

from students import StudentError
from students.terms import LANGUAGES, TermReader, known_language, normalised


def read(text: str, language: str = "english") -> list[tuple[str, str]]:
    """What stands in the text, and its form, of each term."""
    return [(text[term.start : term.end], term.form) for term in TermReader(language).terms(text)]


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("3.14", "3.14"),
        ("1,000", "1000"),
        ("1,234,567.89", "1234567.89"),
        ("3,14", "3,14"),
        ("2024-05-01", "2024-05-01"),
        ("12:30", "12:30"),
        ("v1.2.3", "v1.2.3"),
        ("RTX-4090", "rtx4090"),
        ("RTX\u20114090", "rtx4090"),
        ("iPhone15", "iphone15"),
        ("ISO/IEC-27001", "iso/iec27001"),
        ("10.1145/123", "10.1145/123"),
        ("10.1038/s41586-020-2649-2", "10.1038/s41586-020-2649-2"),
        ("4090-Ti", "4090ti"),
        ("COVID-19", "covid19"),
        ("utf_8", "utf_8"),
        ("ＲＴＸ－４０９０", "rtx4090"),
        ("３．１４", "3.14"),
        ("m²", "m2"),
        ("C++", "c++"),
        ("C#", "c#"),
    ],
)
def test_numbers_and_codes_are_one_term(text, form):
    assert read(text) == [(text, form)]
    assert read(f"({text}), {text}.") == [(text, form), (text, form)]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("19-year-old", ["19", "year", "old"]),
        ("well-known red/green", ["well", "known", "red", "green"]),
        ("snake_case node.js", ["snake", "case", "node", "js"]),
        ("Apples,3 pears", ["Apples", "3", "pears"]),
        ("1939–1945", ["1939", "1945"]),
        ("O'Reilly's don't", ["Reilly"]),
        ("the 😀 of ☎️ !? -- +", []),
        ("", []),
        (" \t\n\u3000", []),
    ],
)
def test_other_words_end_at_hyphens_and_symbols_are_none(text, words):
    assert [word for word, _ in read(text)] == words


@pytest.mark.parametrize(
    ("written", "other"),
    [
        ("ＮumPy", "NUMPY"),
        ("cafe\u0301", "caf\u00e9"),
        ("STRASSE", "straße"),
        ("ﬁle", "file"),
        ("co\u00adoperate", "cooperate"),
        ("می\u200cخواهم", "میخواهم"),
        ("עברית\u200f", "עברית"),
        ("İstanbul", "istanbul"),
        ("ｶﾀｶﾅ", "カタカナ"),
        ("각", "\u1100\u1161\u11a8"),
    ],
)
def test_forms_that_look_or_mean_the_same_are_one(written, other):
    assert normalised(written) == normalised(other)
    assert read(written, "none")[0] == (written, normalised(other))


def test_spans_are_those_of_the_original_where_normal_forms_are_longer_or_shorter():
    # NFKC makes three letters of the ligature, and one of e and its accent
    assert read("😀ﬃ caf\u0065\u0301s 1", "none") == [("ﬃ", "ffi"), ("caf\u0065\u0301s", "cafés"), ("1", "1")]


def test_a_run_without_spaces_is_left_to_the_tokenizer():
    terms = TermReader("none").terms("人工智能2024年 コーヒーを")
    assert [(term.form, term.unspaced) for term in terms] == [
        ("人工智能", True), ("2024", False), ("年", True), ("コーヒー", False), ("を", True),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("english", "Running runners ran generously across studies"),
        ("german", "Häuser standen neben alten Bäumen"),
        ("french", "grandes maisons blanches"),
        ("arabic", "الكتاب المدرسة"),
        ("hindi", "लड़के किताबें"),
        ("turkish", "kitaplar evlerden"),
    ],
)
def test_stems_are_snowball_s(language, text):
    expected = Stemmer.Stemmer(language).stemWords([word.lower() for word in text.split()])
    assert [term.stem for term in TermReader(language).terms(text)] == expected


def test_stop_words_are_those_of_the_language():
    assert [term.form for term in TermReader("english").terms("The cat and die Katze")] == ["cat", "die", "katze"]
    assert [term.form for term in TermReader("german").terms("The cat und die Katze")] == ["the", "cat", "katze"]
    assert [term.form for term in TermReader("none").terms("The cat")] == ["the", "cat"]


def test_codes_have_no_stem_but_themselves():
    assert [term.stem for term in TermReader("english").terms("G7s G7")] == ["g7s", "g7"]


def test_what_is_remembered_changes_nothing():
    reader = TermReader("english")
    texts = ["Running, running shoes!", "shoes RTX-4090 running,", "Running, running shoes!"]
    assert [reader.terms(text) for text in texts] == [TermReader("english").terms(text) for text in texts]


def test_all_that_letters_and_numbers_are_in_any_text_is_in_some_term():
    # an invariant over noise: spans are in order, apart, begin with a letter or a digit, and leave none outside
    chance = random.Random(0)
    alphabet = "ab Zé9.,-/_:' #+\u200d\u0301\u200f人の한グ٣😀ß\x00\ufb03\u3000"
    for _ in range(2_000):
        text = "".join(chance.choices(alphabet, k=12))
        terms = TermReader("none").terms(text)
        inside = {place for term in terms for place in range(term.start, term.end)}
        assert sum(term.end - term.start for term in terms) == len(inside), ascii(text)
        assert [term.start for term in terms] == sorted(term.start for term in terms)
        assert all(text[term.start].isalnum() for term in terms)
        assert all(place in inside for place, character in enumerate(text) if character.isalnum()), ascii(text)


def test_a_megabyte_without_a_space_is_read_in_time_that_grows_with_it():
    for text in ("b" * 500_000, "b-" * 20_000, "1." * 20_000, "人" * 500_000, "b" * 500_000 + "+"):
        assert TermReader("english").terms(text)


def test_an_unknown_language_is_named_with_those_accepted():
    with pytest.raises(StudentError, match="'klingon'; accepted are none, korean, korean_particles, arabic"):
        known_language("klingon")
    assert all(known_language(name) == name for name in LANGUAGES)
