"""Korean words without their particles: by kiwipiepy's analysis where it is installed, else by rules of our own."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

log = logging.getLogger(__name__)

_FIRST_SYLLABLE, _LAST_SYLLABLE = "\uac00", "\ud7a3"
_FINALS = 28

# Particle -> the least number of syllables that it leaves. Two for those that many nouns of two syllables end in
# (회의, 제도, 도로, 놀이), one for the rest.
_OUTER: Mapping[str, int] = {
    **dict.fromkeys(("은", "는", "을", "를"), 1),
    **dict.fromkeys(("이", "가", "의", "도", "만"), 2),
    **dict.fromkeys(("라도", "이라도", "이나", "이랑", "랑", "뿐", "밖에", "마저", "조차", "마다", "만큼"), 1),
    # of the copula, which grammar counts among the particles
    **dict.fromkeys(("이다", "이며", "이고", "이자", "이지만", "이라는", "이라고", "이란", "이었다", "이었던"), 1),
    **dict.fromkeys(("라는", "라고", "였다", "였던", "입니다", "인가", "인가요", "인지", "일까", "이었는가"), 1),
    "인": 2,
}
_CASE: Mapping[str, int] = {
    **dict.fromkeys(("에", "에서", "에게", "에게서", "에서부터", "한테", "한테서", "께", "께서", "하고"), 1),
    **dict.fromkeys(("으로", "으로서", "으로써", "으로부터", "로서", "로써", "로부터"), 1),
    **dict.fromkeys(("까지", "부터", "처럼", "보다", "마다", "대로", "만큼"), 1),
    **dict.fromkeys(("로", "와", "과", "만"), 2),
}
_PLURAL: Mapping[str, int] = {"들": 2}
_LONGEST = max(map(len, (*_OUTER, *_CASE)))
# What the syllable before decides: some follow a final consonant, others a vowel; 로 also follows the consonant ㄹ.
_AFTER_CONSONANT = frozenset("은을과") | {"이", "이나", "이랑", "이라도", "이라는", "이라고", "이란"}
_AFTER_VOWEL = frozenset("는를가와랑") | {"라도", "라는", "라고", "였다", "였던"}
_RIEUL = 8

# Short on purpose: lists made for other ends hold 시간 (time), 전자 (electron), 사 (four, company).
_FUNCTION_WORDS = """
무엇 무엇인가 뭐 누구 누가 어디 어디서 언제 언제인가 어느 어떤 어떠한 어떻게 왜 얼마 얼마나 몇 무슨
것 수 때 때문 때의 중 등 등이 등의 및 그 이 저 그것 이것 저것 여기 거기 저기
이런 그런 이러한 그러한 같은 다른 모든 각 또 또한 또는 혹은 그리고 그러나 그런데 그래서 따라서 하지만 즉
더 가장 매우
하다 한 하는 하고 하여 해 했다 했던 한다 할 하기 하는가 했는가 하였는가 했나 하였나
되다 된 되는 되어 돼 되었다 됐다 된다 될 되는가 되었는가 됐는가 되었나
있다 있는 있었다 있던 있으며 있고 있는가 없다 없는 아닌
위해 위한 위하여 대한 대해 대하여 따라 따른 통해 통한 의해 의한 관한 관해 인한 인해
"""
_STOP_WORDS = frozenset(_FUNCTION_WORDS.split())
_KIWI_STOP_ROOTS = frozenset(("하", "되", "있", "없", "이", "아니", "같", "어떻", "그렇", "이렇"))
_KIWI_STOP_ROOTS |= frozenset(("위하", "대하", "따르", "통하", "의하", "관하", "인하"))
_KIWI_STOP_TAGS = frozenset(("NP", "NNB", "MM", "MAJ", "IC", "VX", "VCP", "VCN"))


def particle_stem(word: str) -> str:
    """The word without its particles by rule, empty for a stop word.

    At most one particle of each kind is taken off, the longest that fits: first a topic, subject or object marker or
    the copula, then a case or auxiliary particle, then the plural's 들. One that follows a consonant (은 을 이 과) or
    a vowel (는 를 가 와) is left where the syllable before it is of the other kind: 작가 and 마을 stay whole. Particles
    of one syllable that many nouns end in (의 도 로 이 가 ...) leave two syllables at least, others one; behind a
    number or a Latin word one character is enough.
    """
    stem = word
    for particles in (_OUTER, _CASE, _PLURAL):
        stem = _without(stem, particles)
    return "" if stem in _STOP_WORDS or word in _STOP_WORDS else stem


def kiwi_or_particle_stem() -> Callable[[str], str]:
    """`kiwi_stem` ready for use, or `particle_stem`, with a warning, where kiwipiepy is not installed."""
    try:
        return kiwi_stem()
    except ImportError:
        log.warning(
            "kiwipiepy is not installed: Korean particles are taken off by rule (pip install 'distill[korean]')"
        )
        return particle_stem


def kiwi_stem() -> Callable[[str], str]:
    """A function from a word to its morphemes before the first particle, ending or suffix; empty for a stop word.

    Each word is analysed by itself, so that it can be remembered. Stop words are pronouns, determiners, dependent
    nouns, conjunctions, light verbs, and the list of `particle_stem`.

    Raises:
        ImportError: kiwipiepy is not installed.
    """
    from kiwipiepy import Kiwi

    analyser = Kiwi(num_workers=1)

    def stem(word: str) -> str:
        if not _is_hangul(word[-1]):
            return word
        content = []
        for token in analyser.tokenize(word):
            if token.tag.startswith(("J", "E", "XS", "VCP")):
                break
            content.append(token)
        if all(_is_function(token.form, token.tag) for token in content):
            return ""
        joined = "".join(token.form for token in content)
        return "" if joined in _STOP_WORDS else joined

    return stem


def _is_function(form: str, tag: str) -> bool:
    return tag in _KIWI_STOP_TAGS or (tag[:2] in ("VV", "VA") and form in _KIWI_STOP_ROOTS)


def _without(word: str, particles: Mapping[str, int]) -> str:
    for length in range(min(_LONGEST, len(word) - 1), 0, -1):
        stem, particle = word[:-length], word[-length:]
        least = particles.get(particle)
        if least is not None and _fits(stem, particle, least):
            return stem
    return word


def _fits(stem: str, particle: str, least: int) -> bool:
    if not _is_hangul(stem[-1]):
        return True
    final = (ord(stem[-1]) - ord(_FIRST_SYLLABLE)) % _FINALS
    if particle in _AFTER_CONSONANT and not final:
        return False
    if particle in _AFTER_VOWEL and final:
        return False
    if particle.startswith("으로") and final in (0, _RIEUL):
        return False
    if particle.startswith("로") and final not in (0, _RIEUL):
        return False
    return len(stem) >= least


def _is_hangul(character: str) -> bool:
    return _FIRST_SYLLABLE <= character <= _LAST_SYLLABLE
