import random
from collections import Counter
from itertools import accumulate

import pytest

from labeling.tail.sample import Candidate, spread_out


def pool(count, seed=0):
    """Candidates of one to six words, of a vocabulary as unevenly used as a language's."""
    draw = random.Random(seed)
    weights = list(accumulate(1 / (1 + rank) for rank in range(3000)))
    made = []
    for _ in range(count):
        length = draw.randint(1, 6)
        words = sorted({f"w{n}" for n in draw.choices(range(3000), cum_weights=weights, k=length)})
        made.append(Candidate(length, draw.choice([1, 1, 1, 2, 3, 5]), words))
    return made


def mean_nearest_overlap(candidates):
    """How like each is to the one most like it: Jaccard of their words, the mean over all."""
    nearest = []
    for place, candidate in enumerate(candidates):
        words = set(candidate.words)
        others = (set(other.words) for at, other in enumerate(candidates) if at != place)
        nearest.append(max(len(words & other) / len(words | other) for other in others))
    return sum(nearest) / len(nearest)


def slow_spread_out(pool, count):
    """The same rule with every candidate weighed again at every step."""
    used = Counter(word for candidate in pool for word in candidate.words)
    strata = [
        (min(c.length, 8), c.frequency.bit_length(), any(used[word] == 1 for word in c.words)) for c in pool
    ]  # fmt: skip
    exact = {stratum: count * size / len(pool) for stratum, size in Counter(strata).items()}
    left = {stratum: int(share + 1e-9) for stratum, share in exact.items()}
    for stratum in sorted(exact, key=lambda s: (-round(exact[s] - left[s], 9), s))[: count - sum(left.values())]:
        left[stratum] += 1
    seen, chosen = Counter(), []
    while len(chosen) < count:
        open_places = [p for p in range(len(pool)) if p not in chosen and left[strata[p]]]
        best = max(
            open_places, key=lambda p: (sum(1 / (1 + seen[w]) for w in pool[p].words) / len(pool[p].words), -p)
        )  # fmt: skip
        chosen.append(best)
        left[strata[best]] -= 1
        seen.update(pool[best].words)
    return chosen


@pytest.mark.parametrize("count", [1, 7, 40])
def test_the_lazy_choice_is_the_one_that_weighs_everything(count):
    candidates = pool(120)
    assert spread_out(candidates, count) == slow_spread_out(candidates, count)


@pytest.mark.parametrize("seed", range(2))
def test_it_is_more_varied_than_a_plain_draw(seed):
    candidates = pool(2000, seed)
    chosen, plain = [candidates[place] for place in spread_out(candidates, 200)], candidates[:200]
    words = [len({word for candidate in some for word in candidate.words}) for some in (chosen, plain)]
    assert words[0] > 1.2 * words[1]
    assert mean_nearest_overlap(chosen) < 0.8 * mean_nearest_overlap(plain)


def test_lengths_and_frequencies_are_those_of_the_pool():
    candidates = pool(5000)
    chosen = [candidates[place] for place in spread_out(candidates, 500)]
    for kind in (lambda c: c.length, lambda c: c.frequency.bit_length()):
        of_pool, of_sample = Counter(map(kind, candidates)), Counter(map(kind, chosen))
        assert all(abs(of_sample[key] - of_pool[key] / 10) <= 12 for key in of_pool)  # one place a stratum at most


def test_more_than_there_are_gives_all():
    assert sorted(spread_out(pool(20), 50)) == list(range(20))
    assert spread_out([], 5) == []
