"""A sample of the tail that is like it in length and frequency, and more varied in its words than a plain draw."""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from duckdb import DuckDBPyConnection

from labeling.tail.query_text import content_words_in

# Candidates drawn for each query of the sample: more give more variety, and take more memory.
_POOL_PER_QUERY = 10
_POOL_LIMIT = 200_000
_LONG = 8

Stratum = tuple[int, int, bool]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A query that may go into the sample: words in all, how often it was asked, and its content words, each once."""

    length: int
    frequency: int
    words: Sequence[str]


@dataclass(frozen=True, slots=True)
class Sample:
    """Rows by number, their different content words, and those of a plain random draw of as many."""

    numbers: list[int]
    words: int
    plain_words: int


def draw_sample(database: DuckDBPyConnection, relation: str, count: int, seed: int, language: str) -> Sample:
    """Draw ``count`` rows of ``relation`` (number, query_id, key, frequency): the same for the same rows and seed.

    `spread_out` chooses from a pool that a hash of seed and id draws. Memory grows with ``count``, not with the
    relation.
    """
    size = max(2 * count, min(_POOL_PER_QUERY * count, _POOL_LIMIT))
    rows = database.execute(
        f"SELECT number, key, frequency FROM {relation} ORDER BY sha256(? || ':' || query_id), query_id LIMIT ?",
        [str(seed), size],
    ).fetchall()
    content_words = content_words_in(language)
    pool = [Candidate(key.count(" ") + 1, frequency, content_words(key)) for _, key, frequency in rows]
    chosen = spread_out(pool, count)
    return Sample(
        numbers=[rows[place][0] for place in chosen],
        words=_different_words(pool[place] for place in chosen),
        plain_words=_different_words(pool[:count]),
    )


def spread_out(pool: Sequence[Candidate], count: int) -> list[int]:
    """Places in ``pool`` of ``count`` candidates, or of all where there are no more, as they were chosen.

    Each stratum (length, frequency within a factor of two, whether a word is the pool's only one of its kind) gets its
    share of the places, so that the sample stays like the pool: variety alone would prefer misspelt words. Within these
    shares the next is always the one whose words are newest: a word that k of the chosen have counts 1 / (1 + k), a
    candidate the mean of its words, and the first in the pool wins a tie.
    """
    in_pool = Counter(word for candidate in pool for word in candidate.words)
    strata = [_stratum(candidate, in_pool) for candidate in pool]
    places_left = _shares(Counter(strata), min(count, len(pool)))
    in_sample: Counter[str] = Counter()
    # newness only falls while the sample grows: the first whose value still stands is the best of all (lazy greedy)
    waiting = [(-1.0, place) for place in range(len(pool))]
    chosen: list[int] = []
    while len(chosen) < min(count, len(pool)):
        _, place = waiting[0]
        if not places_left[strata[place]]:
            heapq.heappop(waiting)
            continue
        entry = (-_newness(pool[place], in_sample), place)
        if entry > waiting[0]:
            heapq.heapreplace(waiting, entry)
            continue
        heapq.heappop(waiting)
        chosen.append(place)
        places_left[strata[place]] -= 1
        in_sample.update(pool[place].words)
    return chosen


def _newness(candidate: Candidate, in_sample: Counter[str]) -> float:
    return sum(1 / (1 + in_sample[word]) for word in candidate.words) / len(candidate.words)


def _stratum(candidate: Candidate, in_pool: Counter[str]) -> Stratum:
    alone = any(in_pool[word] == 1 for word in candidate.words)
    return min(candidate.length, _LONG), candidate.frequency.bit_length(), alone


def _shares(sizes: Counter[Stratum], count: int) -> defaultdict[Stratum, int]:
    """``count`` places in proportion to the sizes, whole ones first, the rest to the largest remainders."""
    total = sum(sizes.values())
    shares: defaultdict[Stratum, int] = defaultdict(int)
    for stratum, size in sizes.items():
        shares[stratum] = count * size // total
    rest = count - sum(shares.values())
    for stratum in sorted(sizes, key=lambda stratum: (-(count * sizes[stratum] % total), stratum))[:rest]:
        shares[stratum] += 1
    return shares


def _different_words(candidates: Iterable[Candidate]) -> int:
    return len({word for candidate in candidates for word in candidate.words})
