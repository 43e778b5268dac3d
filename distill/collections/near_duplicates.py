"""Pairs of texts that say nearly the same, found exactly and without comparing all with all."""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping


def shingles(text: str, size: int = 3) -> frozenset[str]:
    """Every run of ``size`` lower-case words or numbers; a shorter text is one run."""
    found = re.findall(r"[a-z]+|\d+", text.lower())
    return frozenset(" ".join(found[i : i + size]) for i in range(max(1, len(found) - size + 1)))


def similar_pairs(sets: Mapping[str, frozenset[str]], threshold: float) -> Iterator[tuple[str, str]]:
    """Yield each pair of names, once and smaller name first, whose sets overlap by ``threshold`` or more (Jaccard).

    Two sets of that overlap share one of their ``n - ceil(threshold * n) + 1`` rarest members: only sets that
    meet there are compared. Empty sets are similar to nothing.

    Raises:
        ValueError: ``threshold`` is not in (0, 1].

    Source: Chaudhuri et al., A Primitive Operator for Similarity Joins in Data Cleaning, ICDE 2006 (prefix filter).
    """
    if not 0 < threshold <= 1:
        raise ValueError(f"threshold {threshold}; accepted are numbers above 0 and up to 1")
    frequency = Counter(member for members in sets.values() for member in members)
    seen_with: defaultdict[str, list[str]] = defaultdict(list)
    for name in sorted(sets):
        members = sets[name]
        rarest = sorted(members, key=lambda member: (frequency[member], member))
        prefix = rarest[: len(rarest) - math.ceil(threshold * len(rarest)) + 1] if rarest else []
        others = {other for member in prefix for other in seen_with[member]}
        for other in sorted(others):
            if jaccard(members, sets[other]) >= threshold:
                yield other, name
        for member in prefix:
            seen_with[member].append(name)


def jaccard(a: frozenset[str], b: frozenset[str]) -> float:
    """Size of the intersection over size of the union, in [0, 1]; 0 for two empty sets."""
    shared = len(a & b)
    return shared / (len(a) + len(b) - shared) if shared else 0.0


def groups(names: Iterable[str], pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The smallest name of the connected group that each name is in."""
    leader = {name: name for name in names}

    def lead(name: str) -> str:
        while leader[name] != name:
            leader[name] = leader[leader[name]]
            name = leader[name]
        return name

    for a, b in pairs:
        first, second = sorted((lead(a), lead(b)))
        leader[second] = first
    return {name: lead(name) for name in names}
