import itertools
import sys

import pytest

from students.korean import kiwi_or_particle_stem, kiwi_stem, particle_stem
from students.terms import TermReader


@pytest.mark.parametrize(
    ("word", "stem"),
    [
        ("임종석이", "임종석"),
        ("시위를", "시위"),
        ("혐의로", "혐의"),
        ("서울로", "서울"),
        ("집으로", "집"),
        ("집에서", "집"),
        ("날은", "날"),
        ("학교에서는", "학교"),
        ("회의에서의", "회의"),
        ("정부로부터의", "정부"),
        ("농민들에게는", "농민"),
        ("대통령까지도", "대통령"),
        ("수도인", "수도"),
        ("대표이다", "대표"),
        ("사과와", "사과"),
        ("한국과", "한국"),
        ("바다처럼", "바다"),
        ("어제보다", "어제"),
    ],
)
def test_particles_are_taken_off(word, stem):
    assert particle_stem(word) == stem


NOUNS = "작가 국가 마을 가을 사과 효과 회의 제도 도로 놀이 아들 대만 부인 나이 에 은 평론가 건축가"


@pytest.mark.parametrize("word", NOUNS.split())
def test_nouns_that_end_like_a_particle_stay_whole(word):
    assert particle_stem(word) == word


@pytest.mark.parametrize(
    ("word", "stem"),
    [
        ("rtx4090을", "rtx4090"),
        ("1000원으로", "1000원"),
        ("1989년에", "1989년"),
        ("3.14는", "3.14"),
        ("c가", "c"),
        ("numpy의", "numpy"),
    ],
)
def test_particles_behind_numbers_and_latin_words_are_taken_off(word, stem):
    assert particle_stem(word) == stem


@pytest.mark.parametrize("word", ["무엇인가", "누구는", "어디에서", "그것은", "등을", "하는", "있다"])
def test_stop_words_have_no_stem(word):
    assert particle_stem(word) == ""


ENDINGS = "은 는 이 가 을 를 에 에서 에게 으로 로 와 과 의 도 만 까지 부터 처럼 보다 들 인 이다 께서"


def test_a_stem_is_a_beginning_of_its_word_and_never_nothing():
    endings = ENDINGS.split()
    for first, second in itertools.product(endings, ["", *endings]):
        # no word begins with these syllables, so none of these is a stop word; one ends in a consonant
        for start in ("뷁", "꿰", "쀼뷁", "뷁쀼"):
            word = start + first + second
            assert particle_stem(word).startswith(start[0]) and word.startswith(particle_stem(word))
    # one of each kind at most: 은, 만, and the plural does not end what is left
    assert particle_stem("쀼뷁들에서만은") == "쀼뷁들에서"


def test_korean_terms_keep_codes_whole_and_lose_their_particles():
    text = "RTX-4090을 1,000원으로 팔던 가게는 어디인가?"
    terms = TermReader("korean_particles").terms(text)
    assert [(text[term.start : term.end], term.stem) for term in terms] == [
        ("RTX-4090을", "rtx4090"), ("1,000원으로", "1000원"), ("팔던", "팔던"), ("가게는", "가게"),
    ]  # fmt: skip


@pytest.fixture(scope="module")
def kiwi():
    pytest.importorskip("kiwipiepy", reason="the extra `korean` is not installed")
    return kiwi_stem()


@pytest.mark.parametrize(
    ("word", "stem"),
    [
        ("임종석이", "임종석"),
        ("시위를", "시위"),
        ("학교에서는", "학교"),
        ("주도한", "주도"),
        ("발표했다", "발표"),
        ("아름다운", "아름답"),
        ("농민들에게는", "농민"),
        ("1000원으로", "1000원"),
        ("무엇인가", ""),
        ("그것은", ""),
        ("있었다", ""),
        ("numpy", "numpy"),
        ("3.14", "3.14"),
    ],
)
def test_kiwi_takes_off_particles_and_endings(kiwi, word, stem):
    assert kiwi(word) == stem


def test_without_kiwi_the_rules_are_used_and_the_log_says_so(monkeypatch, caplog):
    # None in sys.modules is how Python itself marks a module that cannot be imported
    monkeypatch.setitem(sys.modules, "kiwipiepy", None)
    assert kiwi_or_particle_stem() is particle_stem
    assert "distill[korean]" in caplog.text
